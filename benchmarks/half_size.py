"""Log-mels averaged over 2×2 pixels, and the shallow network with kernels and poolings of half the size.

On them a comparison of many recipes takes a tenth of the time. What they tell of a recipe is a hint.
"""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import gtzan_images
from keras_model.augmentation import Augmentation
from keras_model.options import TrainOptions

if TYPE_CHECKING:
    import keras

SPEC = dataclasses.replace(
    gtzan_images.SPEC,
    n_mels=gtzan_images.SPEC.n_mels // 2,
    n_frames=gtzan_images.SPEC.n_frames // 2,
    hop_length=gtzan_images.SPEC.hop_length * 2,
)


def log_mels(full: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log-mels of half the bands and half the frames, (n, n_mels / 2, n_frames / 2), from (n, n_mels, n_frames)."""
    n, n_mels, n_frames = full.shape
    return full.reshape(n, n_mels // 2, 2, n_frames // 2, 2).mean(axis=(2, 4))


def augmentation(full: Augmentation) -> Augmentation:
    """The augmentation with lengths that count in bands or frames halved."""
    masks = full.masks and dataclasses.replace(full.masks, max_bands=full.masks.max_bands // 2)
    return dataclasses.replace(full, masks=masks, random_crop=full.random_crop // 2)


def shallow(
    options: TrainOptions,
    *,
    shape: tuple[int, int],
    n_genres: int,
    standardization: Mapping[str, Any] | None,
    synchronized: bool,
) -> "keras.Model":
    """The network, for `fit`: kernels 5×11 and 11×10, poolings 1×10 and 10×1, all else as `shallow` has it."""
    import keras

    from keras_model.networks.blocks import convolution_block, genre_probabilities, hidden, joined, log_mel_input

    settings = options.network
    parts: dict[str, Any] = {"batchnorm": settings.batchnorm, "l1": settings.l1, "synchronized": synchronized}
    inputs, x = log_mel_input(shape, standardization)
    time = convolution_block(x, 16, (5, 11), (1, 10), name="time", **parts)
    frequency = convolution_block(x, 16, (11, 10), (10, 1), name="frequency", **parts)
    x = hidden(joined(time, frequency), l1=settings.l1)
    return keras.Model(inputs, genre_probabilities(x, n_genres, l1=settings.l1, dropout=settings.dropout))
