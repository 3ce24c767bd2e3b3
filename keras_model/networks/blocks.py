"""Parts that the networks share; each takes a symbolic tensor and returns one."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_model.robust import heard
from tfrecords.errors import UsageError
from tfrecords.front_end.log_mel_spec import LogMelSpec

SLOPE = 0.3  # of LeakyReLU, Schindler, Lidy and Rauber (2016)
_N_HIDDEN = 200
_MOMENTUM, _EPSILON = 0.9, 1e-5  # of batch normalisation, Herbert

Size = tuple[int, int]


def check_shape(network: str, shape: Size, *branches: Sequence[Size]) -> None:
    """Refuses inputs that a branch's poolings would leave nothing of.

    Args:
        network: Its name, for the message.
        shape: (n_mels, n_frames) of the input.
        branches: For each branch the sizes of its poolings, one after the other.

    Raises:
        UsageError: Naming the least shape.
    """
    # Each pooling drops the rest of its division: n values outlast poolings of sizes a, b, … if n ≥ a·b·…
    n_mels, n_frames = (max(math.prod(pool[axis] for pool in pools) for pools in branches) for axis in (0, 1))
    if shape[0] < n_mels or shape[1] < n_frames:
        raise UsageError(
            f"the network {network} needs log-mels of at least {n_mels} mel bands and {n_frames} frames, "
            f"got {shape[0]} and {shape[1]}"
        )


def log_mel_input(
    shape: Size, standardization: Mapping[str, Any] | None, *, robust_spec: LogMelSpec | None = None
) -> tuple[Any, Any]:
    """The model's input, (batch, n_mels, n_frames, 1), and that input as it is heard, standardised.

    Args:
        shape: (n_mels, n_frames).
        standardization: `mean` and `std` of the dataset's manifest, (n_mels, 1) or (n_mels, n_frames); None for none.
        robust_spec: Of the log-mels, where the network is to be robust.
    """
    inputs = keras.Input((*shape, 1), name="log_mel")
    x = inputs if robust_spec is None else heard(inputs, spec=robust_spec)
    if standardization is None:
        return inputs, x
    mean, std = (np.asarray(standardization[key], dtype=np.float32) for key in ("mean", "std"))
    axes = (1,) if mean.shape[1] == 1 else (1, 2)
    # Log-mels have an offset of their own: in float16, what the mean takes away would be lost.
    layer = keras.layers.Normalization(
        axis=axes, mean=mean.squeeze(), variance=(std * std).squeeze(), dtype=_full_precision(), name="standardization"
    )
    return inputs, layer(x)


def convolution(x: Any, n_filters: int, kernel_size: Size, *, name: str, l1: float, initializer: str = "he_normal") -> Any:
    """A convolution with bias, stride 1 and padding "same"."""
    return keras.layers.Conv2D(n_filters, kernel_size, padding="same", name=f"{name}_convolution", **_kernel(l1, initializer))(x)


def batch_normalization(x: Any, *, name: str, synchronized: bool, momentum: float = _MOMENTUM, epsilon: float = _EPSILON) -> Any:
    """Batch normalisation over all but the channels, with Herbert's momentum (in Keras' sense) and ε.

    `synchronized`: the statistics are those of all replicas' samples. Keras loads such a layer on the TensorFlow backend alone.
    """
    return keras.layers.BatchNormalization(
        momentum=momentum, epsilon=epsilon, synchronized=synchronized, name=f"{name}_batchnorm"
    )(x)


def convolution_block(
    x: Any,
    n_filters: int,
    kernel_size: Size,
    pool_size: Size,
    *,
    name: str,
    batchnorm: bool,
    l1: float,
    synchronized: bool,
) -> Any:
    """Convolution, batch normalisation where wanted, LeakyReLU and max pooling."""
    x = convolution(x, n_filters, kernel_size, name=name, l1=l1)
    if batchnorm:
        x = batch_normalization(x, name=name, synchronized=synchronized)
    x = keras.layers.LeakyReLU(SLOPE, name=f"{name}_leaky_relu")(x)
    return keras.layers.MaxPooling2D(pool_size, name=f"{name}_pool")(x)


def joined(time: Any, frequency: Any) -> Any:
    """The two branches of a parallel network, each flattened, one after the other: (batch, n_features)."""
    flat = [keras.layers.Flatten(name=f"{name}_flat")(x) for name, x in (("time", time), ("frequency", frequency))]
    return keras.layers.Concatenate(name="branches")(flat)


def hidden(x: Any, *, l1: float) -> Any:
    """The hidden layer of the parallel networks: 200 units and LeakyReLU."""
    x = keras.layers.Dense(_N_HIDDEN, name="hidden", **_kernel(l1))(x)
    return keras.layers.LeakyReLU(SLOPE, name="hidden_leaky_relu")(x)


def genre_probabilities(x: Any, n_genres: int, *, l1: float, dropout: float, initializer: str = "he_normal") -> Any:
    """Dropout and the softmax layer: (batch, n_genres)."""
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    # A softmax in float16 loses small probabilities.
    return keras.layers.Dense(n_genres, activation="softmax", dtype=_full_precision(), name="genre", **_kernel(l1, initializer))(
        x
    )


def _full_precision() -> str:
    """What input and output are computed in: the precision of the variables, also where the layers compute in less."""
    return str(keras.config.dtype_policy().variable_dtype)


def _kernel(l1: float, initializer: str = "he_normal") -> dict[str, Any]:
    return {"kernel_initializer": initializer, "kernel_regularizer": keras.regularizers.L1(l1)}
