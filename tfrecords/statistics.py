"""Statistics of log-mels, gathered shard by shard and merged in shard order, so that they do not depend on the runner."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tfrecords.log_mel_spec import LogMelSpec

# Least standard deviation that a log-mel is divided by: what hardly varies in training must not be blown up when it is served.
STD_FLOOR = 0.01


class LogMelStatistics:
    """Sums and extremes of log-mels: per pixel where the spec standardizes per pixel, else per mel band.

    Attributes:
        n_records: How many log-mels were added.
        total: Sums, (n_mels, n_frames) or (n_mels, 1) float64.
        squares: Sums of squares, of the same shape.
        minimum: Smallest value, infinity where nothing was added.
        maximum: Largest value, minus infinity where nothing was added.
    """

    def __init__(self, spec: LogMelSpec) -> None:
        self._spec = spec
        self.n_records = 0
        cells = spec.shape if spec.standardization == "per_pixel" else (spec.n_mels, 1)
        self.total: NDArray[np.float64] = np.zeros(cells)
        self.squares: NDArray[np.float64] = np.zeros(cells)
        self.minimum = np.inf
        self.maximum = -np.inf

    def add(self, log_mels: NDArray[np.float32]) -> None:
        """Adds log-mels (n, n_mels, n_frames); a block of some dozens costs half of one by one."""
        values = log_mels.astype(np.float64)
        axes = 0 if self.total.shape == log_mels.shape[1:] else (0, 2)
        self.n_records += len(log_mels)
        self.total += values.sum(axis=axes).reshape(self.total.shape)
        np.multiply(values, values, out=values)
        self.squares += values.sum(axis=axes).reshape(self.total.shape)
        self.minimum = min(self.minimum, float(log_mels.min()))
        self.maximum = max(self.maximum, float(log_mels.max()))

    def merge(self, other: Self) -> None:
        """Adds what `other` gathered with the same spec."""
        self.n_records += other.n_records
        self.total += other.total
        self.squares += other.squares
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)

    def to_dict(self) -> dict[str, Any]:
        """The sums as plain numbers; `from_dict` reads them back exactly."""
        return {
            "n_records": self.n_records,
            "total": self.total.tolist(),
            "squares": self.squares.tolist(),
            "extremes": [self.minimum, self.maximum] if self.n_records else [],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any], *, spec: LogMelSpec) -> Self:
        """Reads what `to_dict` wrote."""
        statistics = cls(spec)
        statistics.n_records = values["n_records"]
        statistics.total, statistics.squares = np.asarray(values["total"]), np.asarray(values["squares"])
        if values["extremes"]:
            statistics.minimum, statistics.maximum = values["extremes"]
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


def band_standardization(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Mean and floored standard deviation of each mel band, (n_mels, 1), from a split's statistics in `dataset.json`."""
    return _standardization(*(np.asarray(summary[key])[:, np.newaxis] for key in ("band_mean", "band_std")))


def _standardization(mean: NDArray[np.float64], std: NDArray[np.float64]) -> dict[str, Any]:
    return {"mean": mean.tolist(), "std": np.maximum(std, STD_FLOOR).tolist()}
