"""The shallow network at half the size: log-mels averaged over 2×2 pixels, kernels and poolings of half the length.

On it a comparison of many recipes takes a third of the time. What it tells of a recipe is a hint.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from keras_model.options import TrainOptions
from tfrecords.log_mel_spec import LogMelSpec

if TYPE_CHECKING:
    import keras


def shallow(
    options: TrainOptions,
    *,
    shape: tuple[int, int],
    n_genres: int,
    standardization: Mapping[str, Any] | None,
    synchronized: bool,
    robust_spec: LogMelSpec | None = None,
) -> "keras.Model":
    """The network, for `fit`: kernels 5×11 and 11×10, poolings 1×10 and 10×1, all else as `shallow` has it."""
    import keras

    from keras_model.networks.blocks import convolution_block, genre_probabilities, hidden, joined, log_mel_input

    settings = options.network
    parts: dict[str, Any] = {"batchnorm": settings.batchnorm, "l1": settings.l1, "synchronized": synchronized}
    inputs, x = log_mel_input(shape, standardization, robust_spec=robust_spec)
    x = keras.layers.AveragePooling2D(2)(x)
    time = convolution_block(x, 16, (5, 11), (1, 10), name="time", **parts)
    frequency = convolution_block(x, 16, (11, 10), (10, 1), name="frequency", **parts)
    x = hidden(joined(time, frequency), l1=settings.l1)
    return keras.Model(inputs, genre_probabilities(x, n_genres, l1=settings.l1, dropout=settings.dropout))
