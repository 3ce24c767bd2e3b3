"""Progress bars, also for work that happens in other processes."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tqdm import tqdm

_POLL_SECONDS = 0.2
_LOG_FILE_SECONDS = 10.0


class _Screen:
    """Standard error for a bar, which is only looked at: where it cannot be written any more, the work goes on without it.

    Standard error may be a pipe that nobody reads now, or a file on a full disk. tqdm does not give its lock back where a write
    fails, so one that fails in the thread that follows a run would leave the run waiting for ever at its end.
    """

    def __init__(self) -> None:
        self._stream = sys.stderr

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def progress_bar(title: str, *, n_tracks: int) -> "tqdm[None]":
    """A bar with tracks done, tracks in all, tracks per second and the time left; rarely drawn where it goes to a file."""
    seconds = 0.1 if sys.stderr.isatty() else _LOG_FILE_SECONDS
    return tqdm(total=n_tracks, desc=title, unit="track", file=_Screen(), dynamic_ncols=True, mininterval=seconds)


def tracks_by_process(progress: Path) -> dict[str, int]:
    """How many tracks each process has done: the sizes of the files in a progress folder, by their names."""
    return {path.name: path.stat().st_size for path in progress.iterdir()}


@contextmanager
def progress_of(progress: Path, *, n_tracks: int) -> Iterator[None]:
    """Shows a progress bar while the body runs.

    Args:
        progress: Folder in which each process has a file that grows by one byte a track.
        n_tracks: Tracks in all. A bundle that is tried again counts its tracks again, so the bar stops at this number.
    """
    done = threading.Event()

    def follow(bar: "tqdm[None]") -> None:
        finished = False
        while not finished:
            finished = done.wait(_POLL_SECONDS)
            bar.update(min(sum(tracks_by_process(progress).values()), n_tracks) - bar.n)

    with progress_bar("Tracks", n_tracks=n_tracks) as bar:
        follower = threading.Thread(target=follow, args=(bar,), daemon=True)
        follower.start()
        try:
            yield
        finally:
            done.set()
            follower.join()
