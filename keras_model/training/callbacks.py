"""What a training does between its steps and epochs, where Keras has no callback for it."""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_model.data.split_data import SplitData
from keras_model.evaluation.accuracies import Evaluation
from keras_model.run_folder import TrainingError

_NAMED_TRACKS = 10


class DivergedError(TrainingError):
    """A training whose loss became NaN or infinite."""


class SeedDropout(keras.callbacks.Callback):
    """Has the draws of each dropout layer follow from (seed, epoch, layer, replica), for a training that goes on at an epoch."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Sets the generators."""
        strategy = self.model.distribute_strategy
        layers = [layer for layer in self.model.layers if isinstance(layer, keras.layers.Dropout) and layer.rate]
        for number, layer in enumerate(layers):
            seeds = [
                np.random.SeedSequence([self.seed, epoch, number, replica]).generate_state(1)[0]
                for replica in range(strategy.num_replicas_in_sync)
            ]
            _assign_on_replicas(strategy, layer.seed_generator.state, np.stack([seeds, np.zeros_like(seeds)], axis=1))


def _assign_on_replicas(strategy: tf.distribute.Strategy, variable: keras.Variable, values: np.ndarray) -> None:
    """Gives each replica's copy of a variable the row of its number."""

    def assign() -> None:
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        variable.assign(tf.gather(tf.constant(values, variable.value.dtype), replica))

    strategy.run(tf.function(assign, autograph=False))


class NameDivergence(keras.callbacks.Callback):
    """Ends a training whose loss becomes NaN or infinite, and names the steps and their tracks.

    Args:
        train: What is trained on.
        batch_size: Of the training.
        seed: Of the training.

    Raises:
        DivergedError: From the training.
    """

    def __init__(self, train: SplitData, *, batch_size: int, seed: int) -> None:
        super().__init__()
        self.train, self.batch_size, self.seed = train, batch_size, seed
        self.epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Notes the epoch."""
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Looks at the epoch's mean loss so far, of which one step is enough."""
        loss = (logs or {}).get("loss", 0.0)
        if math.isfinite(loss):
            return
        # One call of TensorFlow ran the steps up to this one; which of them was the first, it does not tell.
        steps = range(batch + 1 - self.model.steps_per_execution, batch + 1)
        tracks = list(dict.fromkeys(track for step in steps for track in self._tracks_of(step)))
        more = f" … and {len(tracks) - _NAMED_TRACKS} more" if len(tracks) > _NAMED_TRACKS else ""
        place = f"step {batch + 1}" if len(steps) == 1 else f"steps {steps[0] + 1} to {batch + 1}"
        raise DivergedError(
            f"the loss became {loss} in epoch {self.epoch + 1}, {place} of {self.params['steps']}; a lower --learning-rate may "
            f"help; {'the batch' if len(steps) == 1 else 'their batches'} had chunks of {', '.join(tracks[:_NAMED_TRACKS])}{more}"
        )

    def _tracks_of(self, step: int) -> list[str]:
        return self.train.tracks_of_batch(batch_size=self.batch_size, seed=self.seed, epoch=self.epoch, step=step)


class EvaluateTracks(keras.callbacks.Callback):
    """Evaluates a split after each epoch, by chunks and by tracks, and adds what comes out to the epoch's logs.

    It comes before all callbacks that look at these logs. With the name "val" they are Keras' own, `val_loss` and `val_accuracy`,
    with the two votes beside them; with any other, the names of the field's paper.

    Args:
        name: Of the split in the logs.
        split: The split.
        genres: In the order of the labels.
    """

    def __init__(self, name: str, split: SplitData, genres: tuple[str, ...]) -> None:
        super().__init__()
        self.name, self.split, self.genres = name, split, genres

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Evaluates."""
        evaluation = Evaluation.of(self.model, self.split, self.genres)
        values = evaluation.accuracies | {"cross_entropy": evaluation.cross_entropy}
        if self.name == "val":
            penalty = float(sum(self.model.losses, start=keras.ops.zeros(())))
            values = {"loss": evaluation.cross_entropy + penalty, "accuracy": values.pop("raw"), **values}
        if logs is not None:
            logs.update({f"{self.name}_{key}": value for key, value in values.items()})
