"""Several replicas: what they train together is what one would train alone."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_model import train
from keras_model.options import TrainOptions
from keras_model.training.fit import _check_devices
from tests.conftest import REPOSITORY
from tests.tiny_training import noise
from tfrecords.errors import UsageError

TOLERANCE = 1e-9


@pytest.mark.parametrize("n_replicas", [2, pytest.param(4, marks=pytest.mark.long)])
def test_several_replicas_train_as_one(tmp_path: Path, n_replicas: int) -> None:
    """Up to fifty steps in float64, with and without batch norm, with averaged weights; last batches of 50 samples, and of 1."""
    commands = [[sys.executable, "-m", "tests.replicas", str(n), str(tmp_path / f"{n}.npz")] for n in (1, n_replicas)]
    processes = [subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True) for command in commands]
    for process in processes:
        _, error = process.communicate()
        assert process.returncode == 0, error
    one, several = (np.load(tmp_path / f"{n}.npz") for n in (1, n_replicas))
    small = {"last_50", "last_1", "last_50_plain", "last_1_plain", "masks"}
    assert {name.split("/")[0] for name in one.files} == small | {"shallow"}
    assert {name.split("/")[0] for name in several.files} == (small | {"shallow"} if n_replicas == 2 else small)
    for name in (name for name in several.files if "/" in name):
        assert one[name].dtype == several[name].dtype
        np.testing.assert_allclose(several[name], one[name], atol=TOLERANCE, rtol=0, err_msg=name)
    # Dropout draws anew in each epoch and on each replica, and the first replica draws as the only one would.
    for n, states in ((1, one["masks"]), (n_replicas, several["masks"])):
        assert len({tuple(state) for state in states}) == len(states) == 2 * n
        np.testing.assert_array_equal(states[::n], one["masks"])


@pytest.mark.parametrize(
    ("options", "n_records", "message"),
    [
        ({"xla": True}, 64, "--xla compiles for one device, and there are 2"),
        ({"precision": "mixed_float16"}, 64, "--precision mixed_float16 is for one device, and there are 2; take mixed_bfloat16"),
        ({"batch_size": 47}, 64, "--batch-size must be a multiple of 2, and the train split have as many records, got 47 and 64"),
        ({"batch_size": 64}, 51, "--batch-size must be a multiple of 2, and the train split have as many records, got 64 and 51"),
    ],
)
def test_what_several_devices_cannot_train_is_refused(options: dict[str, Any], n_records: int, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        _check_devices(TrainOptions(**options), 2, noise(n_records))
    assert message in str(caught.value)
    _check_devices(TrainOptions(**options), 1, noise(n_records))


def test_several_machines_are_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}')
    assert train.main([]) == 2
    assert capsys.readouterr().err == "train.py: TF_CONFIG names machines that train together, and this trains on one: unset it\n"
