"""Resampling with soxr's HQ setting, as `librosa.resample` does it, of waveforms that come in blocks; librosa itself cannot."""

import math

import numpy as np
import soxr
from numpy.typing import NDArray


class Resampler:
    """Resamples a waveform that comes in blocks, with soxr's HQ setting: to what `librosa.resample` makes of the whole."""

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self._stream = soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32", quality="HQ")
        self._from_rate, self._to_rate = from_rate, to_rate
        self._n_in = self._n_out = 0

    def add(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """The next block (n_samples,) to what can be said of the result by now."""
        resampled: NDArray[np.float32] = self._stream.resample_chunk(block)
        self._n_in += len(block)
        self._n_out += len(resampled)
        return resampled

    def rest(self) -> NDArray[np.float32]:
        """What is left after the last block, so long that the whole has the length to which librosa rounds."""
        rest: NDArray[np.float32] = self._stream.resample_chunk(np.empty(0, np.float32), last=True)
        n_missing = resampled_length(self._n_in, self._from_rate, self._to_rate) - self._n_out
        return np.pad(rest[:n_missing], (0, max(0, n_missing - len(rest))))


def resampled_length(n_samples: int, from_rate: int, to_rate: int) -> int:
    """Samples that `n_samples` become at another rate, rounded as librosa does."""
    return math.ceil(n_samples * (to_rate / from_rate))
