"""A network on a split: its probabilities for every sample, computed by all devices, and the accuracies that follow."""

import keras
import numpy as np
import tensorflow as tf

from keras_model.evaluation import Evaluation, evaluate
from keras_model.training.dataset import SplitData

_BATCH_SIZE = 256


class SplitEvaluator:
    """Evaluates one network on one split, as often as wanted.

    The replicas share each batch; one that does not divide by their number is filled up with zeros, whose probabilities are
    left out again. On several machines every worker takes part, and every one ends with all probabilities.
    """

    def __init__(
        self,
        model: keras.Model,
        split: SplitData,
        genres: tuple[str, ...],
        *,
        strategy: tf.distribute.Strategy | None = None,
        xla: bool = False,
    ) -> None:
        """Takes a model, and the strategy under which it was made."""
        self._split = split
        self._genres = genres
        self._strategy = strategy or tf.distribute.get_strategy()
        self._n_replicas = self._strategy.num_replicas_in_sync
        self._forward = tf.function(lambda log_mels: model(log_mels, training=False), jit_compile=xla, autograph=False)
        self._shared = tf.function(self._probabilities, autograph=False)

    def evaluate(self) -> Evaluation:
        """Compares the network's probabilities, as it is now, with the truth."""
        parts = [self._shared(log_mels) for log_mels in self._split.ordered_batches(batch_size=_BATCH_SIZE)]
        probabilities = np.concatenate([part.numpy() for part in parts])
        split = self._split
        return evaluate(
            probabilities,
            split.labels,
            split.track_ids,
            chunk_indices=split.chunk_indices,
            places=split.places,
            genres=self._genres,
        )

    def _probabilities(self, log_mels: tf.Tensor) -> tf.Tensor:
        """(batch, n_mels, n_frames, 1) to (batch, n_genres)."""
        if self._n_replicas == 1:
            return self._forward(log_mels)
        n_samples = tf.shape(log_mels)[0]
        n_each = -(-n_samples // self._n_replicas)
        filled = tf.pad(log_mels, [[0, n_each * self._n_replicas - n_samples], [0, 0], [0, 0], [0, 0]])

        def share() -> tf.Tensor:
            first = tf.distribute.get_replica_context().replica_id_in_sync_group * n_each
            return self._forward(filled[first : first + n_each])

        return self._strategy.gather(self._strategy.run(share), axis=0)[:n_samples]


def evaluate_model(model: keras.Model, split: SplitData, genres: tuple[str, ...]) -> Evaluation:
    """Runs a network that no strategy holds over a split, in its order, and compares its probabilities with the truth."""
    return SplitEvaluator(model, split, genres).evaluate()
