"""`train.py --resume`: the rest of a killed run, exactly; and what it refuses."""

import dataclasses
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_model import train
from keras_model.networks.classifiers import load_model
from keras_model.run_folder import RunRecord
from tests.conftest import EPOCHS, OPTIONS, REPOSITORY
from tests.test_training_errors import altered
from tfrecords.dataset.folder import read_dataset

# Copies of a process that has imported TensorFlow, and not begun to use it, for its threads would be missing in a copy. Each ends
# itself by SIGKILL at the n-th call of a function, before it or within it. A line of JSON says what and when, one how it ended.
KILLED = """
import importlib, json, os, signal, sys
os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2"}
import keras, tensorflow
from keras_model import train

def dying(function, n_calls, when):
    calls = []
    def call(*arguments, **options):
        calls.append(None)
        if len(calls) == n_calls:
            if when == "after":
                function(*arguments, **options)
            if when == "half":
                arguments[1].write_bytes(b"half of a file")
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return call

def run(function, n_calls, when, arguments):
    module, path = function.split(":")
    *owners, name = path.split(".")
    owner = importlib.import_module(module)
    for attribute in owners:
        owner = getattr(owner, attribute)
    setattr(owner, name, dying(getattr(owner, name), n_calls, when))
    sys.exit(train.main(arguments))

for line in sys.stdin:
    process = os.fork()
    if not process:
        os.dup2(2, 1)
        run(*json.loads(line))
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
"""


class Killed:
    """Trainings that are killed."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", KILLED], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def at(self, function: str, n_calls: int, when: str, *arguments: str | Path) -> None:
        """Trains until a call of a function."""
        told, answers = self._process.stdin, self._process.stdout
        assert told is not None
        assert answers is not None
        print(json.dumps([function, n_calls, when, [str(argument) for argument in arguments]]), file=told, flush=True)
        assert answers.readline() == f"{-signal.SIGKILL}\n"

    def end(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def killed() -> Iterator[Killed]:
    trainings = Killed()
    yield trainings
    trainings.end()


def assert_same_run(folder: Path, run: Path) -> None:
    """Equal in all that does not tell of time or place."""
    resumed, whole = (json.loads((path / "metrics.json").read_text()) for path in (folder, run))
    for name in ("final", "epochs", "kept_epoch", "steps_per_epoch", "steps"):
        assert resumed[name] == whole[name]
    assert (folder / "history.csv").read_text() == (run / "history.csv").read_text()
    assert tensorboard_points(folder) == tensorboard_points(run)
    models = [load_model(path / "model.keras").get_weights() for path in (folder, run)]
    for one, other in zip(*models, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_run_that_is_killed_everywhere_ends_as_if_nothing_had_been(
    killed: Killed, dataset: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At its start, in steps, between and within the files of a backup, and in all that comes after the training."""
    folder = tmp_path / "run"
    fresh: list[str | Path] = [*OPTIONS, "--data", dataset, "--output", folder, "--epochs", str(EPOCHS)]
    killed.at("keras_model.run:RunRecord.write", 1, "before", *fresh)
    assert list(folder.iterdir()) == []
    killed.at("keras_model.run:RunRecord.write", 1, "after", *fresh)  # the folder can be used by a fresh run
    resume: list[str | Path] = ["--resume", folder]
    killed.at("keras_model.training.epoch_log:EpochLines.on_train_batch_end", 8, "after", *resume)  # in the third epoch
    killed.at("keras:Model.save_weights", 1, "half", *resume)
    killed.at("keras_model.training.backup:write_whole", 1, "before", *resume)  # the weights are there, and not their epoch
    killed.at("keras_model.training.backup:write_whole", 1, "after", *resume)
    killed.at("keras_model.training.epoch_log:HistoryFile.on_epoch_end", 2, "after", *resume)
    killed.at("keras_model.run:write_whole", 2, "before", *resume)  # after model.keras, before metrics.json
    killed.at("keras_model.serving.served_model:ServedModel.save", 1, "after", *resume)
    (left,) = (folder / "export" / "genres").iterdir()
    assert left.name.startswith(".export-")

    assert train.main([str(argument) for argument in resume]) == 0
    assert "Epoch" not in capsys.readouterr().out, "all epochs were done before"
    assert [path.name for path in (folder / "export" / "genres").iterdir()] == ["1"]
    assert_same_run(folder, run)
    assert train.main([str(argument) for argument in resume]) == 0
    assert f"{folder} is finished: {EPOCHS} epochs." in capsys.readouterr().out


@pytest.mark.long
def test_with_every_augmentation_a_killed_run_ends_as_if_nothing_had_been(killed: Killed, dataset: Path, tmp_path: Path) -> None:
    every = ["--augment", "spec", "--mixup", "0.3", "--random-crop", "4", "--band-shift", "2"]
    every += ["--label-smoothing", "0.1", "--ema", "0.9"]
    rate = ("--learning-rate-warmup", "4", "--learning-rate-decay", "cosine")
    options = [*OPTIONS, *every, *rate, "--data", str(dataset), "--epochs", "3", "--no-export"]
    options += ["--convolution", "fused"]
    assert train.main([*options, "--output", str(tmp_path / "whole")]) == 0
    killed.at(
        "keras_model.training.epoch_log:EpochLines.on_train_batch_end", 5, "after", *options, "--output", tmp_path / "parts"
    )
    assert train.main(["--resume", str(tmp_path / "parts")]) == 0
    assert_same_run(tmp_path / "parts", tmp_path / "whole")


def tensorboard_points(run: Path) -> dict[str, dict[int, float]]:
    """The value of each epoch; one that was done again has its value twice, and the same."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    events = EventAccumulator(str(run / "tensorboard" / "train"), size_guidance={"tensors": 0})
    events.Reload()
    names = [name for name in events.Tags()["tensors"] if name.startswith("epoch_")]
    assert {"epoch_loss", "epoch_test_maximum", "epoch_learning_rate"} <= set(names)
    points: dict[str, dict[int, float]] = {}
    for name in names:
        of_name = points[name] = {}
        for event in events.Tensors(name):
            value = float(make_ndarray(event.tensor_proto))
            assert of_name.setdefault(event.step, value) == value
    return points


@pytest.fixture
def finished(run: Path, tmp_path: Path) -> Path:
    """A copy of a finished run."""
    return Path(shutil.copytree(run, tmp_path / "copy", ignore=shutil.ignore_patterns("export", "tensorboard", "figures")))


def test_a_finished_run_can_be_prolonged(finished: Path, metrics: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(["--resume", str(finished), "--epochs", str(EPOCHS + 1)]) == 0
    assert f"Epoch {EPOCHS}/" not in capsys.readouterr().out
    prolonged = json.loads((finished / "metrics.json").read_text())
    assert prolonged["epochs"][:EPOCHS] == metrics["epochs"]
    assert len(prolonged["epochs"]) == EPOCHS + 1
    assert RunRecord.read(finished).options.epochs == EPOCHS + 1
    assert (finished / "export" / "genres" / "1").is_dir(), "a run that was moved keeps to its folder"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--learning-rate", "1e-3"], r"--learning-rate cannot be changed by --resume"),
        (["--output", "elsewhere", "--no-xla"], r"--output, --xla cannot be changed by --resume"),
        (["--epochs", "5"], r"--epochs can only prolong a run: .* has 6, got 5"),
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
