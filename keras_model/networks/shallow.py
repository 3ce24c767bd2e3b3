"""The shallow parallel network."""

from collections.abc import Mapping
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

_N_FILTERS = 16
_TIME_POOL = (1, 20)
_FREQUENCY_POOL = (20, 1)


def shallow(
    shape: Size,
    *,
    n_genres: int,
    settings: NetworkSettings,
    standardization: Mapping[str, Any] | None = None,
    synchronized: bool = True,
) -> keras.Model:
    """The shallow parallel network of Schindler, Lidy and Rauber (2016), as in Herbert's paper.

    One branch looks for patterns along time (16 kernels 10×23, pool 1×20), one for patterns along frequency (16 kernels 21×20,
    pool 20×1). (80, 80) log-mels become 10240 values; 2,060,642 parameters with 10 genres, 2,060,770 with batch normalisation.

    Arguments, result and errors are those of `build_classifier`.
    """
    check_shape("shallow", shape, [_TIME_POOL], [_FREQUENCY_POOL])
    inputs, x = log_mel_input(shape, standardization, robust_spec=settings.robust_spec)
    parts: dict[str, Any] = {"batchnorm": settings.batchnorm, "l1": settings.l1, "synchronized": synchronized}
    time = convolution_block(x, _N_FILTERS, (10, 23), _TIME_POOL, name="time", **parts)
    frequency = convolution_block(x, _N_FILTERS, (21, 20), _FREQUENCY_POOL, name="frequency", **parts)
    x = hidden(joined(time, frequency), l1=settings.l1)
    outputs = genre_probabilities(x, n_genres, l1=settings.l1, dropout=settings.dropout)
    return keras.Model(inputs, outputs, name="shallow_batchnorm" if settings.batchnorm else "shallow")
