"""A download that is killed, or ended by Ctrl-C, goes on in the next run; `genres` is whole or absent meanwhile."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from beam_pipeline.gtzan_archive import GTZAN
from tests.archives import ARCHIVE, TRACKS, md5, names_in, tracks_in
from tests.conftest import REPOSITORY
from tests.file_server import FileServer, reach_at_once, serving

# The program itself, with time to interrupt it between two tracks.
SLOW_EXTRACTION = """
import sys, time
from beam_pipeline import download, extraction
write = extraction._write
extraction._write = lambda *arguments: (time.sleep(0.3), write(*arguments))[1]
sys.exit(download.main(sys.argv[1:]))
"""


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.chdir(tmp_path)
    reach_at_once(monkeypatch)
    with serving(ARCHIVE) as server:
        yield server


def start(served: FileServer, *, program: Sequence[str] = ("-m", "beam_pipeline.download")) -> "subprocess.Popen[str]":
    command = [sys.executable, *program, "--url", served.url, "--md5", md5(served.content)]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(process: "subprocess.Popen[str]", happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not happened():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "Ctrl-C"])
def test_interrupted_in_the_download(served: FileServer, how: signal.Signals) -> None:
    archive = GTZAN / ".download" / "genres.tar.gz"
    served.block_seconds = 0.5
    process = start(served)
    wait_for(process, lambda: archive.exists() and archive.stat().st_size > 100_000)
    process.send_signal(how)
    _, error = process.communicate(timeout=10)
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert error.splitlines()[-1] == "download: interrupted; run it again to go on"
    kept = archive.stat().st_size
    assert 100_000 < kept < len(ARCHIVE)
    assert not (GTZAN / "genres").exists()
    served.asked.clear()
    served.block_seconds = 0.0
    process = start(served)
    out, error = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "8 files in data/gtzan/genres\nNext: python run_pipeline.py\n"), error
    assert served.asked == [f"bytes={kept}-"]
    assert tracks_in(GTZAN) == TRACKS
    assert names_in(GTZAN) == {"genres"}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "Ctrl-C"])
def test_interrupted_in_the_extraction(served: FileServer, how: signal.Signals) -> None:
    half_done = GTZAN / ".download" / "genres"
    process = start(served, program=("-c", SLOW_EXTRACTION))
    wait_for(process, lambda: len(tracks_in(half_done)) > 1)
    process.send_signal(how)
    _, error = process.communicate(timeout=10)
    assert process.returncode == (-signal.SIGKILL if how == signal.SIGKILL else 130), error
    assert not (GTZAN / "genres").exists()
    assert half_done.exists() == (how == signal.SIGKILL)
    served.asked.clear()
    process = start(served)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 0, error
    assert served.asked == [], "the archive was there, whole"
    assert tracks_in(GTZAN) == TRACKS
    assert names_in(GTZAN) == {"genres"}
