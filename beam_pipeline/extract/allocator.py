"""Memory that a worker frees for one track is kept for the next, instead of going back to the system."""

import ctypes
from functools import cache

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_LARGEST_KEPT_BYTES = 2**25  # the most that malloc takes
_KEPT_BYTES = 2**28


@cache
def keep_freed_memory() -> None:
    """Tells glibc's malloc to keep up to 256 MiB of what is freed; does nothing with another C library.

    By default arrays of megabytes are mapped and unmapped one by one. The system has to clear every page of them for every track,
    which took a third of the pipeline's time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
