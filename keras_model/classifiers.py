"""The networks, in Keras' functional API."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

_SLOPE = 0.3
_N_FILTERS = 16
_N_HIDDEN = 200


def shallow(
    shape: tuple[int, int],
    *,
    n_genres: int,
    batchnorm: bool = False,
    l1: float = 1e-4,
    dropout: float = 0.1,
    standardization: Mapping[str, Any] | None = None,
) -> keras.Model:
    """The shallow parallel network of Schindler, Lidy and Rauber (2016), as in Herbert's paper.

    One branch looks for patterns along time (16 kernels 10×23, pool 1×20), one for patterns along frequency (16 kernels 21×20,
    pool 20×1). LeakyReLU stands after the pooling: it is monotonic, so the values are those of a LeakyReLU before the pooling,
    for a twentieth of the work.

    Args:
        shape: (n_mels, n_frames) of the input.
        n_genres: Number of classes.
        batchnorm: Whether each convolution is followed by batch normalisation (momentum 0.9, ε 1e-5).
        l1: L1 penalty on every kernel.
        dropout: Rate after the hidden layer.
        standardization: `mean` and `std` of the dataset's manifest, (n_mels, 1) or (n_mels, n_frames); None for none.

    Returns:
        Model from (batch, n_mels, n_frames, 1) float32 to probabilities (batch, n_genres).
    """
    inputs = keras.Input((*shape, 1), name="log_mel")
    x = inputs if standardization is None else _normalization(standardization)(inputs)
    time = _branch(x, name="time", kernel_size=(10, 23), pool_size=(1, 20), batchnorm=batchnorm, l1=l1)
    frequency = _branch(x, name="frequency", kernel_size=(21, 20), pool_size=(20, 1), batchnorm=batchnorm, l1=l1)
    x = keras.layers.Concatenate(name="branches")([time, frequency])
    x = keras.layers.Dense(_N_HIDDEN, name="hidden", **_kernel(l1))(x)
    x = keras.layers.LeakyReLU(_SLOPE, name="hidden_leaky_relu")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    # float32 also where the other layers compute in less: a softmax in float16 loses small probabilities.
    outputs = keras.layers.Dense(n_genres, activation="softmax", dtype="float32", name="genre", **_kernel(l1))(x)
    return keras.Model(inputs, outputs, name="shallow_batchnorm" if batchnorm else "shallow")


def _kernel(l1: float) -> dict[str, Any]:
    return {"kernel_initializer": "he_normal", "kernel_regularizer": keras.regularizers.L1(l1)}


def _branch(x: Any, *, name: str, kernel_size: tuple[int, int], pool_size: tuple[int, int], batchnorm: bool, l1: float) -> Any:
    x = keras.layers.Conv2D(_N_FILTERS, kernel_size, padding="same", name=f"{name}_convolution", **_kernel(l1))(x)
    if batchnorm:
        # Synchronised: the statistics are those of the whole batch, and the same on every replica.
        x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, synchronized=True, name=f"{name}_batchnorm")(x)
    x = keras.layers.MaxPooling2D(pool_size, name=f"{name}_pool")(x)
    x = keras.layers.LeakyReLU(_SLOPE, name=f"{name}_leaky_relu")(x)
    return keras.layers.Flatten(name=f"{name}_flat")(x)


def _normalization(standardization: Mapping[str, Any]) -> keras.layers.Layer:
    mean, std = (np.asarray(standardization[key], dtype=np.float32) for key in ("mean", "std"))
    axes = (1,) if mean.shape[1] == 1 else (1, 2)
    return keras.layers.Normalization(axis=axes, mean=mean.squeeze(), variance=(std * std).squeeze(), name="standardization")
