"""The deep parallel network."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_model.networks.blocks import (
    Size,
    check_shape,
    convolution_block,
    genre_probabilities,
    hidden,
    joined,
    log_mel_input,
)
from keras_model.networks.settings import NetworkSettings

_N_FILTERS = (16, 32, 64, 128)
_TIME_KERNELS = ((10, 23), (5, 11), (3, 5), (2, 4))
_TIME_POOLS = ((2, 2), (2, 2), (2, 2), (1, 5))
# The first kernel is 21×10 here, and 21×20 in the shallow network.
_FREQUENCY_KERNELS = ((21, 10), (10, 5), (5, 3), (4, 2))
_FREQUENCY_POOLS = ((2, 2), (2, 2), (2, 2), (5, 1))


def deep(
    shape: Size,
    *,
    n_genres: int,
    settings: NetworkSettings,
    standardization: Mapping[str, Any] | None = None,
    synchronized: bool = True,
) -> keras.Model:
    """The deep parallel network of Schindler, Lidy and Rauber (2016).

    Two branches of four convolutions with 16, 32, 64 and 128 filters, each with a pooling: kernels longer along time (10×23,
    5×11, 3×5, 2×4) in the one, longer along frequency (21×10, 10×5, 5×3, 4×2) in the other; three poolings 2×2, then 1×5 along
    time or 5×1 along frequency. (80, 80) log-mels become 5120 values; 1,280,002 parameters with 10 genres, 1,281,922 with batch
    normalisation, which is not in their paper.

    Arguments, result and errors are those of `build_classifier`.
    """
    check_shape("deep", shape, _TIME_POOLS, _FREQUENCY_POOLS)
    inputs, x = log_mel_input(shape, standardization, robust_spec=settings.robust_spec)
    parts: dict[str, Any] = {"batchnorm": settings.batchnorm, "l1": settings.l1, "synchronized": synchronized}
    time = _branch(x, _TIME_KERNELS, _TIME_POOLS, name="time", **parts)
    frequency = _branch(x, _FREQUENCY_KERNELS, _FREQUENCY_POOLS, name="frequency", **parts)
    x = hidden(joined(time, frequency), l1=settings.l1)
    outputs = genre_probabilities(x, n_genres, l1=settings.l1, dropout=settings.dropout)
    return keras.Model(inputs, outputs, name="deep_batchnorm" if settings.batchnorm else "deep")


def _branch(x: Any, kernel_sizes: Sequence[Size], pool_sizes: Sequence[Size], *, name: str, **parts: Any) -> Any:
    for number, (n_filters, kernel_size, pool_size) in enumerate(zip(_N_FILTERS, kernel_sizes, pool_sizes, strict=True), 1):
        x = convolution_block(x, n_filters, kernel_size, pool_size, name=f"{name}_{number}", **parts)
    return x
