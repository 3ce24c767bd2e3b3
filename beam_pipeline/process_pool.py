"""Processes of a worker's own, which tell what they are at: what ends one of them is known by it.

They talk through pipes: nothing listens on a port, as the several workers of Beam's own local runner would. They import what the
work needs, and no Beam.
"""

import atexit
import faulthandler
import logging
import os
import re
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context, resource_tracker
from pathlib import Path
from typing import NamedTuple, TextIO, TypeVar

from beam_pipeline import storage

_T = TypeVar("_T")
_R = TypeVar("_R")
_POLL_SECONDS = 0.5
# What faulthandler writes below the mark of the element that a process is at, as it ends.
_CRASH = re.compile(r"^Fatal Python error: (.+)$", re.MULTILINE)
_TIMEOUT = re.compile(r"^Timeout \(", re.MULTILINE)

_is_ending = False  # this process
_mark: TextIO | None = None  # of this process, where it is one of a pool's


class Verdict(NamedTuple):
    """Why an element ended a process: in a few words, and in a sentence."""

    kind: str
    reason: str


class Pool:
    """Processes that are started anew rather than forked, as Beam's threads may hold locks; each has a file for its mark."""

    def __init__(self, n_processes: int, beam_args: tuple[str, ...]) -> None:
        self._key = n_processes, beam_args
        self._marks = tempfile.TemporaryDirectory(prefix="beam-pipeline-marks-")
        initial = (os.getpid(), beam_args, self._marks.name, logging.getLogger().level)
        self._executor = ProcessPoolExecutor(n_processes, mp_context=get_context("spawn"), initializer=_begin, initargs=initial)
        # Ctrl-C reaches every process of the terminal; these end with their parent, and are not to tell of it. They inherit the
        # mask.
        resource_tracker.ensure_running()  # it would take the signal off the mask
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            for _ in range(n_processes):
                self._executor.submit(int)  # starts one more, as none has come to its task yet
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        atexit.register(self._end)

    def submit(
        self, function: Callable[[_T], _R], number: int, elements: dict[int, _T], *, timeout: float | None
    ) -> "Future[list[_R]]":
        """Has a function called of each element, one after the other.

        Args:
            function: Is sent to a process, with the elements.
            number: By which `verdicts` names these elements.
            elements: By their places, likewise.
            timeout: How long each may take, in seconds; None for as long as it likes.

        Raises:
            BrokenProcessPool: If a process has ended, as the future's result does.
        """
        return self._executor.submit(_results, function, number, elements, timeout)

    def _end(self) -> None:
        """Ends the processes with this one, which would else wait for what they are at, and for idle ones for ever."""
        global _is_ending
        _is_ending = True
        # Both are None while `abandon` ends them.
        for process in list((self._executor._processes or {}).values()):
            process.kill()
        if thread := self._executor._executor_manager_thread:
            # multiprocessing's exit handler, which comes next, closes the same pipes. The thread may wait for ever, if a process
            # was killed amid a result.
            thread.join(_POLL_SECONDS)  # type: ignore[attr-defined]  # typeshed takes it for what wakes it up

    def abandon(self) -> None:
        """Has the next work done by other processes."""
        _wait_for_the_end()
        with _lock:
            if _pools.get(self._key) is self:
                del _pools[self._key]
        self._executor.shutdown()
        atexit.unregister(self._end)

    def verdicts(self, timeout: float) -> dict[tuple[int, int], Verdict]:
        """The elements at which processes ended by themselves, by number and place."""
        found = {}
        for path in Path(self._marks.name).iterdir():
            mark, _, last_words = path.read_text(errors="replace").partition("\n")
            if crash := _CRASH.search(last_words):
                verdict = Verdict("crashes", f"crashes the process that works at it: {crash[1]}")
            elif _TIMEOUT.search(last_words):
                verdict = Verdict("takes too long", f"takes longer than the {timeout:g} s that --track-timeout allows")
            else:
                continue
            number, place = map(int, mark.split())
            found[number, place] = verdict
        return found


def _wait_for_the_end() -> None:
    """Stops a thread that is still at work when the program ends: it is not to tell of that."""
    if _is_ending:
        threading.Event().wait()


_pools: dict[tuple[int, tuple[str, ...]], Pool] = {}
_lock = threading.Lock()


def pool_of(n_processes: int, beam_args: tuple[str, ...]) -> Pool:
    """The processes of this worker, for all its stages."""
    _wait_for_the_end()
    with _lock:
        key = n_processes, beam_args
        if key not in _pools:
            _pools[key] = Pool(n_processes, beam_args)
        return _pools[key]


def _results(function: Callable[[_T], _R], number: int, elements: dict[int, _T], timeout: float | None) -> list[_R]:
    """Calls a function, with a mark of where it is: what ends this process writes below it."""
    if _mark is None:
        raise RuntimeError("this is no process of a pool")
    results = []
    for place, element in elements.items():
        try:
            _mark.seek(0)
            _mark.write(f"{number} {place}\n")
            _mark.truncate()
            _mark.flush()
        except OSError as error:
            raise OSError(error.errno, error.strerror, _mark.name) from error
        if timeout is not None:
            faulthandler.dump_traceback_later(timeout, exit=True, file=_mark)
        try:
            results.append(function(element))
        finally:
            faulthandler.cancel_dump_traceback_later()
    return results


def _begin(parent: int, beam_args: tuple[str, ...], marks: str, log_level: int) -> None:
    global _mark
    logging.basicConfig(level=log_level)
    _mark = open(Path(marks, str(os.getpid())), "w")  # noqa: SIM115 (it stays open as long as the process lives)
    faulthandler.enable(_mark)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    storage.set_options(beam_args)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os._exit(1)
