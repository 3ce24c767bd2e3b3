"""Every Beam engine writes the same bytes."""

import re

import pytest

from tests.runners.conftest import StartRun
from tests.runners.flink import FlinkCluster
from tests.runners.install import PRISM
from tests.runners.processes import wait_until
from tests.runners.runs import Run

pytestmark = pytest.mark.runners


def check(run: Run, expected: dict[str, str], notes: list[str], *, runner: str) -> None:
    assert run.finish() == 0, run.last_error()
    wait_until(run.is_gone, "what the run has started ends with it", seconds=15)
    assert run.says(f"Runner +{runner}")
    assert run.contents() == expected
    notes.append(f"{run.dataset.name:15} {run.seconds():5.1f} s, the same {len(expected) - 1} files")


def test_what_is_compared(expected: dict[str, str]) -> None:
    assert sorted(re.sub("-[0-9a-f]{8}(?=[-.])", "-#", name) for name in expected) == [
        "README.md",
        "croissant.json",
        "dataset.json",
        "dataset_info.json",
        "fingerprint",
        "rejected.jsonl",
        *(f"test-#-0000{number}-of-00003.tfrecord" for number in range(3)),
        "tracks-#.jsonl",
        *(f"train-#-0000{number}-of-00003.tfrecord" for number in range(3)),
    ]


def test_two_processes(start_run: StartRun, expected: dict[str, str], notes: list[str]) -> None:
    check(start_run("two-processes", "--workers", "2"), expected, notes, runner="DirectRunner .*2 worker processes")


def test_prism(start_run: StartRun, expected: dict[str, str], notes: list[str]) -> None:
    run = start_run("prism", "--runner", "PrismRunner", "--prism_location", PRISM)
    check(run, expected, notes, runner="PrismRunner")


def test_flink(start_run: StartRun, flink: FlinkCluster, expected: dict[str, str], notes: list[str]) -> None:
    check(start_run("flink", *flink.options()), expected, notes, runner="FlinkRunner")
    job = flink.newest_job()
    assert job["state"] == "FINISHED"
    assert flink.n_failures(job) == 0
    assert flink.hosts_of(job) == flink.hosts
