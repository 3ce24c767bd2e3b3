"""`README.md` of an exported network: a card in the form of the Hugging Face Hub, YAML on top, then Markdown."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from keras_model.evaluation.intervals import chance_level
from keras_model.reports import comparison
from keras_model.reports.published import PRETRAINED_LICENSE, PRETRAINED_NOTE, is_gtzan
from keras_model.run_folder import FrontEnd
from tfrecords.cards.gtzan_facts import GTZAN_FAULTS
from tfrecords.cards.markdown import markdown, visible

_GTZAN_ON_HUB = "marsyas/gtzan"
_ACCURACIES = {
    "raw": "chunks",
    "maximum": "tracks, by maximum probability",
    "majority": "tracks, by majority vote",
}


def model_card(metrics: Mapping[str, Any], front_end: FrontEnd) -> str:
    """The text of a card: what a run's network was trained on, what it hears, how often it is right, and where it fails.

    Args:
        metrics: What `metrics.json` holds.
        front_end: Of the dataset that the network was trained on.
    """
    from tfrecords.display.pages import render_template  # Jinja: the command lines ask for names before it is loaded

    final, baseline, of_gtzan = metrics["final"], metrics.get("baseline"), is_gtzan(metrics)
    page = render_template(
        "model_card.md",
        package="keras_model.reports",
        header=_header(metrics, of_gtzan=of_gtzan),
        shown=markdown,
        title=comparison.run_title(metrics),
        metrics=metrics,
        corpus=front_end.corpus,
        genres=front_end.genres,
        spec=asdict(front_end.spec),
        shortest=front_end.spec.min_seconds(1),
        accuracies=_ACCURACIES,
        of_tracks=comparison.percents(final, n_tracks=final["n_tracks"]),
        per_genre=comparison.genres_of_run(metrics),
        baseline=baseline and comparison.percent(baseline["accuracy"], n_tracks=baseline["n_tracks"]),
        chance=100 * chance_level(final["maximum_confusion"]),
        pretrained_note=PRETRAINED_NOTE,
        pretrained_license=PRETRAINED_LICENSE,
        faults=GTZAN_FAULTS if of_gtzan else (),
    )
    return page + "\n"


def _header(metrics: Mapping[str, Any], *, of_gtzan: bool) -> str:
    """What the Hub's programs read of a card, YAML."""
    from huggingface_hub import EvalResult, ModelCardData

    corpus, name = metrics["corpus"], visible(metrics["corpus"]["name"])
    results = [
        EvalResult(
            task_type="audio-classification",
            dataset_type=_GTZAN_ON_HUB if of_gtzan else name,
            dataset_name=f"{name} (SYNTHETIC)" if corpus["synthetic"] else name,
            dataset_split="test",
            metric_type="accuracy",
            metric_name=title,
            metric_value=round(metrics["final"][key], 4),
        )
        for key, title in _ACCURACIES.items()
    ]
    data = ModelCardData(
        license="other",  # nobody has said under which the audio is, let alone what was learned of it
        library_name="keras",
        pipeline_tag="audio-classification",
        tags=["synthetic" if corpus["synthetic"] else "music", "audio", "genre", "log-mel-spectrogram", "tf-serving"],
        datasets=[_GTZAN_ON_HUB] if of_gtzan else None,
        model_name=visible(comparison.run_title(metrics)),
        eval_results=results,
    )
    return data.to_yaml()
