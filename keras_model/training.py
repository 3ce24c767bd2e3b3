"""Training: network, optimiser and data under one distribution strategy, and an evaluation after every epoch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_model.classifiers import shallow
from keras_model.dataset import SplitData, load_split
from keras_model.evaluation import Evaluation, evaluate
from keras_model.options import TrainOptions
from tfrecords.manifest import Manifest

_EVALUATION_BATCH = 256


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedModel:
    """What training ends with.

    Attributes:
        model: The network after its last step.
        evaluation: Of that network on the test split.
        epochs: Per finished epoch the logs: train loss, accuracy and cross-entropy, and the test split's.
        interrupted: Whether Ctrl-C ended it early.
        n_replicas: Devices that shared each batch.
    """

    model: keras.Model
    evaluation: Evaluation
    epochs: list[dict[str, float]]
    interrupted: bool
    n_replicas: int


class EvaluateTracks(keras.callbacks.Callback):
    """After every epoch, the three accuracies on the test split; they join the epoch's logs."""

    def __init__(self, test: SplitData, genres: tuple[str, ...]) -> None:
        super().__init__()
        self._test = test
        self._genres = genres
        self.epochs: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Evaluates; must stand before the callbacks that write the logs."""
        evaluation = evaluate_model(self.model, self._test, self._genres)
        assigned = logs if logs is not None else {}
        assigned |= {f"test_{name}": value for name, value in evaluation.accuracies.items()}
        assigned["test_cross_entropy"] = evaluation.cross_entropy
        self.epochs.append({name: float(value) for name, value in assigned.items()})


def evaluate_model(model: keras.Model, split: SplitData, genres: tuple[str, ...]) -> Evaluation:
    """Runs a network over a split, in its order, and compares its probabilities with the truth."""
    probabilities = model.predict(split.ordered_batches(batch_size=_EVALUATION_BATCH), verbose=0)
    return evaluate(np.asarray(probabilities), split.labels, split.track_ids, genres=genres)


def build_model(options: TrainOptions, manifest: Manifest) -> keras.Model:
    """The network that the options name, for a dataset, compiled as in the paper.

    XLA is left to Keras on GPUs and off on CPUs, where it runs these convolutions two to three times slower.
    """
    model = shallow(
        manifest.spec.shape,
        n_genres=len(manifest.genres),
        batchnorm=options.batchnorm,
        l1=options.l1,
        dropout=options.dropout,
        standardization=manifest.standardization,
    )
    model.compile(
        optimizer=keras.optimizers.Adam(options.learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-8),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy", keras.metrics.SparseCategoricalCrossentropy(name="cross_entropy")],
        jit_compile="auto" if tf.config.list_physical_devices("GPU") else False,
    )
    return model


def fit(options: TrainOptions, manifest: Manifest, callbacks: list[keras.callbacks.Callback]) -> TrainedModel:
    """Trains a network on a dataset's train split.

    Args:
        options: Of the run; `options.data` has been checked against the manifest.
        manifest: The dataset's.
        callbacks: See each epoch's logs with the test split's accuracies in them.

    Returns:
        The network, also where Ctrl-C ended the training early.
    """
    keras.utils.set_random_seed(options.seed)
    cache_bytes = int(options.cache_gib * 2**30)
    train = load_split(options.data, manifest, "train", cache_bytes=cache_bytes, for_training=True)
    test = load_split(options.data, manifest, "test", cache_bytes=cache_bytes)
    strategy = tf.distribute.MirroredStrategy(_devices())
    with strategy.scope():
        model = build_model(options, manifest)
    track_accuracy = EvaluateTracks(test, manifest.genres)
    interrupted = False
    try:
        model.fit(
            train.training_batches(batch_size=options.batch_size, seed=options.seed, n_epochs=options.epochs),
            epochs=options.epochs,
            steps_per_epoch=train.n_batches(options.batch_size),
            callbacks=[track_accuracy, *callbacks],
        )
    except KeyboardInterrupt:
        interrupted = True
    return TrainedModel(
        model=model,
        evaluation=evaluate_model(model, test, manifest.genres),
        epochs=track_accuracy.epochs,
        interrupted=interrupted,
        n_replicas=strategy.num_replicas_in_sync,
    )


def _devices() -> list[str]:
    """All visible GPUs, or the one CPU."""
    n_gpus = len(tf.config.list_physical_devices("GPU"))
    return [f"GPU:{index}" for index in range(n_gpus)] or ["CPU:0"]


def load_model(path: Path) -> Any:
    """Loads a network that a run saved; for inference, so without optimiser."""
    return keras.models.load_model(path, compile=False)
