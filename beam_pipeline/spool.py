"""Lines that the local runner's workers leave on disk for a later stage.

Beam's local runner keeps everything that moves between two stages in its own memory, several times over. What its workers have to
say of each track goes here instead, and memory does not grow with the corpus.
"""

import os
from collections import defaultdict
from pathlib import Path

_FLUSH_AT = 20_000  # lines


class SpoolWriter:
    """Gathers lines under names, and appends them to files of this process."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._waiting: defaultdict[str, list[str]] = defaultdict(list)
        self._n_waiting = 0

    def add(self, name: str, line: str) -> None:
        """Adds a line, without its end; it is on disk after the next `flush` at the latest."""
        self._waiting[name].append(f"{line}\n")
        self._n_waiting += 1
        if self._n_waiting >= _FLUSH_AT:
            self.flush()

    def flush(self) -> None:
        """Writes what waits."""
        for name, lines in self._waiting.items():
            with (self._folder / f"{name}.{os.getpid()}").open("a", encoding="utf-8", newline="\n") as file:
                file.writelines(lines)
        self._waiting.clear()
        self._n_waiting = 0


def read_spool(folder: str, name: str) -> set[str]:
    """The lines of all processes under a name. One that a bundle wrote again when it was retried counts once."""
    lines: set[str] = set()
    for path in Path(folder).glob(f"{name}.*"):
        with path.open(encoding="utf-8", newline="\n") as file:
            lines.update(line.removesuffix("\n") for line in file)
    return lines
