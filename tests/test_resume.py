"""`train.py --resume`: the rest of a killed run, exactly; and what it refuses."""

import dataclasses
import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras_model.run_options import RunOptions

import train
from keras_model.training.fit import load_model
from tests.conftest import EPOCHS, OPTIONS, REPOSITORY
from tests.test_training import altered
from tfrecords.manifest import read_dataset

# A process that ends itself by SIGKILL as soon as it has made so many steps: before their checkpoint.
KILLED = """
import os, signal, sys
from keras_model.training.progress import Progress
import train

add = Progress.add
def add_and_die(self, rows):
    add(self, rows)
    if self.global_step >= int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
Progress.add = add_and_die
sys.exit(train.main(sys.argv[2:]))
"""


def kill_at(step: int, *arguments: str | Path) -> None:
    command: list[str | Path] = [sys.executable, "-c", KILLED, str(step), *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def checkpoints_of(run: Path) -> list[Path]:
    return sorted((run / "checkpoints").glob("step-*.npz"))


def test_a_killed_run_ends_as_if_nothing_had_been(
    dataset: Path, run: Path, metrics: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed in its third epoch and in its sixth, then the newest checkpoint is damaged."""
    folder = tmp_path / "run"
    kill_at(8, *OPTIONS, "--data", dataset, "--output", folder, "--epochs", str(EPOCHS), "--checkpoint-seconds", "0")
    assert not (folder / "metrics.json").exists()
    kill_at(17, "--resume", folder)
    newest = checkpoints_of(folder)[-1]
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)

    assert train.main(["--resume", str(folder)]) == 0
    screen = capsys.readouterr().out
    assert f"Checkpoint {newest} is damaged (its SHA-256 differs): looking for the one before" in screen
    assert re.search(r"Resumed  after step \d of 3 of epoch [456]\n", screen)
    resumed = json.loads((folder / "metrics.json").read_text())
    for name in ("final", "epochs", "steps", "steps_per_epoch"):
        assert resumed[name] == metrics[name]
    assert (folder / "history.csv").read_text() == (run / "history.csv").read_text()
    assert tensorboard_points(folder) == tensorboard_points(run)
    models = [load_model(path / "model.keras").get_weights() for path in (folder, run)]
    for one, other in zip(*models, strict=True):
        np.testing.assert_array_equal(one, other)
    states = [np.load(checkpoints_of(path)[-1]) for path in (folder, run)]
    for name in set(states[0].files) - {"meta"}:
        np.testing.assert_array_equal(states[0][name], states[1][name], err_msg=name)

    assert train.main(["--resume", str(folder)]) == 0
    assert f"{folder} is finished: {EPOCHS} epochs." in capsys.readouterr().out


def test_with_every_augmentation_a_killed_run_ends_as_if_nothing_had_been(dataset: Path, tmp_path: Path) -> None:
    every = ("--augment", "spec", "--mixup", "0.3", "--random-crop", "4", "--label-smoothing", "0.1", "--ema", "0.9")
    rate = ("--learning-rate-warmup", "4", "--learning-rate-decay", "cosine")
    options = [*OPTIONS, *every, *rate, "--data", str(dataset), "--epochs", "3"]
    assert train.main([*options, "--output", str(tmp_path / "whole")]) == 0
    kill_at(5, *options, "--output", tmp_path / "parts", "--checkpoint-seconds", "0")
    assert train.main(["--resume", str(tmp_path / "parts")]) == 0
    models = [load_model(tmp_path / name / "model.keras").get_weights() for name in ("whole", "parts")]
    for one, other in zip(*models, strict=True):
        np.testing.assert_array_equal(one, other)


def tensorboard_points(run: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    events = EventAccumulator(str(run / "tensorboard" / "train"), size_guidance={"tensors": 0})
    events.Reload()
    names = [name for name in events.Tags()["tensors"] if name.startswith("epoch_")]
    assert {"epoch_loss", "epoch_test_maximum", "epoch_learning_rate"} <= set(names)
    return {name: [(event.step, float(make_ndarray(event.tensor_proto))) for event in events.Tensors(name)] for name in names}


@pytest.fixture
def finished(run: Path, tmp_path: Path) -> Path:
    """A copy of a finished run."""
    return Path(shutil.copytree(run, tmp_path / "copy", ignore=shutil.ignore_patterns("export", "tensorboard", "figures")))


def test_a_finished_run_can_be_prolonged(
    finished: Path, metrics: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train.main(["--resume", str(finished), "--epochs", str(EPOCHS + 1)]) == 0
    assert f"Epoch {EPOCHS}/" not in capsys.readouterr().out
    prolonged = json.loads((finished / "metrics.json").read_text())
    assert prolonged["epochs"][:EPOCHS] == metrics["epochs"]
    assert len(prolonged["epochs"]) == EPOCHS + 1
    assert RunOptions.read(finished).options.epochs == EPOCHS + 1
    assert (finished / "export" / "genres" / "1").is_dir(), "a run that was moved keeps to its folder"

    def decaying(options: Any, total_steps: int) -> Any:
        return keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(options.learning_rate, total_steps))

    monkeypatch.setattr("keras_model.training.fit.build_optimizer", decaying)
    assert train.main(["--resume", str(finished), "--epochs", str(EPOCHS + 2)]) == 2
    assert "--epochs cannot prolong" in capsys.readouterr().err
    assert RunOptions.read(finished).options.epochs == EPOCHS + 1


def test_without_a_checkpoint_a_run_starts_anew(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], run: Path
) -> None:
    """Killed within its first minute; here, asked for one epoch."""
    before = RunOptions.read(run)
    folder = tmp_path / "run"
    folder.mkdir()
    dataclasses.replace(
        before, options=dataclasses.replace(before.options, output=folder, export=None, epochs=1), finished=False
    ).write()
    assert train.main(["--resume", str(folder)]) == 0
    assert "Resumed  from the beginning, for there is no checkpoint that can be used" in capsys.readouterr().out
    rows = (folder / "history.csv").read_text().splitlines()
    assert rows == (run / "history.csv").read_text().splitlines()[:2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--learning-rate", "1e-3"], r"--learning-rate cannot be changed by --resume"),
        (["--output", "elsewhere", "--no-xla"], r"--output, --xla cannot be changed by --resume"),
        (["--epochs", "7"], r"--epochs can only prolong a run: .* has 8, got 7"),
    ],
)
def test_options_that_would_change_the_result_are_refused(
    finished: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main(["--resume", str(finished), *options]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert re.search(message, error)


def test_another_dataset_is_refused(finished: Path, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = Path(shutil.copytree(dataset, tmp_path / "other"))
    manifest = read_dataset(dataset)
    (other / "dataset.json").write_text(dataclasses.replace(manifest, seed=manifest.seed + 1).to_json())
    assert train.main(["--resume", str(finished), "--epochs", "9", "--data", str(other)]) == 2
    assert "was started with another dataset: the fingerprint was" in capsys.readouterr().err
    assert altered(dataset, tmp_path / "damaged", "flipped bit").is_dir()
    assert train.main(["--resume", str(finished), "--epochs", "9", "--data", str(tmp_path / "damaged")]) == 2
    assert "was altered: its SHA-256 differs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('"seed": 0', '"seed": 1'), r"options\.json is damaged \(its content does not match its SHA-256\)"),
        (('"options"', '"option"'), r"options\.json is damaged"),
        (None, r"cannot be resumed: options\.json cannot be read \(No such file or directory\)"),
    ],
)
def test_a_folder_that_is_no_run_is_refused(
    finished: Path, change: tuple[str, str] | None, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = finished / "options.json"
    if change is None:
        path.unlink()
    else:
        path.write_text(path.read_text().replace(*change))
    assert train.main(["--resume", str(finished)]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert re.search(message, error)
