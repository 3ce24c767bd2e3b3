"""A download that is killed, or ended by Ctrl-C, goes on in the next run; `genres` is whole or absent meanwhile."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from beam_pipeline.corpora.gtzan_archive import GTZAN
from tests.archives import ARCHIVE, TRACKS, md5, names_in, tracks_in
from tests.conftest import REPOSITORY
from tests.file_server import FileServer, reach_at_once, serving
from tests.waiting import HANG_SECONDS, end_of, wait_until

# The program itself, which waits to be interrupted before it extracts the third track.
EXTRACTION_THAT_STOPS = """
import sys, time
from beam_pipeline import download
from beam_pipeline.corpora import archive as extraction
write, n_written = extraction._write, 0
def write_two(*arguments):
    global n_written
    if n_written == 2:
        time.sleep(float(sys.argv[1]))
    n_written += 1
    return write(*arguments)
extraction._write = write_two
sys.exit(download.main(sys.argv[2:]))
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


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "Ctrl-C"])
def test_interrupted_in_the_download(served: FileServer, how: signal.Signals) -> None:
    archive = GTZAN / ".download" / "genres.tar.gz"
    served.stalls, served.stall_seconds = 1, HANG_SECONDS
    process = start(served)
    wait_until(lambda: archive.exists() and archive.stat().st_size > 100_000, process)
    process.send_signal(how)
    _, error = end_of(process)
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert error.splitlines()[-1] == "download: interrupted; run it again to go on"
    kept = archive.stat().st_size
    assert 100_000 < kept < len(ARCHIVE)
    assert not (GTZAN / "genres").exists()
    served.asked.clear()
    process = start(served)
    out, error = end_of(process)
    assert (process.returncode, out) == (0, "8 files in data/gtzan/genres\nNext: python run_pipeline.py\n"), error
    assert served.asked == [f"bytes={kept}-"]
    assert tracks_in(GTZAN) == TRACKS
    assert names_in(GTZAN) == {"genres"}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "Ctrl-C"])
def test_interrupted_in_the_extraction(served: FileServer, how: signal.Signals) -> None:
    half_done = GTZAN / ".download" / "genres"
    process = start(served, program=("-c", EXTRACTION_THAT_STOPS, str(HANG_SECONDS)))
    wait_until(lambda: len(tracks_in(half_done)) > 1, process)
    process.send_signal(how)
    _, error = end_of(process)
    assert process.returncode == (-signal.SIGKILL if how == signal.SIGKILL else 130), error
    assert not (GTZAN / "genres").exists()
    assert half_done.exists() == (how == signal.SIGKILL)
    served.asked.clear()
    process = start(served)
    _, error = end_of(process)
    assert process.returncode == 0, error
    assert served.asked == [], "the archive was there, whole"
    assert tracks_in(GTZAN) == TRACKS
    assert names_in(GTZAN) == {"genres"}
