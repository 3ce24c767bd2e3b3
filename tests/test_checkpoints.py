"""Checkpoints: exact, whole or passed over, and never of another training."""

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from keras_model.training.checkpoints import Checkpoint, Checkpoints
from tfrecords.errors import UsageError

ARRAYS: dict[str, NDArray[Any]] = {
    "model/000": np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32),
    "model/001": np.array([17, 2**32 - 1], np.uint32),
    "optimizer/000": np.array(9, np.int64),
}


def checkpoints_of(folder: Path, *, identity: str = "this") -> Checkpoints:
    return Checkpoints(folder / "checkpoints", identity=identity)


def write(checkpoints: Checkpoints, step: int) -> None:
    checkpoints.write(Checkpoint(arrays=ARRAYS, progress={"step": step, "loss": 0.1 + 0.2}), step=step)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    write(checkpoints_of(tmp_path), 7)
    checkpoint = checkpoints_of(tmp_path).newest()
    assert checkpoint is not None
    assert checkpoint.progress == {"step": 7, "loss": 0.1 + 0.2}
    assert checkpoint.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert checkpoint.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(checkpoint.arrays[name], array)


def test_the_two_newest_are_kept(tmp_path: Path) -> None:
    assert checkpoints_of(tmp_path).newest() is None
    checkpoints = checkpoints_of(tmp_path)
    for step in (1, 20, 300, 300):
        write(checkpoints, step)
        (tmp_path / "checkpoints" / ".step-x.part").touch()  # of a process that was killed
    write(checkpoints, 4000)
    assert names(tmp_path) == ["step-000000300.npz", "step-000004000.npz"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans())
def test_a_damaged_one_is_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str], at: float, bit: int, cut: bool) -> None:
    checkpoints = checkpoints_of(tmp_path)
    write(checkpoints, 5)
    write(checkpoints, 6)
    path = tmp_path / "checkpoints" / "step-000000006.npz"
    data = bytearray(path.read_bytes())
    place = int(at * len(data))
    if cut:
        del data[place:]
    else:
        data[place] ^= 1 << bit
    path.write_bytes(data)
    capsys.readouterr()
    again = checkpoints_of(tmp_path)
    checkpoint = again.newest()
    assert checkpoint is not None
    assert checkpoint.progress["step"] == 5
    assert capsys.readouterr().out == f"Checkpoint {path} is damaged (its SHA-256 differs): looking for the one before\n"
    # The damaged one does not count as one of the two that are kept.
    write(again, 6)
    assert names(tmp_path) == ["step-000000005.npz", "step-000000006.npz"]


def test_nothing_is_unpickled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "checkpoints").mkdir()
    buffer = io.BytesIO()
    np.savez(buffer, meta=np.array([{"format": 1}], dtype=object))
    data = buffer.getvalue()
    (tmp_path / "checkpoints" / "step-000000001.npz").write_bytes(data + hashlib.sha256(data).digest())
    assert checkpoints_of(tmp_path).newest() is None
    assert "Object arrays cannot be loaded" in capsys.readouterr().out


def test_one_of_another_training_is_refused(tmp_path: Path) -> None:
    write(checkpoints_of(tmp_path, identity="other"), 1)
    with pytest.raises(UsageError, match=r"step-000000001\.npz is of a training with other options or data"):
        checkpoints_of(tmp_path).newest()


def test_a_disk_that_does_not_take_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "checkpoints").write_text("a file where the folder should be")
    write(checkpoints_of(tmp_path), 1)
    assert "step-000000001.npz could not be written: File exists; the training goes on" in capsys.readouterr().out


def test_when_the_next_one_is_due(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path, identity="", seconds=0).due()
    assert not Checkpoints(tmp_path, identity="", seconds=1000).due()
