"""The training step, on any number of replicas: what all of them together do is what one would do with the whole batch."""

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from keras_model.run_folder import TrainingError
from keras_model.training.cluster import Cluster


class TrainStep:
    """Runs optimisation steps, several per call of TensorFlow.

    Every replica gets every global batch, as (log-mels, targets), and takes its share of the n samples: replica i of N those
    from i·n / N to (i + 1)·n / N. The shares may be of unequal size: each sample counts 1 / n in the loss, and the penalty on
    the weights 1 / N on each replica. Hence also the statistics of synchronised batch normalisation are those of the batch,
    without samples that only fill up.

    Where there are fewer samples than replicas, every replica takes all of them, each with the weight 1 / N: loss, gradients
    and statistics are the same. Empty shares would give those too, but not all kernels can compute them: the fused convolution
    of TensorFlow 2.21's oneDNN makes one channel of an empty batch's 16.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        strategy: tf.distribute.Strategy,
        *,
        label_smoothing: float = 0.0,
        xla: bool = False,
    ) -> None:
        """Takes a built model and optimiser.

        Args:
            model: From log-mels to probabilities; made under the strategy.
            optimizer: Likewise.
            strategy: Shares the batches.
            label_smoothing: Of the loss.
            xla: Whether XLA compiles the step; of several replicas, each one's part up to the gradients. Synchronised batch
                normalisation on several replicas cannot be compiled: they talk to each other in the middle of it.
        """
        self._model = model
        self._optimizer = optimizer
        self._strategy = strategy
        self._n_replicas = strategy.num_replicas_in_sync
        self._cluster = Cluster.from_environment()
        self._label_smoothing = label_smoothing
        # Where replicas normalise by statistics of their own, the moving ones, which all share, are the mean over the replicas.
        self._averaged = [
            weight
            for layer in batch_normalizations(model)
            for weight in layer.non_trainable_weights
            if self._n_replicas > 1 and not layer.synchronized
        ]
        # Keras looks at its own replica's gradients only when it decides whether to skip a step.
        self._scales_loss = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        self._step = self._replica_step
        self._losses_and_gradients = self._of_share
        if xla and self._n_replicas == 1:
            self._step = tf.function(self._replica_step, jit_compile=True, autograph=False)
        elif xla:
            self._losses_and_gradients = tf.function(self._of_share, jit_compile=True, autograph=False)
        self._steps = tf.function(self._many_steps, autograph=False)

    def run(
        self, batches: tf.data.Iterator, *, n_steps: int, global_step: int, interrupt: bool, finish: bool
    ) -> tuple[NDArray[np.float64], bool]:
        """Runs steps on the next global batches.

        Args:
            batches: Yields (log-mels (batch, n_mels, n_frames, 1) float32, targets (batch, n_genres) float32).
            n_steps: How many; on several machines, the chief's word counts.
            global_step: Steps made so far, which all workers must agree on.
            interrupt: Whether the training shall end at once, by Ctrl-C; on several machines, one worker's word is enough.
            finish: Likewise, by a callback.

        Returns:
            Per step the loss (with the penalty on the weights), the samples that were classified correctly, the sum of all
            cross-entropies (without penalty and label smoothing) and the number of samples, (n_steps, 4); none where the
            training shall end. And whether any worker was interrupted.

        Raises:
            TrainingError: If the workers are at different steps.
        """
        wish = np.asarray([n_steps if self._cluster.is_chief else 0, global_step, interrupt, finish], np.int64)
        agreed, rows = self._steps(batches, tf.constant(wish))
        if agreed[1] != global_step * self._cluster.n_workers:
            raise TrainingError("the workers are not at the same step: start them all with the same options")
        return rows.numpy(), bool(agreed[2] > 0)

    def _many_steps(self, batches: tf.data.Iterator, wish: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        agreed = self._agreement(wish)
        go_on = (agreed[1] == wish[1] * self._cluster.n_workers) & (agreed[2] == 0) & (agreed[3] == 0)
        n_steps = tf.where(go_on, agreed[0], 0)

        def step(index: tf.Tensor, rows: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            row = self._strategy.run(self._share_and_step, args=batches.get_next())
            return index + 1, rows.write(tf.cast(index, tf.int32), self._strategy.experimental_local_results(row)[0])

        rows = tf.TensorArray(tf.float64, size=tf.cast(n_steps, tf.int32), element_shape=(4,))
        first = tf.zeros((), tf.int64)
        _, rows = tf.while_loop(lambda index, _: index < n_steps, step, (first, rows))
        return agreed, rows.stack()

    def _agreement(self, wish: tf.Tensor) -> tf.Tensor:
        """The sum of all workers' wishes."""
        if self._cluster.n_workers == 1:
            return wish
        n_local = self._n_replicas // self._cluster.n_workers

        def total() -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            is_first = tf.cast(context.replica_id_in_sync_group % n_local == 0, tf.int64)
            return context.all_reduce(tf.distribute.ReduceOp.SUM, wish * is_first)

        return self._strategy.experimental_local_results(self._strategy.run(total))[0]

    def _share_and_step(self, log_mels: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        n_samples, weight = tf.shape(targets)[0], tf.ones((), tf.float64)
        if self._n_replicas > 1:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            with tf.device("CPU:0"):  # only the share travels to the device
                enough = n_samples >= self._n_replicas
                start = tf.where(enough, n_samples * replica // self._n_replicas, 0)
                end = tf.where(enough, n_samples * (replica + 1) // self._n_replicas, n_samples)
                log_mels, targets = log_mels[start:end], targets[start:end]
                weight = tf.where(enough, weight, weight / self._n_replicas)
        return self._step(log_mels, targets, n_samples, weight)

    def _replica_step(self, log_mels: tf.Tensor, targets: tf.Tensor, n_samples: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        """One replica's part of a step; returns the whole batch's row."""
        context = tf.distribute.get_replica_context()
        row, gradients = self._losses_and_gradients(log_mels, targets, n_samples, weight)
        if self._scales_loss and self._n_replicas > 1:
            finite = tf.cast(self._optimizer.check_finite(gradients), tf.float32)
            n_finite = context.all_reduce(tf.distribute.ReduceOp.SUM, finite)
            gradients[0] = tf.where(n_finite < self._n_replicas, tf.constant(np.nan, gradients[0].dtype), gradients[0])
        self._optimizer.apply(gradients, self._model.trainable_variables)  # adds up the replicas' gradients
        for variable in self._averaged:
            variable.assign(context.all_reduce(tf.distribute.ReduceOp.MEAN, variable.value))
        return context.all_reduce(tf.distribute.ReduceOp.SUM, row)

    def _of_share(
        self, log_mels: tf.Tensor, targets: tf.Tensor, n_samples: tf.Tensor, weight: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """A share's row, and its part of the gradients: over all replicas both sum to those of the batch."""
        with tf.GradientTape() as tape:
            probabilities = self._model(log_mels, training=True)  # (share, n_genres) float32 or float64
            dtype = probabilities.dtype
            truth = tf.cast(targets, dtype)
            losses = keras.losses.categorical_crossentropy(truth, probabilities, label_smoothing=self._label_smoothing)
            penalty = tf.cast(sum(self._model.losses, start=0.0), dtype)
            data_loss = tf.cast(weight, dtype) * tf.reduce_sum(losses) / tf.cast(n_samples, dtype)
            loss = data_loss + penalty / self._n_replicas
            scaled_loss = self._optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled_loss, self._model.trainable_variables)
        correct = tf.argmax(truth, axis=1) == tf.argmax(probabilities, axis=1)
        cross_entropies = keras.losses.categorical_crossentropy(truth, probabilities)
        sums = (tf.math.count_nonzero(correct), tf.reduce_sum(cross_entropies), tf.shape(targets)[0])
        return tf.stack([tf.cast(loss, tf.float64), *(weight * tf.cast(total, tf.float64) for total in sums)]), gradients


def batch_normalizations(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers whose output for a sample depends on its batch: Keras' own, and pooled convolutions that normalise."""
    return [layer for layer in model.layers if hasattr(layer, "moving_variance")]
