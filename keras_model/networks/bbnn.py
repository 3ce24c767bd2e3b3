"""The bottom-up broadcast network."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_model.networks.blocks import (
    Size,
    batch_normalization,
    check_shape,
    convolution,
    genre_probabilities,
    log_mel_input,
)
from keras_model.networks.settings import NetworkSettings

_N_FILTERS = 32
_N_BLOCKS = 3
_FIRST_POOL = (1, 4)
_LAST_POOL = (2, 2)
# Keras' own defaults, which the authors' code leaves as they are.
_INITIALIZER = "glorot_uniform"
_MOMENTUM, _EPSILON = 0.99, 1e-3


def bbnn(
    shape: Size,
    *,
    n_genres: int,
    settings: NetworkSettings,
    standardization: Mapping[str, Any] | None = None,
    synchronized: bool = True,
) -> keras.Model:
    """The Bottom-up Broadcast Neural Network of Liu, Feng, Liu, Wang and Liu (2021, Multimedia Tools and Applications 80).

    A convolution 3×3 and a pooling over 4 frames; three Inception blocks, each of which sees the concatenation of all that came
    before it (32, 160, 288 channels) and adds 4·32 channels to it; a transition from 416 to 32 channels; the average over what is
    left of the spectrogram, and a softmax. Every convolution has 32 filters. An Inception block joins a 1×1 convolution; a 1×1
    and a 3×3; a 1×1 and a 5×5; a 3×3 max pooling with stride 1 and a 1×1.

    The number of parameters does not depend on the shape: with 10 genres 190,826, of them 185,642 trained and 5,184 batch
    normalisation's moving statistics. The summary that the authors' notebook printed has the same figures
    (github.com/CaifengLiu/music-genre-classification, GTZAN_2048_1/model/my_model.ipynb). Without gammas and betas it is 180,458:
    the "0.18M" of the article's abstract.

    The layers are those of that notebook; docs/training.md says what it leaves open or others do otherwise.

    Arguments, result and errors are those of `build_classifier`.
    """
    check_shape("bbnn", shape, (_FIRST_POOL, _LAST_POOL))
    inputs, x = log_mel_input(shape, standardization, robust_spec=settings.robust_spec)
    parts: dict[str, Any] = {"l1": settings.l1, "synchronized": synchronized}
    x = convolution(x, _N_FILTERS, (3, 3), name="first", l1=settings.l1, initializer=_INITIALIZER)
    x = _normalized(x, name="first", synchronized=synchronized)
    # ReLU is monotonic: after the pooling its values are the same, for a quarter of the work.
    x = keras.layers.MaxPooling2D(_FIRST_POOL, name="first_pool")(x)
    x = keras.layers.ReLU(name="first_relu")(x)  # (n_mels, n_frames / 4, 32)
    for number in range(1, _N_BLOCKS + 1):
        block = _inception(x, name=f"block_{number}", **parts)
        x = keras.layers.Concatenate(name=f"broadcast_{number}")([x, block])  # 32 + number · 128 channels
    x = _unit(x, (1, 1), name="transition", **parts)
    x = keras.layers.AveragePooling2D(_LAST_POOL, name="transition_pool")(x)  # (n_mels / 2, n_frames / 8, 32)
    x = _normalized(x, name="last", synchronized=synchronized)
    x = keras.layers.ReLU(name="last_relu")(x)
    x = keras.layers.GlobalAveragePooling2D(name="average")(x)
    outputs = genre_probabilities(x, n_genres, l1=settings.l1, dropout=settings.dropout, initializer=_INITIALIZER)
    return keras.Model(inputs, outputs, name="bbnn")


def _inception(x: Any, *, name: str, **parts: Any) -> Any:
    """Four parallel ways through a block, joined: 128 channels."""
    one = _unit(x, (1, 1), name=f"{name}_one", **parts)
    three = _unit(x, (1, 1), name=f"{name}_three_reduced", **parts)
    three = _unit(three, (3, 3), name=f"{name}_three", **parts)
    five = _unit(x, (1, 1), name=f"{name}_five_reduced", **parts)
    five = _unit(five, (5, 5), name=f"{name}_five", **parts)
    pooled = keras.layers.MaxPooling2D((3, 3), strides=(1, 1), padding="same", name=f"{name}_pool")(x)
    pooled = _unit(pooled, (1, 1), name=f"{name}_pooled", **parts)
    return keras.layers.Concatenate(name=name)([one, three, five, pooled])


def _unit(x: Any, kernel_size: Size, *, name: str, l1: float, synchronized: bool) -> Any:
    """Batch normalisation, ReLU, convolution."""
    x = _normalized(x, name=name, synchronized=synchronized)
    x = keras.layers.ReLU(name=f"{name}_relu")(x)
    return convolution(x, _N_FILTERS, kernel_size, name=name, l1=l1, initializer=_INITIALIZER)


def _normalized(x: Any, *, name: str, synchronized: bool) -> Any:
    return batch_normalization(x, name=name, synchronized=synchronized, momentum=_MOMENTUM, epsilon=_EPSILON)
