"""Time and memory of a command with all of its processes."""

import os
import subprocess
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path

_POLL_SECONDS = 0.05
_POLLS_PER_LOOK_AT_MEMORY = 10  # the kernel walks all of a process' pages for it


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a command took.

    Attributes:
        seconds: From start to exit.
        first_seconds: From start to the first finished track, for the pipeline.
        peak_mib: The largest sum of its processes' memory at one time, pages that they share counted in parts (PSS), in MiB.
    """

    seconds: float
    first_seconds: float
    peak_mib: float


def measure(command: list[str], *, progress: tuple[Path, str] | None = None) -> Measured:
    """Runs a command and watches it.

    Args:
        command: The program and its arguments.
        progress: A folder and a pattern of the files in it that grow by a byte a track, for the pipeline.

    Raises:
        RuntimeError: If it ends with another status than 0.
    """
    started = time.perf_counter()
    first = peak = 0.0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
    for poll in count():
        if process.poll() is not None:
            break
        if progress and not first and any(path.stat().st_size for path in progress[0].glob(progress[1])):
            first = time.perf_counter() - started
        if poll % _POLLS_PER_LOOK_AT_MEMORY == 0:
            peak = max(peak, _memory_mib(process.pid))
        time.sleep(_POLL_SECONDS)
    seconds = time.perf_counter() - started
    if process.returncode:
        error = process.stderr.read().decode().strip().splitlines() if process.stderr else []
        raise RuntimeError(f"{' '.join(command[:3])} … ended with status {process.returncode}: {error[-1] if error else ''}")
    return Measured(seconds=seconds, first_seconds=first, peak_mib=peak)


def _memory_mib(session: int) -> float:
    """Memory of the processes of a session."""
    total_kib = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(folder.name)) == session:
                lines = (folder / "smaps_rollup").read_text().splitlines()
                total_kib += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except (OSError, StopIteration):  # it has just ended
            continue
    return total_kib / 1024
