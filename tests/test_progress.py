"""Progress bars are only looked at: work goes on where standard error cannot be written any more."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.helpers import WriteCorpus, build, digests
from tests.waiting import HANG_SECONDS

# A run that is followed by a bar, whose standard error is exchanged for the descriptor in its last argument after a while.
FOLLOWED = """
import os, sys, time
from pathlib import Path
from beam_pipeline.runners import progress
progress._POLL_SECONDS, progress._draw_seconds = 0.01, lambda: 0.0
with progress.progress_of(Path(sys.argv[1]), n_tracks=50):
    for done in range(50):
        with Path(sys.argv[1], "worker").open("ab") as file:
            file.write(b".")
        if done == 25:
            os.dup2(int(sys.argv[2]), 2)
        time.sleep(0.02)
print("done")
"""


def a_pipe_without_a_reader() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def a_full_disk() -> int:
    return os.open("/dev/full", os.O_WRONLY)


@pytest.fixture(params=[a_pipe_without_a_reader, a_full_disk], ids=["pipe without a reader", "full disk"])
def lost(request: pytest.FixtureRequest) -> Iterator[int]:
    descriptor = request.param()
    yield descriptor
    os.close(descriptor)


def test_a_bar_that_another_thread_draws(lost: int, tmp_path: Path) -> None:
    command: list[str | Path] = [sys.executable, "-c", FOLLOWED, tmp_path, str(lost)]
    done = subprocess.run(
        command, cwd=REPOSITORY, pass_fds=[lost], capture_output=True, text=True, check=False, timeout=HANG_SECONDS
    )
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert "Tracks:" in done.stderr
    assert "50/50" not in done.stderr


def test_a_dataset_is_whole(lost: int, write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus = write_corpus()
    command: list[str | Path] = [sys.executable, "run_pipeline.py", "--input", corpus, "--output", tmp_path / "out"]
    command += ["--workers", "1", "--chunks-per-track", "4"]
    done = subprocess.run(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=lost, text=True, check=False, timeout=HANG_SECONDS
    )
    assert done.returncode == 0
    build(corpus, tmp_path / "undisturbed")
    assert digests(tmp_path / "out") == digests(tmp_path / "undisturbed")
