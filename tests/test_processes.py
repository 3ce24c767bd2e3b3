"""Work in processes of their own: what crashes one, hangs in it or has it killed."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from beam_pipeline.extract.extracted import Done
from beam_pipeline.extract.extractor import TrackExtractor
from beam_pipeline.options import MaxRejected
from beam_pipeline.processes import ProcessMap, WorkerDiedError
from beam_pipeline.track import Track
from tests.conftest import REPOSITORY
from tests.helpers import WriteCorpus, build, json_lines, tracks_of
from tests.waiting import wait_until

LIBC = ctypes.PyDLL(None)  # its functions keep Python's lock, as a decoder in C may


def work(element: str) -> str:
    """Does what its element says."""
    if element == "crash":
        ctypes.string_at(0)
    if element == "abort":
        os.abort()
    if element == "hang":
        LIBC.sleep(60)
    if element == "error":
        raise ValueError("its own")
    if element.startswith("/"):  # killed the first time
        if not Path(element).exists():
            Path(element).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return "survived"
    if element == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    return element.upper()


def lost(element: str, kind: str, reason: str) -> str:
    return f"{element} {kind}: {reason}"


def results(elements: list[str], *, n_processes: int = 2, n_at_once: int = 3, timeout: float = 30.0) -> Iterator[str]:
    process_map: ProcessMap[str, str] = ProcessMap(work, n_processes=n_processes, n_at_once=n_at_once, timeout=timeout, lost=lost)
    for element in elements:
        yield from process_map.add(element)
    yield from process_map.finish()


def test_what_crashes_a_process_costs_itself_alone() -> None:
    elements = [f"a{number}" for number in range(20)]
    elements[4], elements[5], elements[13] = "crash", "crash", "abort"
    expected = [element.upper() for element in elements]
    expected[4] = expected[5] = "crash crashes: crashes the process that works at it: Segmentation fault"
    expected[13] = "abort crashes: crashes the process that works at it: Aborted"
    assert list(results(elements)) == expected


@pytest.mark.parametrize("n_processes", [1, 2])
def test_what_hangs_is_given_up(n_processes: int) -> None:
    elements = ["a", "b", "hang", "c", "d", "e", "f"]
    found = list(results(elements, n_processes=n_processes, timeout=1.5))
    assert found.pop(2) == "hang takes too long: takes longer than the 1.5 s that --track-timeout allows"
    assert found == ["A", "B", "C", "D", "E", "F"]


def test_what_a_process_was_at_when_it_was_killed_is_done_again(tmp_path: Path) -> None:
    elements = [*"abc", str(tmp_path / "killed"), *"defg"]
    assert list(results(elements)) == [*"ABC", "survived", *"DEFG"]


def test_processes_that_are_killed_again_and_again_are_an_error() -> None:
    with pytest.raises(WorkerDiedError, match="worker processes were killed, 3 times one after the other"):
        list(results(["a", "kill", "b"]))
    assert list(results(["a", "b"])) == ["A", "B"], "the next has processes again"


def test_an_error_is_raised_as_it_is_and_ends_no_process() -> None:
    with pytest.raises(ValueError, match="its own"):
        list(results(["a", "error", "b"], timeout=0.5))
    assert list(results(["a", "b"])) == ["A", "B"]


def test_without_a_word_for_the_lost_a_crash_is_an_error() -> None:
    process_map: ProcessMap[str, str] = ProcessMap(work, n_processes=1)
    assert list(process_map.add("crash")) == []
    with pytest.raises(WorkerDiedError, match="an element crashes the process that works at it: Segmentation fault"):
        list(process_map.finish())


class Poisoned(TrackExtractor):
    """Stands for a decoder with faults: no file is known that crashes this one."""

    def __call__(self, track: Track) -> Done:
        if "poison" in track.track_id:
            work(track.track_id.rpartition("-")[2])
        return super().__call__(track)


def test_poison_costs_a_track_each_and_not_the_run(
    write_corpus: WriteCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = write_corpus(n_tracks=6)
    for poison in ("crash", "hang", "abort"):
        os.link(corpus / "genres" / "hum" / "hum.00000.wav", corpus / "genres" / "hum" / f"poison-{poison}.wav")
    monkeypatch.setattr("beam_pipeline.transform.TrackExtractor", Poisoned)
    result = build(corpus, tmp_path / "out", workers=2, track_timeout=2.0, max_rejected=MaxRejected(tracks=3))
    assert len(tracks_of(tmp_path / "out")) == 18
    rejected = {track["path"]: (track["kind"], track["reason"]) for track in json_lines(tmp_path / "out" / "rejected.jsonl")}
    assert rejected == {
        "hum/poison-abort.wav": ("crashes", "crashes the process that works at it: Aborted"),
        "hum/poison-crash.wav": ("crashes", "crashes the process that works at it: Segmentation fault"),
        "hum/poison-hang.wav": ("takes too long", "takes longer than the 2 s that --track-timeout allows"),
    }
    assert result.counters["tracks_rejected"] == 3


_PIPES_THAT_CLOSE_SLOWLY = """
import atexit, os, time
from multiprocessing.connection import Connection
from beam_pipeline.process_pool import pool_of

if __name__ == "__main__":
    assert pool_of(2, ()).submit(abs, 0, {0: -1}, timeout=None).result() == [1]
    close = Connection._close
    Connection._close = lambda self: (time.sleep(0.1), close(self))
    atexit._run_exitfuncs()
    time.sleep(0.3)
    os._exit(0)
"""


def test_its_end_is_quiet(tmp_path: Path) -> None:
    """The executor's thread and multiprocessing's exit handler close the same pipe: not at once."""
    script = tmp_path / "ends.py"
    script.write_text(_PIPES_THAT_CLOSE_SLOWLY)
    command = [sys.executable, str(script)]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True, check=True)
    assert done.stderr == ""


_PROGRAM = """
import logging, runpy, sys
logging.basicConfig(level=logging.CRITICAL)  # as the command does, before Beam warns
import beam_pipeline.transform
from tests.test_processes import Poisoned

beam_pipeline.transform.TrackExtractor = Poisoned
sys.argv[0] = "run_pipeline.py"
runpy.run_path("run_pipeline.py", run_name="__main__")
"""


def test_ctrl_c_waits_for_no_track_that_hangs(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus = write_corpus()
    os.link(corpus / "genres" / "hum" / "hum.00000.wav", corpus / "genres" / "hum" / "poison-hang.wav")
    command = [sys.executable, "-c", _PROGRAM, "--input", corpus, "--output", tmp_path / "out", "--workers", "2"]
    process = subprocess.Popen(
        [*map(str, command), "--chunks-per-track", "4"], cwd=REPOSITORY, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_until(lambda: any((tmp_path / "out").glob(".beam-pipeline-staging/*/beam-pipeline-*/progress/*")), process)
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=20)
    assert process.returncode == 130
    assert error.rstrip().endswith("run_pipeline.py: interrupted; no dataset was written")
