"""The demo corpus, the engines, and the runs on them; all of it ends with the tests, however they end."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from beam_pipeline.corpora.demo import write_demo_corpus
from tests.runners.flink import FlinkCluster
from tests.runners.install import FLINK_JARS, FOLDER, JOB_SERVER_JAR, PRISM
from tests.runners.runs import Run

StartRun = Callable[..., Run]

_NOTES = pytest.StashKey[list[str]]()
_LOGS = pytest.StashKey[Path]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    for line in config.stash.get(_NOTES, []):
        terminalreporter.write_line(line)
    if (folder := config.stash.get(_LOGS, None)) is None:
        return
    if exitstatus:
        terminalreporter.write_line(f"Logs of the runs and the engines: {folder}")
    else:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def notes(pytestconfig: pytest.Config) -> list[str]:
    """Lines to print when all tests have ended."""
    return pytestconfig.stash.setdefault(_NOTES, [])


@pytest.fixture(scope="session")
def logs(pytestconfig: pytest.Config) -> Path:
    """Folder of logs and datasets, which stays if a test fails."""
    for path in (PRISM, FLINK_JARS, JOB_SERVER_JAR):
        if not path.exists():
            pytest.fail(f"{path} is not installed; `make test-runners` does it")
    # A test run that is told to end cleans up as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix=time.strftime("logs-%Y%m%d-%H%M%S-"), dir=FOLDER))
    pytestconfig.stash[_LOGS] = folder
    return folder


@pytest.fixture(scope="session")
def demo(logs: Path) -> Path:
    """The demo corpus: 100 tracks of 30 s."""
    for _ in write_demo_corpus(logs / "demo", workers=os.cpu_count() or 1):
        pass
    return logs / "demo"


@pytest.fixture(scope="session")
def start_run(demo: Path, logs: Path) -> Iterator[StartRun]:
    """A function that starts a run on the demo corpus: its name, and options."""
    with ExitStack() as runs:

        def start(name: str, *options: str | Path) -> Run:
            run = Run(demo, logs, name, *options)
            runs.callback(run.stop)
            return run

        yield start


@pytest.fixture(scope="session")
def expected(start_run: StartRun, notes: list[str]) -> dict[str, str]:
    """What one process makes of the corpus: SHA-256 by file name, and the fingerprint."""
    run = start_run("one-process", "--workers", "1")
    assert run.finish() == 0, run.last_error()
    contents = run.contents()
    notes.append(f"one process     {run.seconds():5.1f} s, fingerprint {contents['fingerprint'][:16]}")
    return contents


@pytest.fixture(scope="session")
def cluster(logs: Path) -> Iterator[FlinkCluster]:
    """A Flink cluster in any state."""
    cluster = FlinkCluster(logs)
    try:
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def flink(cluster: FlinkCluster) -> FlinkCluster:
    """A Flink cluster in which everything is there and free."""
    cluster.complete()
    return cluster
