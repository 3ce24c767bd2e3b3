"""Statistics of log-mels, gathered shard by shard, that do not depend on the runner."""

import struct
from collections.abc import Iterable, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tfrecords.front_end.log_mel_spec import LogMelSpec

# Least standard deviation that a log-mel is divided by: what hardly varies in training must not be blown up when it is served.
STD_FLOOR = 0.01
# Adding up floats rounds, and so depends on the order. Whole multiples of a unit add up exactly in any; two units, as a sum of a
# million tracks needs some 90 bits: up to 2^47 in the coarse one, and what that leaves over in the fine one.
_UNITS = (2.0**-16, 2.0**-48)
_HEAD = struct.Struct("<qdd")


class LogMelStatistics:
    """Sums and extremes of log-mels: per pixel where the spec standardizes per pixel, else per mel band.

    The same blocks of log-mels give the same sums, to the last bit, in whatever order and places they are added up.

    Attributes:
        n_records: How many log-mels were added.
        minimum: Smallest value, infinity where nothing was added.
        maximum: Largest value, minus infinity where nothing was added.
    """

    def __init__(self, spec: LogMelSpec) -> None:
        self._spec = spec
        self.n_records = 0
        cells = spec.shape if spec.standardization == "per_pixel" else (spec.n_mels, 1)
        # Of the sums, then of the sums of squares, the multiples of either unit.
        self._multiples: NDArray[np.int64] = np.zeros((2, 2, *cells), dtype="<i8")
        self.minimum = np.inf
        self.maximum = -np.inf

    @property
    def total(self) -> NDArray[np.float64]:
        """Sums, (n_mels, n_frames) or (n_mels, 1)."""
        return _sums(self._multiples[0])

    @property
    def squares(self) -> NDArray[np.float64]:
        """Sums of squares, of the same shape."""
        return _sums(self._multiples[1])

    def add(self, log_mels: NDArray[np.float32]) -> None:
        """Adds a block of log-mels (n, n_mels, n_frames); one of some dozens costs half of one by one."""
        values = log_mels.astype(np.float64)
        cells = self._multiples.shape[2:]
        axes = 0 if cells == log_mels.shape[1:] else (0, 2)
        self.n_records += len(log_mels)
        self._multiples[0] += _multiples(values.sum(axis=axes).reshape(cells))
        np.multiply(values, values, out=values)
        self._multiples[1] += _multiples(values.sum(axis=axes).reshape(cells))
        self.minimum = min(self.minimum, float(log_mels.min()))
        self.maximum = max(self.maximum, float(log_mels.max()))

    def merge(self, other: Self) -> None:
        """Adds what `other` gathered with the same spec."""
        self.n_records += other.n_records
        self._multiples += other._multiples
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)

    def pack(self) -> bytes:
        """What `unpack` reads, and `merged` adds up."""
        return _HEAD.pack(self.n_records, self.minimum, self.maximum) + self._multiples.tobytes()

    @classmethod
    def unpack(cls, packed: bytes, *, spec: LogMelSpec) -> Self:
        """Reads what `pack` wrote."""
        statistics = cls(spec)
        statistics.n_records, statistics.minimum, statistics.maximum = _HEAD.unpack_from(packed)
        multiples = np.frombuffer(packed, dtype="<i8", offset=_HEAD.size)
        statistics._multiples = multiples.reshape(statistics._multiples.shape).copy()
        return statistics

    def summary(self) -> dict[str, Any]:
        """What `dataset.json` tells of a split: overall and per band mean and standard deviation, and the extremes."""
        if not self.n_records:
            return {}
        mean, std = self._mean_std(self.total.sum(), self.squares.sum(), self._spec.n_mels * self._spec.n_frames)
        band_mean, band_std = self._mean_std(self.total.sum(axis=1), self.squares.sum(axis=1), self._spec.n_frames)
        return {
            "mean": float(mean),
            "std": float(std),
            "min": self.minimum,
            "max": self.maximum,
            "band_mean": band_mean.tolist(),
            "band_std": band_std.tolist(),
        }

    def standardization(self) -> dict[str, Any] | None:
        """Mean and floored standard deviation that the model applies: (n_mels, n_frames) or (n_mels, 1); None for none."""
        if self._spec.standardization == "none":
            return None
        return _standardization(*self._mean_std(self.total, self.squares, self._spec.n_frames if self.total.shape[1] == 1 else 1))

    def _mean_std(self, total: Any, squares: Any, values_per_record: int) -> tuple[Any, Any]:
        count = self.n_records * values_per_record
        mean = total / count
        return mean, np.sqrt(np.maximum(squares / count - mean * mean, 0.0))


def merged(packed: Iterable[bytes]) -> bytes:
    """Adds up statistics of one spec, one at least, as `LogMelStatistics.pack` gives them: an associative function for Beam."""
    parts = list(packed)
    n_records, minima, maxima = zip(*map(_HEAD.unpack_from, parts), strict=True)
    multiples = sum(np.frombuffer(part, dtype="<i8", offset=_HEAD.size) for part in parts)
    return _HEAD.pack(sum(n_records), min(minima), max(maxima)) + np.asarray(multiples).tobytes()


def _multiples(sums: NDArray[np.float64]) -> NDArray[np.int64]:
    coarse, fine = _UNITS
    many = np.rint(sums / coarse)
    return np.stack([many, np.rint((sums - many * coarse) / fine)]).astype("<i8")


def _sums(multiples: NDArray[np.int64]) -> NDArray[np.float64]:
    coarse, fine = _UNITS
    return multiples[0] * coarse + multiples[1] * fine


def band_standardization(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Mean and floored standard deviation of each mel band, (n_mels, 1), from a split's statistics in `dataset.json`."""
    return _standardization(*(np.asarray(summary[key])[:, np.newaxis] for key in ("band_mean", "band_std")))


def _standardization(mean: NDArray[np.float64], std: NDArray[np.float64]) -> dict[str, Any]:
    return {"mean": mean.tolist(), "std": np.maximum(std, STD_FLOOR).tolist()}
