"""`report.html`, of one run or of several: a self-contained page, and each of its figures as a PNG beside it."""

import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_model.reports import comparison
from keras_model.reports.figures import accuracy_curves, confusion_matrix, genre_bars, loss_curves, mean_curves
from keras_model.reports.gallery import KINDS, ShownChunk, evidence_picture, gallery
from keras_model.reports.published import ACCURACIES, PRETRAINED_NOTE, SOURCES
from keras_model.run_folder import REPORT_FILE, SUMMARY_FILE
from tfrecords.dataset.corpus import CorpusInfo
from tfrecords.dataset.manifest import Manifest
from tfrecords.display.pages import render_template
from tfrecords.display.spectrogram_picture import ColourScale, SpectrogramAxes
from tfrecords.places import Place
from tfrecords.whole_file import write_whole

if TYPE_CHECKING:
    import keras


def write_report(metrics: Mapping[str, Any], *, folder: Path, data: Place, manifest: Manifest, network: "keras.Model") -> Path:
    """Draws the figures of a run and writes its report into its folder.

    Where the dataset in `data` cannot be read any more, the report has no spectrograms, and says so.

    Args:
        metrics: What `metrics.json` holds.
        folder: Of the run.
        data: Where the dataset is, for the spectrograms.
        manifest: Of the dataset.
        network: The run's, from log-mels (batch, n_mels, n_frames, 1) to probabilities (batch, n_genres).

    Returns:
        The page.
    """
    figures = folder / "figures"
    figures.mkdir(exist_ok=True)
    genres, final = metrics["dataset"]["genres"], metrics["final"]
    title = _synthetic_title(metrics)
    accuracy_curves(metrics, figures / "accuracy.png", title=title)
    loss_curves(metrics, figures / "loss.png", title=title)
    for key, unit in (("raw", "chunks"), ("maximum", "tracks")):
        confusion_matrix(final[f"{key}_confusion"], genres, figures / f"confusion_{key}.png", unit=unit, title=title)
    per_genre = comparison.genres_of_run(metrics)
    genre_bars(per_genre, figures / "genres.png", title=title)
    shown: dict[str, dict[str, list[ShownChunk]]] = {}
    problem = ""
    try:
        shown = gallery(metrics, data=data, manifest=manifest, network=network)
    except (OSError, ValueError) as error:  # a dataset that was changed during a long training must not cost the report
        problem = str(error)
    chunks = [chunk for tracks in shown.values() for of_track in tracks.values() for chunk in of_track]
    baseline = metrics["baseline"]
    return _write_page(
        folder,
        "report.html",
        metrics=metrics,
        title=comparison.run_title(metrics),
        pretrained_note=PRETRAINED_NOTE,
        comparison=comparison.of_run(metrics),
        of_tracks=comparison.percents(final, n_tracks=final["n_tracks"]),
        baseline=baseline and comparison.percent(baseline["accuracy"], n_tracks=baseline["n_tracks"]),
        per_genre=per_genre,
        gallery=shown,
        kinds=KINDS,
        gallery_problem=problem,
        scale=ColourScale.of([chunk.log_mel for chunk in chunks]),
        evidence_picture=evidence_picture,
        axes=SpectrogramAxes(manifest.spec),
    )


def write_summary(summary: Mapping[str, Any], *, folder: Path) -> Path:
    """Writes the report of several runs, of which `summarise` gave the summary, and last `summary.json`.

    Raises:
        OSError: If a file cannot be written.
    """
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    tables = comparison.of_summary(summary)
    title, genres = _synthetic_title(summary), summary["genres"]
    stems = {}
    for number, (name, network) in enumerate(summary["networks"].items(), start=1):
        # The network's name as part of the name of a file, whatever stands in it.
        stems[name] = stem = f"{number}_{re.sub(r'[^a-z0-9]+', '_', name.lower()).strip('_')[:40]}"
        heading, pooled = f"{name}: {title}" if title else name, network["pooled"]
        if network["curves"]:
            mean_curves(network, figures / f"{stem}_accuracy.png", title=heading)
        for key, unit in (("raw", "chunks"), ("maximum", "tracks")):
            picture = figures / f"{stem}_confusion_{key}.png"
            confusion_matrix(pooled[f"{key}_confusion"], genres, picture, unit=unit, title=heading)
        genre_bars(comparison.genres_of_summary(network), figures / f"{stem}_genres.png", title=heading)
    report = _write_page(
        folder, "summary.html", summary=summary, tables=tables, stems=stems, genres_of=comparison.genres_of_summary
    )
    write_whole(folder / SUMMARY_FILE, (json.dumps(summary, indent=1, allow_nan=False) + "\n").encode())
    return report


def _synthetic_title(metrics: Mapping[str, Any]) -> str:
    """The title of figures: the corpus where it is synthetic, so that a figure that is passed on says so."""
    corpus = CorpusInfo(**metrics["corpus"])
    return corpus.title if corpus.synthetic else ""


def _write_page(folder: Path, template: str, **values: Any) -> Path:
    """Writes a page with the folder's figures in it; what is no Unicode in names is written as escapes."""
    path, figures = folder / REPORT_FILE, sorted((folder / "figures").glob("*.png"))
    images = {figure.stem: base64.b64encode(figure.read_bytes()).decode("ascii") for figure in figures}
    page = render_template(
        template, package="keras_model.reports", images=images, accuracies=ACCURACIES, sources=SOURCES, **values
    )
    path.write_text(page, encoding="utf-8", errors="backslashreplace")
    return path
