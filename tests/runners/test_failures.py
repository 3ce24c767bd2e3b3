"""What dies in the middle of a run on Flink costs time, or the run; it never costs a record, and never doubles one."""

import time
from typing import Any

import pytest

from tests.runners.conftest import StartRun
from tests.runners.flink import FlinkCluster, Host
from tests.runners.processes import wait_until
from tests.runners.runs import RUN_SECONDS, Run

pytestmark = pytest.mark.runners


def kill_a_task_manager(host: Host) -> None:
    host.task_manager.kill()


def kill_a_worker_pool(host: Host) -> None:
    """And start another one, as what watches over a real pool does."""
    host.pool.kill()
    host.start_pool()


def tracks_are_decoded(run: Run, _job: dict[str, Any]) -> bool:
    return run.decodes()


def shards_are_written(run: Run, _job: dict[str, Any]) -> bool:
    return bool(run.shard_files())


def job_in_the_middle(flink: FlinkCluster, run: Run, moment: Any, *, before: str | None) -> dict[str, Any]:
    """Waits until a run's job has come to a moment."""

    def job_at_moment() -> dict[str, Any]:
        run.check()
        job = flink.newest_job()
        return job if job.get("jid") != before and job.get("state") == "RUNNING" and moment(run, job) else {}

    return wait_until(job_at_moment, f"a job in which {moment.__name__}", seconds=RUN_SECONDS)


def assert_no_dataset(run: Run) -> None:
    assert run.last_error().startswith("run_pipeline.py: the pipeline failed: ")
    assert not (run.dataset / "dataset.json").exists()


@pytest.mark.parametrize("moment", [tracks_are_decoded, shards_are_written])
@pytest.mark.parametrize("kill", [kill_a_task_manager, kill_a_worker_pool])
def test_the_same_bytes_or_no_dataset(
    start_run: StartRun, flink: FlinkCluster, expected: dict[str, str], notes: list[str], kill: Any, moment: Any
) -> None:
    before = flink.newest_job().get("jid")
    name = f"{kill.__name__}-{moment.__name__}".replace("_", "-")
    run = start_run(name, *flink.options())
    job = job_in_the_middle(flink, run, moment, before=before)
    killed_at = time.monotonic()
    kill(flink.working_host(job))
    status = run.finish()
    seconds = time.monotonic() - killed_at
    n_failures = flink.n_failures(job)
    assert n_failures > 0, "the job was not disturbed: it ended too soon"
    if status == 0:
        assert run.contents() == expected
        outcome = f"recovered from {n_failures} failure(s), the same {len(expected) - 1} files"
    else:
        assert status == 1
        assert_no_dataset(run)
        outcome = "failed cleanly, no dataset"
    notes.append(f"{name}: {outcome}, {seconds:.1f} s after the kill")


def test_a_pool_that_stays_away_fails_the_run(start_run: StartRun, flink: FlinkCluster, notes: list[str]) -> None:
    before = flink.newest_job().get("jid")
    run = start_run("a-worker-pool-stays-away", *flink.options())
    job = job_in_the_middle(flink, run, tracks_are_decoded, before=before)
    killed_at = time.monotonic()
    flink.working_host(job).pool.kill()
    assert run.finish() == 1
    assert_no_dataset(run)
    assert flink.newest_job()["state"] == "FAILED"
    notes.append(f"{run.dataset.name}: failed cleanly, no dataset, {time.monotonic() - killed_at:.1f} s after the kill")
