"""Training: what a run writes, what it refuses, and how it ends."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from beam_pipeline.options import BuildOptions
from beam_pipeline.run import build_dataset
from keras_model import evaluate, predict, train
from keras_model.data.split_data import load_split
from keras_model.evaluation.accuracies import Evaluation
from keras_model.evaluation.intervals import wilson_interval
from keras_model.networks.classifiers import load_model
from tests.conftest import EPOCHS, GENRES, OPTIONS, REPOSITORY, STOCK
from tests.waiting import end_of, wait_until
from tfrecords.dataset.folder import read_dataset
from tfrecords.dataset.manifest import Manifest


def test_metrics(metrics: Any, dataset: Path) -> None:
    final = metrics["final"]
    assert (final["n_tracks"], final["n_chunks"]) == (6, 24)
    assert final["maximum"] >= 0.6, "hum, noise and ticks are easy to tell apart"
    assert set(final["per_genre"]) == set(GENRES)
    assert len(metrics["epochs"]) == EPOCHS
    assert metrics["baseline"]["accuracy"] == 1.0
    assert final["chance"] == pytest.approx(1 / 3)
    assert final["intervals"]["maximum"] == pytest.approx(wilson_interval(final["maximum"], 6))
    for name in ("raw", "maximum", "majority"):
        assert metrics["epochs"][-1][f"test_{name}"] == pytest.approx(final[name])
    steps = np.reshape(metrics["steps"], (EPOCHS, 3))  # of 16 samples each
    np.testing.assert_allclose(steps.mean(axis=1), [logs["cross_entropy"] for logs in metrics["epochs"]], rtol=1e-4)
    assert np.all(steps.std(axis=1) > 0)
    assert metrics["dataset"]["fingerprint"] == read_dataset(dataset).fingerprint
    assert metrics["options"]["learning_rate"] == pytest.approx(3e-4)
    assert metrics["versions"]["tensorflow"] == tf.__version__
    assert np.trace(np.array(final["raw_confusion"])) / 24 == pytest.approx(final["raw"])
    right = [
        metrics["dataset"]["genres"][label] == track["genre"]
        for track in final["tracks"].values()
        for label in track["chunks"]["label"]
    ]
    assert np.mean(right) == pytest.approx(final["raw"])


def test_history_and_tensorboard(run: Path) -> None:
    rows = list(csv.DictReader((run / "history.csv").open()))
    assert [row["epoch"] for row in rows] == [str(epoch) for epoch in range(EPOCHS)]
    assert "synthetic" not in rows[0]
    assert {"loss", "accuracy", "cross_entropy", "test_raw", "test_maximum", "test_majority"} <= set(rows[0])
    assert list((run / "tensorboard").rglob("events.*"))


def test_report_is_one_self_contained_page(run: Path, metrics: Any) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    figures = {path.name for path in (run / "figures").iterdir()}
    assert {"accuracy.png", "loss.png", "confusion_raw.png", "confusion_maximum.png", "genres.png"} <= figures
    for track_id, track in metrics["final"]["tracks"].items():
        # With so few tracks each is shown but those of a kind that more than four are of.
        assert track["chunks"]["index"] == sorted(track["chunks"]["index"])
        assert sum(track["votes"]) == len(track["chunks"]["record"]) == 4
        assert track_id.split(".")[0] == track["genre"]
    n_shown = page.count('alt="Log-mel of ')
    assert n_shown % 4 == 0
    assert n_shown >= 4 * 4


def test_the_same_seed_gives_the_same_metrics(dataset: Path, run: Path, metrics: Any, tmp_path: Path) -> None:
    command: list[str | Path] = [
        sys.executable,
        "train.py",
        *OPTIONS,
        "--data",
        dataset,
        "--output",
        tmp_path / "again",
        "--epochs",
        str(EPOCHS),
        "--no-export",
    ]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert json.loads((tmp_path / "again" / "metrics.json").read_text())["epochs"] == metrics["epochs"]
    # As a user sees it: no wall of TensorFlow's own lines.
    assert done.stderr == ""
    # Without a terminal a plain line for each epoch, of at most 80 columns.
    lines = [line for line in done.stdout.splitlines() if line.startswith("Epoch")]
    assert len(lines) == EPOCHS
    for line in lines:
        assert re.fullmatch(r"Epoch \d/6  +\d+ s  loss \d+\.\d{3}  train \d+\.\d%  test \d+\.\d% \d+\.\d% \d+\.\d%", line)
    assert all(len(line) <= 80 for line in lines)
    assert "\x1b" not in done.stdout
    assert "\r" not in done.stdout


def test_outputs_of_a_synthetic_corpus_say_so(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a folder whose name TensorFlow would take for a pattern, exported to another place."""
    shutil.copytree(corpus, tmp_path / "corpus")
    (tmp_path / "corpus" / "corpus.json").write_text('{"name": "beeps", "synthetic": true}')
    data, run, export = tmp_path / "data [1]", tmp_path / "run [é] *", tmp_path / "served [2]"
    build_dataset(BuildOptions(input=str(tmp_path / "corpus"), output=str(data), chunks_per_track=2))
    options = ["--data", str(data), "--output", str(run), "--export", str(export), "--epochs", "1", "--cache-gib", "0", *STOCK]
    assert train.main(options) == 0
    screen = capsys.readouterr().out
    assert "Data     beeps (SYNTHETIC): accuracies on it say nothing about music" in screen
    assert "Test split of SYNTHETIC audio" in screen
    assert re.search(
        r"  band statistics +\d+\.\d\d%   tracks, 95 % interval \d+\.\d to \d+\.\d\n  chance +33\.33%   tracks\n", screen
    )
    assert f"SavedModel  {export / 'genres' / '1'}" in screen
    assert json.loads((run / "metrics.json").read_text())["corpus"] == {"name": "beeps", "synthetic": True}
    assert "Synthetic audio." in (run / "report.html").read_text(encoding="utf-8")
    assert "synthetic" in (run / "history.csv").read_text().splitlines()[0]
    for model in (run, export):
        assert predict.main([str(model), "--json", str(corpus / "hum" / "hum.00000.wav")]) == 0
        captured = capsys.readouterr()
        assert "trained on SYNTHETIC audio" in captured.err
        assert json.loads(captured.out)["synthetic_model"] is True
    assert evaluate.main([str(run), "--data", str(data)]) == 0
    assert "of beeps (SYNTHETIC)" in capsys.readouterr().out


