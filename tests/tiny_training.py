"""Trainings that take a second: a small network with all that has a state, on noise."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_model.data.split_data import SplitData
from keras_model.options import TrainOptions

GENRES = ("a", "b", "c")
SHAPE = (6, 5)


def tiny_network(
    options: TrainOptions,
    *,
    shape: tuple[int, int],
    n_genres: int,
    standardization: Mapping[str, Any] | None,
    synchronized: bool,
) -> keras.Model:
    """A network to hand to `fit`, with batch normalisation where the options ask for it."""
    inputs = x = keras.Input((*shape, 1))
    x = keras.layers.Conv2D(3, 3, kernel_regularizer=keras.regularizers.L1(options.network.l1), name="convolution")(x)
    if options.batchnorm:
        x = keras.layers.BatchNormalization(synchronized=synchronized, name="batchnorm")(x)
    x = keras.layers.Dropout(options.network.dropout, name="dropout")(keras.layers.Flatten(name="flat")(x))
    return keras.Model(
        inputs, keras.layers.Dense(n_genres, "softmax", dtype=keras.config.dtype_policy().variable_dtype, name="genre")(x)
    )


def noise(n_records: int, *, seed: int = 0, shape: tuple[int, int] = SHAPE) -> SplitData:
    """Records of two chunks a track."""
    rng = np.random.default_rng(seed)
    log_mels = rng.normal(size=(n_records, *shape)).astype(np.float32)
    return SplitData.from_arrays(
        log_mels, rng.integers(0, 3, n_records), [f"t{index // 2}" for index in range(n_records)], np.arange(n_records)
    )


def with_noise(epoch: tf.Tensor, step: tf.Tensor, log_mels: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """An augmentation: noise that follows from epoch and step."""
    return log_mels + tf.random.stateless_normal(tf.shape(log_mels), tf.stack([epoch, step])), targets


class WeightsAtEnd(keras.callbacks.Callback):
    """Keeps the weights that were trained, in the precision in which they were."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[np.ndarray] = []
        self.optimizer_state: list[np.ndarray] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.weights = self.model.get_weights()
        self.optimizer_state = [variable.numpy() for variable in self.model.optimizer.variables]
