"""`fit` on the network that takes no time, and callbacks that stop it and look at it."""

from typing import Any

import keras
import numpy as np

from keras_model.options import TrainOptions
from keras_model.training.fit import TrainedModel, fit
from tests.tiny_training import GENRES, WeightsAtEnd, noise, tiny_network

OPTIONS = TrainOptions(batch_size=16, epochs=3, learning_rate=1e-2, dropout=0.3, batchnorm=True)
TRAIN, TEST, VALIDATION = noise(70), noise(9, seed=1), noise(21, seed=2)  # five steps an epoch, the last one of 6 samples


class Stop(Exception):  # noqa: N818
    """What stands for the end of a process."""


class StopAfter(keras.callbacks.Callback):
    """Raises as soon as so many steps were made."""

    def __init__(self, n_steps: int, error: type[BaseException] = Stop) -> None:
        super().__init__()
        self.left = [None] * n_steps  # no number, which a training that goes on would bring back
        self.error = error

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if not self.left:
            raise self.error
        self.left.pop()


class Collect(keras.callbacks.Callback):
    """Keeps what is seen at the end of each epoch: its number, its logs, a kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, dict[str, float], np.ndarray]] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.seen.append((epoch, dict(logs or {}), self.model.get_layer("genre").kernel.numpy()))


def trained(options: TrainOptions = OPTIONS, *, callbacks: Any = (), **arguments: Any) -> tuple[TrainedModel, list[np.ndarray]]:
    at_end = WeightsAtEnd()
    splits = {"train": TRAIN, "test": TEST} | arguments
    model = fit(options, genres=GENRES, build=tiny_network, callbacks=[at_end, *callbacks], **splits)
    return model, at_end.weights


def assert_equal(ones: list[np.ndarray], others: list[np.ndarray]) -> None:
    for one, other in zip(ones, others, strict=True):
        np.testing.assert_array_equal(one, other)
