"""How the benchmarks time a function."""

import statistics
import time
from collections.abc import Callable


def median_seconds(function: Callable[[], object], *, runs: int) -> float:
    """The median time of a call, in seconds, after one call that does not count."""
    function()
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)
