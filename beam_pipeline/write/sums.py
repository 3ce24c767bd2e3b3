"""Statistics of log-mels on their way to the last step: sums that are the same in whatever order they are added up."""

import struct
from collections.abc import Iterable
from typing import Self

import apache_beam as beam
import numpy as np
from numpy.typing import NDArray

from tfrecords.log_mel_spec import LogMelSpec
from tfrecords.statistics import LogMelStatistics

# Adding up floats rounds, and so depends on the order; whole multiples of this are exact in any. Of a million tracks the largest
# sum, that of the squares, is below 2^40.
_UNIT = 2.0**-20
_HEAD = struct.Struct("<qdd")


class Sums:
    """The sums of `LogMelStatistics` in whole units.

    Attributes:
        n_records: How many log-mels were added.
        minimum: Smallest value, infinity where nothing was added.
        maximum: Largest value, minus infinity where nothing was added.
        sums: Of the values, then of their squares, (2 · cells,) int64.
    """

    def __init__(self, n_records: int, minimum: float, maximum: float, sums: NDArray[np.int64]) -> None:
        self.n_records, self.minimum, self.maximum, self.sums = n_records, minimum, maximum, sums

    @classmethod
    def of(cls, statistics: LogMelStatistics) -> Self:
        """Those of statistics."""
        both = np.concatenate([statistics.total.ravel(), statistics.squares.ravel()])
        sums = np.rint(both / _UNIT).astype("<i8")
        return cls(statistics.n_records, statistics.minimum, statistics.maximum, sums)

    def statistics(self, spec: LogMelSpec) -> LogMelStatistics:
        """The statistics of these sums."""
        statistics = LogMelStatistics(spec)
        statistics.n_records, statistics.minimum, statistics.maximum = self.n_records, self.minimum, self.maximum
        statistics.total, statistics.squares = (self.sums * _UNIT).reshape(2, *statistics.total.shape)
        return statistics

    def pack(self) -> bytes:
        """What `unpack` reads."""
        return _HEAD.pack(self.n_records, self.minimum, self.maximum) + self.sums.tobytes()

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Reads what `pack` wrote."""
        n_records, minimum, maximum = _HEAD.unpack_from(packed)
        return cls(n_records, minimum, maximum, np.frombuffer(packed, dtype="<i8", offset=_HEAD.size))

    def __add__(self, other: Self) -> "Sums":
        """Those of both."""
        return Sums(
            self.n_records + other.n_records,
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
            self.sums + other.sums,
        )


class AddSums(beam.CombineFn):
    """Adds up packed sums."""

    def create_accumulator(self) -> bytes:
        """Nothing yet."""
        return b""

    def add_input(self, mutable_accumulator: bytes, element: bytes) -> bytes:
        """Adds one."""
        return self.merge_accumulators([mutable_accumulator, element])

    def merge_accumulators(self, accumulators: Iterable[bytes]) -> bytes:
        """Adds all of them."""
        total: Sums | None = None
        for sums in map(Sums.unpack, filter(None, accumulators)):
            total = sums if total is None else total + sums
        return total.pack() if total else b""

    def extract_output(self, accumulator: bytes) -> bytes:
        """The sum."""
        return accumulator
