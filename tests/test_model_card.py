"""An export's README.md: a card that the Hub's client reads, and what it says of a run."""

import dataclasses
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from keras_model import export
from keras_model.reports.model_card import model_card
from keras_model.run_folder import FrontEnd
from tests.run_metrics import by_number, metrics_of
from tests.served import version_of
from tests.test_dataset_card import NASTY, SHOWN, Page
from tests.tiny_dataset import TinyDataset
from tfrecords.dataset.corpus import CorpusInfo
from tfrecords.dataset.gtzan import GENRES


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyDataset:
    return TinyDataset(tmp_path_factory.mktemp("model_card") / "tiny", tracks_per_genre=12)


@pytest.fixture
def run_metrics(tiny: TinyDataset) -> dict[str, Any]:
    return metrics_of(tiny, guess=by_number)


def test_a_card_of_a_run(tiny: TinyDataset, run_metrics: dict[str, Any]) -> None:
    text = model_card(run_metrics, FrontEnd.of(tiny.manifest))
    data: Any = ModelCard(text).data
    assert (data.license, data.library_name, data.pipeline_tag) == ("other", "keras", "audio-classification")
    assert "synthetic" in data.tags
    assert data.datasets is None
    results = {result.metric_name: result.metric_value for result in data.eval_results}
    assert results == {
        "chunks": round(run_metrics["final"]["raw"], 4),
        "tracks, by maximum probability": 0.5833,
        "tracks, by majority vote": 0.5833,
    }
    page = Page(text)
    assert ["train", "12", "36"] in page.rows
    assert ["tracks, by maximum probability", "58.3", "32.0–80.7"] in page.rows
    assert ["tracks, by each band's mean and deviation, without a network", "66.7", "39.1–86.2"] in page.rows
    assert ["tracks, always the most frequent genre", "33.3", ""] in page.rows
    assert ["jazz", "4", "50.0", "15.0–85.0"] in page.rows
    assert ["hop_length", "256"] in page.rows
    assert any("SYNTHETIC, not music" in text for text in page.texts)
    assert "Level: 12 dB softer, 50.0 % of the test tracks get another genre; 6 dB louder, 12.5 %." in page.texts


def test_names_are_shown_as_they_are(tiny: TinyDataset, run_metrics: dict[str, Any]) -> None:
    run_metrics["corpus"] = {"name": NASTY, "synthetic": False}
    final = run_metrics["final"]
    final["per_genre"] = {NASTY if genre == "jazz" else genre: values for genre, values in final["per_genre"].items()}
    front_end = dataclasses.replace(
        FrontEnd.of(tiny.manifest), corpus=CorpusInfo(name=NASTY), genres=("blues", NASTY, "rock\udc80")
    )
    text = model_card(run_metrics, front_end)
    page = Page(text)
    assert f"{SHOWN}: 3 genres by a network, shallow, recipe paper" in page.texts
    assert [SHOWN, "4", "50.0", "15.0–85.0"] in page.rows
    assert any(f"blues, {SHOWN}, rock\\udc80." in text for text in page.texts)
    assert page.tags <= {*("h1", "h2", "p", "ul", "li", "code", "pre", "table", "thead", "tbody", "tr", "th", "td")}
    data: Any = ModelCard(text).data
    (dataset,) = {result.dataset_name for result in data.eval_results}
    assert dataset == SHOWN


def test_of_gtzan_its_faults_are_told_and_of_a_pre_trained_network_what_it_may_have_heard(
    tiny: TinyDataset, run_metrics: dict[str, Any]
) -> None:
    run_metrics["corpus"] = {"name": "GTZAN", "synthetic": False}
    run_metrics["dataset"]["genres"] = list(GENRES)
    run_metrics["model"]["pretrained"] = True
    text = model_card(run_metrics, dataclasses.replace(FrontEnd.of(tiny.manifest), corpus=CorpusInfo(name="GTZAN")))
    assert "43 conspicuous and 63 contentious mislabelings" in text
    assert "may have heard GTZAN's recordings" in text
    assert "Permission to use, copy, modify, and/or distribute this software" in text
    data: Any = ModelCard(text).data
    assert data.datasets == ["marsyas/gtzan"]
    assert {result.dataset_type for result in data.eval_results} == {"marsyas/gtzan"}


def test_every_version_that_a_run_exports_has_its_card(run: Path, metrics: Any) -> None:
    card: Any = ModelCard.load(version_of(run) / "README.md")
    assert card.data.eval_results[1].metric_value == round(metrics["final"]["maximum"], 4)
    assert "3 genres by a network, shallow with batch norm, recipe paper" in card.text


def test_an_export_tells_damaged_metrics_from_a_missing_extra(
    run: Path, tmp_path: Path, metrics: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("export", "backup"))
    command = [str(damaged), "--to", str(tmp_path / "served")]
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "tfrecords.display.pages", raising=False)
        patch.setitem(sys.modules, "jinja2", None)
        assert export.main(command) == 2
    assert capsys.readouterr().err == "export: this needs jinja2, which the extra 'train' brings: pip install '.[train]'\n"
    (damaged / "metrics.json").write_text(json.dumps(metrics | {"final": {}}))
    assert export.main(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"export: {damaged / 'metrics.json'} is damaged, or of another version: ")
    assert not (tmp_path / "served").exists()
