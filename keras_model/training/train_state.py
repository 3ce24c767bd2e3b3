"""All variables of a training: to and from a checkpoint, on any number of replicas."""

import keras
import numpy as np
import tensorflow as tf

from keras_model.training.checkpoints import Checkpoint
from keras_model.training.progress import Progress
from tfrecords.errors import UsageError


class TrainState:
    """The variables of a network and its optimiser, with the generators that dropout draws from.

    Keras leaves the generators out of what it saves. They also start alike on every replica, which would give the first sample of
    each share the same dropout: replica i's are moved on by i in their first number, the seed.
    """

    def __init__(self, model: keras.Model, strategy: tf.distribute.Strategy) -> None:
        """Takes a built, compiled model, and the strategy under which it was made."""
        self._strategy = strategy
        self._variables = {
            f"{owner}/{index:03d}": variable
            for owner, variables in (("model", model.variables), ("optimizer", model.optimizer.variables))
            for index, variable in enumerate(variables)
        }
        weights = {id(variable) for variable in model.weights}
        self._generators = [variable for variable in model.variables if id(variable) not in weights]
        self._move_generators_apart()

    def checkpoint(self, progress: Progress) -> Checkpoint:
        """The state; of the generators, the first replica's."""
        arrays = {name: np.asarray(variable.numpy()) for name, variable in self._variables.items()}
        return Checkpoint(arrays=arrays, progress=progress.to_dict())

    def restore(self, checkpoint: Checkpoint) -> None:
        """Puts a state back.

        Raises:
            UsageError: If it is that of another network.
        """
        shapes = {name: tuple(variable.shape) for name, variable in self._variables.items()}
        if shapes != {name: array.shape for name, array in checkpoint.arrays.items()}:
            raise UsageError("the checkpoint is of another network than this version builds")
        for name, variable in self._variables.items():
            variable.assign(checkpoint.arrays[name])
        self._move_generators_apart()

    def _move_generators_apart(self) -> None:
        if self._strategy.num_replicas_in_sync == 1:
            return

        def move() -> None:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            for state in self._generators:  # (2,): the seed and a count of draws
                state.assign(state.value + tf.cast(tf.stack([replica, 0]), state.value.dtype))

        self._strategy.run(tf.function(move, autograph=False))
