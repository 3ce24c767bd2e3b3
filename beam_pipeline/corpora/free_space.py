"""Whether there is room on a disk."""

import shutil
from pathlib import Path

from tfrecords.errors import UsageError


def require_space(folder: Path, n_bytes: int) -> None:
    """Refuses a folder whose disk has less room than that.

    Raises:
        UsageError: Saying how much there is, and how much is needed.
    """
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise UsageError(f"the disk of {folder} has {_mib(free)} free, and {_mib(n_bytes)} are needed")


def _mib(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:.1f} MiB"
