"""Once a job is submitted, nobody has to wait for it: its last step publishes the dataset."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runners.conftest import StartRun
from tests.runners.flink import FlinkCluster
from tests.runners.install import PRISM
from tests.runners.processes import Process, free_port, listens, wait_until
from tests.runners.runs import RUN_SECONDS, Run

pytestmark = pytest.mark.runners


@pytest.fixture
def prism(logs: Path) -> Iterator[list[str]]:
    """A Prism and a pool of workers that no driver started; yields the options that lead to them."""
    job_port, pool_port = free_port(), free_port()
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    pool_command = [sys.executable, "-m", "tests.runners.worker_pool", f"127.0.0.1:{pool_port}"]
    processes = [
        Process([PRISM, "-job_port", str(job_port), "-serve_http=false"], output=logs / "prism-server.log"),
        Process(pool_command, output=logs / "prism-pool.log", env={"PATH": path}),
    ]
    try:
        wait_until(lambda: listens(job_port) and listens(pool_port), "Prism and its pool listen", seconds=30)
        yield [
            *("--runner", "PortableRunner", "--job_endpoint", f"127.0.0.1:{job_port}"),
            *("--environment_type", "EXTERNAL", "--environment_config", f"127.0.0.1:{pool_port}"),
        ]
    finally:
        for process in processes:
            process.stop()


def killed_while_it_decodes(run: Run) -> None:
    wait_until(run.decodes, "a first track is decoded", seconds=RUN_SECONDS)
    assert not run.is_published()
    run.kill()
    assert not run.is_published(), "the driver was killed too late"


def assert_published(run: Run, expected: dict[str, str]) -> None:
    wait_until(run.is_published, "the dataset is published", seconds=RUN_SECONDS)
    assert run.contents() == expected


def test_on_flink_a_driver_that_is_killed_is_not_missed(
    start_run: StartRun, flink: FlinkCluster, expected: dict[str, str], notes: list[str]
) -> None:
    run = start_run("flink-driver-killed", *flink.options())
    killed_while_it_decodes(run)
    assert_published(run, expected)
    notes.append("Flink without a driver: the same files")


def test_on_prism_a_driver_that_is_killed_is_not_missed(
    start_run: StartRun, prism: list[str], expected: dict[str, str], notes: list[str]
) -> None:
    run = start_run("prism-driver-killed", *prism)
    killed_while_it_decodes(run)
    assert_published(run, expected)
    notes.append("Prism without a driver: the same files")


def test_no_wait(start_run: StartRun, flink: FlinkCluster, expected: dict[str, str]) -> None:
    run = start_run("no-wait", *flink.options(), "--no-wait")
    assert run.finish() == 0
    assert run.says("Dataset .*once the job is done")
    assert_published(run, expected)
