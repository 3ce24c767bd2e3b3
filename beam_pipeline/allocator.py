"""Memory that a worker frees for one track is kept for the next, instead of going back to the system."""

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_KEPT_BYTES = 2**25


def keep_freed_memory() -> None:
    """Tells glibc's malloc to keep up to 32 MiB of what is freed; does nothing with another C library.

    By default arrays of megabytes are mapped and unmapped one by one in a worker's threads. The system has to clear every page
    of them for every track, which took a third of the pipeline's time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