TWO_REPLICAS = """
import sys, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from keras_model import train
sys.exit(train.main(sys.argv[1:]))
"""


@pytest.mark.long  # tests/test_devices.py has two replicas too
def test_two_replicas_share_ragged_batches_and_agree_with_the_saved_model(dataset: Path, tmp_path: Path) -> None:
    """48 records in batches of 46: the last batch has two samples, one for each."""
    run = tmp_path / "run"
    options: list[str | Path] = ["--data", dataset, "--output", run, "--batchnorm", "--batch-size", "46", "--epochs", "2"]
    command: list[str | Path] = [sys.executable, "-c", TWO_REPLICAS, *options, "--learning-rate", "3e-4", "--no-export", *STOCK]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Devices  CPU:0, CPU:1" in done.stdout
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["steps_per_epoch"] == 2
    split = load_split(dataset, read_dataset(dataset), "test", cache_bytes=2**30)
    again = Evaluation.of(load_model(run / "model.keras"), split, GENRES)
    assert again.cross_entropy == pytest.approx(metrics["final"]["cross_entropy"], rel=1e-4)


@pytest.mark.parametrize("precision", ["float64", "mixed_bfloat16"])
def test_the_saved_network_is_float32(dataset: Path, tmp_path: Path, precision: str) -> None:
    options = [
        "--data",
        str(dataset),
        "--output",
        str(tmp_path / "run"),
        "--epochs",
        "1",
        "--precision",
        precision,
        "--ema",
        "0.5",
        "--no-export",
        *STOCK,
    ]
    assert train.main(options) == 0
    model = load_model(tmp_path / "run" / "model.keras", "stock")
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    split = load_split(dataset, read_dataset(dataset), "test", cache_bytes=2**30)
    assert Evaluation.of(model, split, GENRES).cross_entropy == metrics["final"]["cross_entropy"]


def test_a_validation_split_is_used(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After every epoch, and the test split at the end alone; without one, what needs it is refused."""
    data = tmp_path / "data"
    build_dataset(
        BuildOptions(input=str(corpus), output=str(data), chunks_per_track=2, test_fraction=0.34, validation_fraction=0.3)
    )
    run = tmp_path / "run"
    options = ["--data", str(data), "--epochs", "3", "--batch-size", "16", "--learning-rate", "3e-3", "--no-export", *STOCK]
    assert train.main([*options, "--output", str(run), "--keep", "best", "--early-stopping", "1"]) == 0
    screen = capsys.readouterr().out
    lines = [line for line in screen.splitlines() if line.startswith("Epoch")]
    for line in lines:
        assert re.fullmatch(r"Epoch \d/3  .*  val \d+\.\d{3} \d+\.\d% \d+\.\d% \d+\.\d%", line)
        assert len(line) <= 80
    metrics = json.loads((run / "metrics.json").read_text())
    losses = [logs["val_loss"] for logs in metrics["epochs"]]
    assert metrics["kept_epoch"] == 1 + losses.index(min(losses))
    assert not any(name.startswith("test") for logs in metrics["epochs"] for name in logs)
    assert "NA" not in (run / "history.csv").read_text()
    assert {"val_loss", "val_accuracy", "val_maximum", "val_majority"} <= set(
        (run / "history.csv").read_text().split("\n")[0].split(",")
    )
    assert "on the validation split" in (run / "report.html").read_text(encoding="utf-8") or metrics["kept_epoch"] == len(losses)
    split = load_split(data, read_dataset(data), "test", cache_bytes=2**30)
    assert Evaluation.of(load_model(run / "model.keras"), split, GENRES).to_dict() == metrics["final"]
    # Its validation tracks have chosen it: they count as seen.
    assert evaluate.main([str(run), "--data", str(data), "--split", "validation"]) == 2
    assert "was trained on 3 of the tracks of split validation" in capsys.readouterr().err


def test_ctrl_c_saves_what_was_trained(dataset: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command: list[str | Path] = [sys.executable, "train.py", *OPTIONS, "--data", dataset, "--output", folder, "--epochs", "500"]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    history = folder / "history.csv"
    wait_until(lambda: history.exists() and len(history.read_text().splitlines()) > 2, process)
    os.kill(process.pid, signal.SIGINT)
    output, error = end_of(process)
    assert process.returncode == 130
    assert re.search(r"Interrupted: saving what epoch \d+ ended with\.\n", output)
    assert re.search(rf"Go on       \S*python train\.py --resume {folder}\n", output)
    assert "Traceback" not in error
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["interrupted"]
    assert 1 <= len(metrics["epochs"]) < 500  # of two rows at the signal, one is of a finished epoch
    assert len((folder / "history.csv").read_text().splitlines()) == len(metrics["epochs"]) + 1
    assert (folder / "report.html").is_file()
    assert (folder / "export" / "genres" / "1" / "saved_model.pb").is_file()
    manifest: Manifest = read_dataset(dataset)
    assert load_model(folder / "model.keras").output_shape == (None, len(manifest.genres))
