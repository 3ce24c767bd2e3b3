"""A run's report: what stands on the page, and what it says beside the published accuracies."""

import dataclasses
import io
import re
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest

from keras_model.reports import comparison
from keras_model.reports.figures import accuracy_curves, confusion_matrix, loss_curves
from keras_model.reports.published import ACCURACIES, PUBLISHED, is_gtzan, notes
from keras_model.reports.report import write_report
from tests.html_page import Page
from tests.run_metrics import ByParts, by_number, metrics_of, validated
from tests.tiny_dataset import GENRES, TinyDataset
from tfrecords.dataset.gtzan import GENRES as GTZAN_GENRES

NETWORK: Any = ByParts()
FIGURES = {"accuracy", "loss", "confusion_raw", "confusion_maximum", "genres"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyDataset:
    """Four test tracks of each genre, nine chunks of each."""
    return TinyDataset(tmp_path_factory.mktemp("tiny") / "dataset", tracks_per_genre=12, chunks=9)


@pytest.fixture(scope="module")
def metrics(tiny: TinyDataset) -> dict[str, Any]:
    return metrics_of(tiny, guess=by_number)


def report_of(tiny: TinyDataset, metrics: dict[str, Any], folder: Path) -> Page:
    folder.mkdir(exist_ok=True)
    return Page(write_report(metrics, folder=folder, data=tiny.folder, manifest=tiny.manifest, network=NETWORK))


@pytest.fixture(scope="module")
def run_folder(tiny: TinyDataset, metrics: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with its report."""
    folder = tmp_path_factory.mktemp("report")
    report_of(tiny, metrics, folder)
    return folder


def words(page: Page) -> str:
    return " ".join(page.text.split())


def test_the_page_stands_alone_and_each_figure_is_a_file_too(run_folder: Path) -> None:
    page = Page(run_folder / "report.html")
    assert page.loads == []
    assert page.links == []
    assert "" not in page.pictures
    assert page.tags.count("img") == len(page.pictures)
    files = {path.stem: path.read_bytes() for path in (run_folder / "figures").iterdir()}
    assert files.keys() == FIGURES
    assert set(files.values()) <= set(page.pictures.values())
    for png in files.values():
        assert matplotlib.image.imread(io.BytesIO(png)).std() > 0.05, "a figure that is not blank"
    for heading in (
        "Training",
        "Beside the published accuracies",
        "Confusion matrices",
        "Genres",
        "Spectrograms",
        "How it was made",
    ):
        assert heading in words(page)
    assert "Synthetic audio." in page.text
    assert "Interrupted." not in page.text


def test_accuracies_of_tracks_stand_beside_their_interval_and_what_needs_no_network(
    tiny: TinyDataset, metrics: dict[str, Any], run_folder: Path, tmp_path: Path
) -> None:
    """Two of each genre's four tracks are right, for which Wilson's interval is 15.0 to 85.0 %."""
    page = words(Page(run_folder / "report.html"))
    low, high = metrics["final"]["intervals"]["maximum"]
    assert page.count(f"{100 * low:.1f}–{100 * high:.1f}") >= 2, "beside the accuracy on top and in the table"
    assert "15.0–85.0" in page[page.index("Genres") :]
    assert "always answering the most frequent genre is right for 33.3 % of the tracks" in page
    assert "66.7 %" in page
    assert "is fit on the same train tracks in seconds" in page
    capped = metrics | {"baseline": metrics["baseline"] | {"n_train_records": 1000}}
    assert "is fit on the first 1,000 train records, of 12 tracks, in seconds" in words(
        report_of(tiny, capped, tmp_path / "capped")
    )
    without = report_of(tiny, metrics | {"baseline": None}, tmp_path / "without")
    assert "logistic regression" not in words(without)


def test_the_title_names_network_recipe_and_corpus(tiny: TinyDataset, metrics: dict[str, Any], tmp_path: Path) -> None:
    assert comparison.run_title(metrics) == "shallow, recipe paper"
    tuned = metrics | {
        "options": metrics["options"] | {"recipe": "tuned"},
        "model": metrics["model"] | {"name": "shallow_batchnorm", "pretrained": True},
    }
    page = report_of(tiny, tuned, tmp_path / "tuned")
    assert page.text.count("shallow with batch norm, recipe tuned, on tiny") == 2
    assert "may have heard GTZAN's recordings" in page.text
    assert "may have heard" not in report_of(tiny, metrics, tmp_path / "paper").text


def test_an_interrupted_run_has_a_report(tiny: TinyDataset, metrics: dict[str, Any], tmp_path: Path) -> None:
    first = {"epochs": metrics["epochs"][:1], "kept_epoch": 1, "interrupted": True}
    interrupted = report_of(tiny, metrics | first, tmp_path / "interrupted")
    assert "Interrupted." in interrupted.text
    assert "Accuracy by epoch" in interrupted.pictures


def test_a_validated_run_shows_its_validation(tiny: TinyDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its epochs tell nothing of the test split, and a run that keeps its best epoch says which one that is."""
    metrics = validated(metrics_of(tiny, guess=by_number), kept_epoch=2)
    page = report_of(tiny, metrics, tmp_path / "run")
    assert "validation split is measured after every epoch, the test split once, at the end" in words(page)
    assert "with the network of epoch 2, which has the lowest loss on the validation split" in words(page)
    assert [row.epochs for row in comparison.of_run(metrics).rows] == [2]
    drawn: list[Any] = []
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda figure, path: drawn.append(figure))
    accuracy_curves(metrics, tmp_path / "accuracy.png")
    lines = {line.get_label(): line for line in drawn[0].axes[0].lines}
    assert set(lines) == {"train, raw", "validation, raw", "validation, maximum probability", "validation, majority vote"}
    np.testing.assert_allclose(lines["validation, raw"].get_ydata(), [epoch["val_accuracy"] for epoch in metrics["epochs"]])


def test_curves_have_epochs_to_the_right(metrics: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda figure, path: drawn.append(figure))
    accuracy_curves(metrics, tmp_path / "accuracy.png")
    loss_curves(metrics, tmp_path / "loss.png")
    accuracy, loss = ({line.get_label(): line for line in figure.axes[0].lines} for figure in drawn)
    assert len(accuracy) == 4
    cases: list[tuple[dict[str, Any], str, str, str, str]] = [
        (accuracy, "accuracy", "test_majority", "train, raw", "test, majority vote"),
        (loss, "cross_entropy", "test_cross_entropy", "train", "test"),
    ]
    for lines, train, test, trained, label in cases:
        for name, key in ((trained, train), (label, test)):
            np.testing.assert_allclose(lines[name].get_xdata(), [1, 2, 3])
            np.testing.assert_allclose(lines[name].get_ydata(), [epoch[key] for epoch in metrics["epochs"]])


def test_a_training_of_few_steps_has_a_curve_of_them(
    metrics: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda figure, path: drawn.append(figure))
    loss_curves(metrics | {"epochs": metrics["epochs"][:2], "steps": [3.0, 2.0, 1.5, 1.0]}, tmp_path / "loss.png")
    lines = {line.get_label(): line for line in drawn[0].axes[0].lines}
    assert set(lines) == {"train, each step", "test"}
    np.testing.assert_allclose(lines["train, each step"].get_xydata(), [[0.5, 3.0], [1.0, 2.0], [1.5, 1.5], [2.0, 1.0]])


def test_a_dataset_that_is_gone_costs_the_spectrograms_alone(tiny: TinyDataset, metrics: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    report = write_report(metrics, folder=tmp_path / "run", data=tmp_path / "gone", manifest=tiny.manifest, network=NETWORK)
    page = Page(report)
    assert "the dataset could not be read: [Errno 2] No such file or directory:" in page.text
    assert len(page.pictures) == len(FIGURES)


def test_names_cannot_become_markup_or_formulas(tmp_path: Path) -> None:
    script, formula = "<script>alert(1)</script>", r"$\frac{$ & \udcff"
    tiny = TinyDataset(tmp_path / "tiny", tracks_per_genre=3)
    for name, records in tiny.shards.items():
        tiny.shards[name] = [
            dataclasses.replace(record, track_id=script) if record.track_id == "blues.00002" else record for record in records
        ]
    tiny.write()
    metrics = metrics_of(tiny, guess=lambda record, n_genres: 0)
    hostile = [script, formula, 'x" onerror="alert(1)']
    text = dict(zip(GENRES, hostile, strict=True))
    metrics["dataset"]["genres"] = hostile
    metrics["final"]["per_genre"] = {text[genre]: values for genre, values in metrics["final"]["per_genre"].items()}
    for track in metrics["final"]["tracks"].values():
        track |= {key: text[track[key]] for key in ("genre", "maximum", "majority")}
    metrics["corpus"]["name"] = "<b>corpus</b>"
    page = report_of(tiny, metrics, tmp_path / "run")
    assert page.loads == []
    assert "script" not in page.tags
    assert "b" not in page.tags[: page.tags.index("div")]
    assert script in page.text
    assert "onerror" in page.text
    raw = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert not re.search(r'<[^>]*"\s+onerror=', raw)


def test_rows_of_a_confusion_matrix_are_shares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda figure, path: drawn.append(figure))
    confusion_matrix([[3, 1, 0], [0, 0, 0], [2, 2, 4]], GENRES, tmp_path / "x.png", unit="tracks")
    (axes,) = drawn[0].axes
    np.testing.assert_allclose(axes.images[0].get_array(), np.array([[0.75, 0.25, 0.0], [0.0, 0.0, 0.0], [0.25, 0.25, 0.5]]))
    assert {text.get_text() for text in axes.texts} == {"75", "25", "50"}


def gtzan_run(**changes: Any) -> dict[str, Any]:
    return {
        "corpus": {"name": "GTZAN", "synthetic": False} | changes.get("corpus", {}),
        "dataset": {"genres": list(changes.get("genres", GTZAN_GENRES)), "splits": {"train": {"tracks": 721}}},
        "final": {"tracks": dict.fromkeys(changes.get("tracks", ["blues.00003", "rock.00099"]))},
    }


def test_only_gtzan_is_called_gtzan() -> None:
    assert is_gtzan(gtzan_run())
    others: list[dict[str, Any]] = [
        {"corpus": {"name": "demo corpus"}},
        {"corpus": {"synthetic": True}},
        {"genres": GTZAN_GENRES[:9]},
        {"tracks": ["blues.00100"]},
    ]
    for change in others:
        run = gtzan_run(**change)
        assert not is_gtzan(run), change
        (note,) = notes(run, split="herbert")
        assert note.startswith("Not comparable: other data.")
    (note,) = notes(gtzan_run(), split="herbert")
    assert "721 tracks were trained on here, 750 there" in note
    (note,) = notes(gtzan_run(), split="stratified")
    assert "the split here is stratified" in note


def test_the_table_has_all_that_was_published_apart_from_the_run(metrics: dict[str, Any], run_folder: Path) -> None:
    table = comparison.of_run(metrics)
    (heading, published), (without, references), (ours, rows) = table.parts
    assert (heading, ours) == ("Published, on GTZAN", "Here, on tiny (SYNTHETIC)")
    assert without == "Without a network, on tiny (SYNTHETIC)"
    ((chance,), (baseline,)) = references
    assert {key: estimate.mean for key, estimate in chance.accuracies.items()} == pytest.approx(
        dict.fromkeys(ACCURACIES, 100 / 3)
    )
    assert baseline.accuracies["maximum"].mean == pytest.approx(200 / 3)
    assert "raw" not in baseline.accuracies
    assert sum(map(len, published)) == len(PUBLISHED) == 10
    ((row,),) = rows
    assert (row.label, row.epochs) == ("shallow", 3)
    assert row.accuracies["raw"].mean == pytest.approx(100 * metrics["final"]["raw"])
    page = words(Page(run_folder / "report.html"))
    assert page.index("Published, on GTZAN") < page.index("67.49") < page.index("Here, on tiny (SYNTHETIC)")
    for result in PUBLISHED:
        for value in (result.raw, result.maximum, result.majority):
            assert f"{value:.2f}" in page
    assert "Not comparable: other data." in page
    assert "tiny, which is synthetic audio" in page


def test_a_long_run_is_reported_at_the_published_epochs(tiny: TinyDataset) -> None:
    metrics = metrics_of(tiny, guess=by_number, n_epochs=230)
    rows = comparison.of_run(metrics).rows
    assert [row.epochs for row in rows] == [100, 200, 230]
    assert rows[1].accuracies["maximum"].mean == pytest.approx(100 * metrics["epochs"][199]["test_maximum"])
    assert rows[2].accuracies["maximum"].mean == pytest.approx(100 * metrics["final"]["maximum"])
    reported = [comparison.reported_epochs(metrics_of(tiny, guess=by_number, n_epochs=n)) for n in (7, 100, 150, 200)]
    assert reported == [[7], [100], [100, 150], [100, 200]]
