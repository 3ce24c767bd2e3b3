"""Several replicas, and several machines: what they train together is what one would train alone."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import train
from keras_model.training.cluster import Cluster
from tests.conftest import REPOSITORY
from tests.waiting import end_of, wait_until
from tfrecords.errors import UsageError

TOLERANCE = 1e-9


def test_two_and_four_replicas_train_as_one(tmp_path: Path) -> None:
    """Fifty steps in float64, with batch norm, L1 and averaged weights; the last batch of an epoch has 50 samples, or 1."""
    commands = [
        [sys.executable, "-m", "tests.replicas", str(n_replicas), str(tmp_path / f"{n_replicas}.npz")] for n_replicas in (1, 2, 4)
    ]
    processes = [subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True) for command in commands]
    for process in processes:
        _, error = process.communicate()
        assert process.returncode == 0, error
    one, two, four = (np.load(tmp_path / f"{n_replicas}.npz") for n_replicas in (1, 2, 4))
    assert {name.split("/")[0] for name in one.files} == {"last_50", "last_1", "shallow", "scale", "is_finite"}
    assert two.files == one.files
    assert {name.split("/")[0] for name in four.files} == {"last_50", "last_1", "scale", "is_finite"}
    for several in (two, four):
        assert set(several.files) <= set(one.files)
        for name in (name for name in several.files if "/" in name):
            assert one[name].dtype == several[name].dtype
            np.testing.assert_allclose(several[name], one[name], atol=TOLERANCE, rtol=0, err_msg=name)
    # Gradients that overflow on one replica only: all skip the step.
    assert (two["scale"], two["is_finite"]) == (2.0**14, True)


def free_ports(n: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def start_workers(folder: Path, *arguments: str | Path) -> list[subprocess.Popen[str]]:
    """Two workers; each one's working folder is a new one, in `folder`."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    workers = []
    for index in range(2):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        (folder / str(index)).mkdir(parents=True)
        environment = os.environ | {"TF_CONFIG": json.dumps(config)}
        command = [sys.executable, REPOSITORY / "train.py", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        workers.append(subprocess.Popen(command, cwd=folder / str(index), env=environment, text=True, **pipes))  # type: ignore[call-overload]
    return workers


def state_of(run: Path) -> dict[str, Any]:
    with np.load(sorted((run / "checkpoints").iterdir())[-1]) as archive:
        return {name: archive[name] for name in archive.files if name != "meta"}


def test_two_machines_train_as_one_also_after_one_was_lost(dataset: Path, tmp_path: Path) -> None:
    """48 records in batches of 17, on two processes; the chief is killed and both go on, to the weights of one process."""
    options: list[str | Path] = [
        "--data",
        dataset,
        "--batchnorm",
        "--dropout",
        "0",
        "--precision",
        "float64",
        "--batch-size",
        "17",
    ]
    options += ["--epochs", "2"]
    run, alone = tmp_path / "run", tmp_path / "alone"
    chief, other = start_workers(tmp_path / "first", *options, "--output", run, "--checkpoint-seconds", "0")
    wait_until(lambda: any(run.glob("checkpoints/step-*.npz")), chief, other)
    os.kill(chief.pid, signal.SIGKILL)
    chief.communicate()
    output, error = end_of(other)
    assert other.returncode == 1
    assert "train.py: another worker was lost or cannot be reached" in error.splitlines()[-1]
    assert output == "Workers  waiting for all 2\n"

    workers = start_workers(tmp_path / "second", "--resume", run)
    (chief_output, _), (output, error) = (end_of(worker) for worker in workers)
    assert [worker.returncode for worker in workers] == [0, 0], error
    assert "Devices  worker 0: CPU:0, worker 1: CPU:0" in chief_output
    assert "Epoch 2/2" in chief_output
    assert output == "Workers  waiting for all 2\n", "only the chief talks"
    for folder in ("first", "second"):
        assert [path.name for path in (tmp_path / folder).rglob("*")] == ["0", "1"], "no worker writes anything else"

    assert train.main([str(option) for option in (*options, "--output", alone)]) == 0
    ours, theirs = state_of(alone), state_of(run)
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_allclose(theirs[name], array, atol=TOLERANCE, rtol=0, err_msg=name)
    assert {path.name for path in run.iterdir()} == {path.name for path in alone.iterdir()}


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ({"type": "worker", "index": 0}, Cluster(n_workers=3, is_chief=False)),
        ({"type": "chief", "index": 0}, Cluster(n_workers=3, is_chief=True)),
        ({"type": "worker", "index": 2}, None),
        ({"type": "evaluator", "index": 0}, None),
        ({}, None),
    ],
)
def test_the_cluster_is_read_from_the_environment(
    task: dict[str, Any], expected: Cluster | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": {"chief": ["a:1"], "worker": ["b:1", "c:1"]}, "task": task}))
    if expected is None:
        with pytest.raises(UsageError, match="TF_CONFIG"):
            Cluster.from_environment()
    else:
        assert Cluster.from_environment() == expected
    monkeypatch.setenv("TF_CONFIG", "{")
    with pytest.raises(UsageError, match="TF_CONFIG must name cluster and task as TensorFlow documents it, got '{'"):
        Cluster.from_environment()
    monkeypatch.delenv("TF_CONFIG")
    assert Cluster.from_environment() == Cluster(n_workers=1, is_chief=True)
