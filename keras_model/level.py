"""Log-mels out of their logarithm and back into it, to make them softer or louder; of tensors, and of a network's inputs."""

import math
from typing import Any

import keras

from tfrecords.front_end.log_mel_spec import LogMelSpec

_LEAST_OFFSETS = 10


def magnitudes_of(log_mels: Any, *, spec: LogMelSpec) -> Any:
    """What the logarithm was taken of: `spec.power` 1 for magnitudes, 2 for power."""
    return keras.ops.relu(keras.ops.exp(log_mels * _log_of_base(spec)) - spec.log_offset)


def log_mels_of(magnitudes: Any, *, spec: LogMelSpec) -> Any:
    """The inverse of `magnitudes_of`."""
    return keras.ops.log(magnitudes + spec.log_offset) / _log_of_base(spec)


def to_mean(magnitudes: Any, mean: float, *, spec: LogMelSpec) -> Any:
    """Brings each chunk of magnitudes (batch, n_mels, n_frames, 1) to one mean, so that it does not matter how loud it was.

    What is hardly above the logarithm's offset is amplified no further: the offset has taken its digits.
    """
    own = keras.ops.mean(magnitudes, axis=(1, 2, 3), keepdims=True)
    return magnitudes * (mean / keras.ops.maximum(own, _LEAST_OFFSETS * spec.log_offset))


def at_level(log_mels: Any, *, decibels: float, spec: LogMelSpec) -> Any:
    """The log-mels that the same chunks would have, amplified by so much."""
    return log_mels_of(magnitudes_of(log_mels, spec=spec) * 10 ** (decibels * spec.power / 20), spec=spec)


def _log_of_base(spec: LogMelSpec) -> float:
    return math.log(10) if spec.log_base == "10" else 1.0
