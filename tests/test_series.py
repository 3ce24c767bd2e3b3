"""Several runs: one for each seed or fold, and their summary."""

import json
import re
import shutil
from pathlib import Path

import pytest

from keras_model import evaluate, train
from tfrecords.dataset.folds import fold_of_tracks
from tfrecords.dataset.tracks import read_tracks

FAST = ("--epochs", "1", "--batch-size", "32", "--learning-rate", "3e-4", "--no-export", "--convolution", "stock")


@pytest.fixture(scope="module")
def folds(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished cross-validation with two folds."""
    folder = tmp_path_factory.mktemp("folds") / "two"
    assert train.main(["--data", str(dataset), "--output", str(folder), "--folds", "2", *FAST]) == 0
    return folder


def test_folds_test_every_track_once(folds: Path, dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fold_of = fold_of_tracks(read_tracks(dataset), n_folds=2, seed=0)
    for number in (1, 2):
        metrics = json.loads((folds / f"fold-{number}" / "metrics.json").read_text())
        assert metrics["dataset"]["split_scheme"] == f"kfold-{number}/2"
        assert set(metrics["final"]["tracks"]) == {track for track, fold in fold_of.items() if fold == number - 1}
        assert metrics["dataset"]["splits"] == {"train": {"tracks": 9, "records": 36}, "test": {"tracks": 9, "records": 36}}
        page = (folds / f"fold-{number}" / "report.html").read_text(encoding="utf-8")
        assert "holds other records than" not in page, "the gallery shows the tested tracks, whatever split they lie in"
    assert evaluate.main([str(folds / "fold-1"), "--data", str(dataset)]) == 2
    assert re.search(r"was trained on \d of the tracks of split test", capsys.readouterr().err)
    summary = json.loads((folds / "summary.json").read_text())
    assert summary["kind"] == "folds"
    (network,) = summary["networks"].values()
    assert network["pooled"]["n_tracks"] == 18
    assert (folds / "report.html").is_file()


def test_a_fold_that_is_lost_is_made_again_like_the_first_time(folds: Path, tmp_path: Path) -> None:
    shutil.copytree(folds, tmp_path / "run")
    kept = (tmp_path / "run" / "fold-1" / "model.keras").stat().st_mtime_ns
    shutil.rmtree(tmp_path / "run" / "fold-2")
    options = json.loads((tmp_path / "run" / "options.json").read_text())
    assert options["finished"]
    assert train.main(["--resume", str(tmp_path / "run")]) == 0, "it is finished: nothing to do"
    assert not (tmp_path / "run" / "fold-2").exists()
    assert train.main(["--resume", str(tmp_path / "run"), "--epochs", "2"]) == 0
    assert (tmp_path / "run" / "fold-1" / "model.keras").stat().st_mtime_ns != kept
    for number in (1, 2):
        before, after = (
            json.loads((folder / f"fold-{number}" / "metrics.json").read_text()) for folder in (folds, tmp_path / "run")
        )
        assert len(after["epochs"]) == 2
        assert after["epochs"][0] == before["epochs"][0]


def test_runs_have_seeds_of_their_own(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "runs"
    assert train.main(["--data", str(dataset), "--output", str(folder), "--runs", "2", "--seed", "3", *FAST]) == 0
    screen = capsys.readouterr().out
    assert "mean of 2 runs" in screen
    assert "Not comparable: other data." in screen
    seeds = [json.loads((folder / f"seed-{seed}" / "metrics.json").read_text())["options"]["seed"] for seed in (3, 4)]
    assert seeds == [3, 4]
    assert json.loads((folder / "summary.json").read_text())["kind"] == "runs"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--runs", "2", "--folds", "2"], "--runs and --folds cannot be combined"),
        (["--folds", "1"], "--folds must be at least 2, got 1"),
        (["--runs", "2", "--export", "served"], "--export is for one run"),
        (["--folds", "9"], "9 folds cannot all hold genre 'hum': its tracks, or their groups, are too few"),
        (["--folds", "2", "--cache-gib", "0"], "--folds keeps all log-mels in memory"),
        (["--random-crop", "41"], "--random-crop must be less than 41, the dataset's computed frames, got 41"),
    ],
)
def test_what_cannot_be_done_is_refused(
    dataset: Path, tmp_path: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main(["--data", str(dataset), "--output", str(tmp_path / "run"), *FAST, *options]) == 2
    (error,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("train.py: ")]
    assert message in error


def test_a_recipe_gives_defaults_and_options_have_the_last_word() -> None:
    tuned, _ = train.parse_options(["--recipe", "tuned"])
    assert tuned.batchnorm
    assert train.parse_options(["--recipe", "tuned", "--no-batchnorm"])[0].batchnorm is False
    assert train.parse_options([])[0].learning_rate == pytest.approx(5e-5)
