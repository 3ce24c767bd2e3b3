"""Training: network, optimiser and data under one distribution strategy, and an evaluation after every epoch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_model.classifiers import build_classifier
from keras_model.dataset import SplitData, load_split
from keras_model.evaluation import Evaluation, evaluate
from keras_model.options import TrainOptions
from keras_model.run_folder import TrainingError
from tfrecords.errors import UsageError
from tfrecords.manifest import Manifest

_EVALUATION_BATCH = 256
_WINDOW_STEPS = 100


class DivergedError(TrainingError):
    """A training whose loss is no number any more."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedModel:
    """What training ends with.

    Attributes:
        model: The network after its last step.
        evaluation: Of that network on the test split.
        epochs: Per finished epoch the logs: train loss, accuracy and cross-entropy, and the test split's accuracies, overall
            and per genre.
        steps: Per window of 100 steps the step at its end, and the means of loss, accuracy and cross-entropy over it.
        steps_per_epoch: Number of steps an epoch.
        interrupted: Whether Ctrl-C ended it early.
        devices: What shared each batch.
    """

    model: keras.Model
    evaluation: Evaluation
    epochs: list[dict[str, Any]]
    steps: list[dict[str, float]]
    steps_per_epoch: int
    interrupted: bool
    devices: list[str]


class EvaluateTracks(keras.callbacks.Callback):
    """After every epoch, the three accuracies on the test split; they join the epoch's logs.

    For a synthetic corpus `synthetic` joins them too, so that progress bar, history.csv and TensorBoard say so.
    """

    def __init__(self, test: SplitData, manifest: Manifest) -> None:
        super().__init__()
        self._test = test
        self._manifest = manifest
        self.epochs: list[dict[str, Any]] = []
        self.latest: Evaluation | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Evaluates; must stand before the callbacks that write the logs."""
        assigned = logs if logs is not None else {}
        if not np.isfinite(assigned["loss"]):
            raise DivergedError(f"the loss became {assigned['loss']} in epoch {epoch + 1}; a lower --learning-rate may help")
        evaluation = self.latest = evaluate_model(self.model, self._test, self._manifest.genres)
        assigned |= {f"test_{name}": value for name, value in evaluation.accuracies.items()}
        assigned["test_cross_entropy"] = evaluation.cross_entropy
        if self._manifest.corpus.synthetic:
            assigned["synthetic"] = 1.0
        self.epochs.append({name: float(value) for name, value in assigned.items()} | {"per_genre": evaluation.per_genre})

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """The latest evaluation is of another network from now on."""
        self.latest = None


class StepWindows(keras.callbacks.Callback):
    """Means of loss, accuracy and cross-entropy over windows of 100 train steps."""

    _NAMES = ("loss", "accuracy", "cross_entropy")

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[dict[str, float]] = []
        self._n_steps = 0
        self._sums = np.zeros(len(self._NAMES))
        self._epoch_sums = np.zeros(len(self._NAMES))

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Keras' means begin anew."""
        self._epoch_sums[:] = 0.0

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Takes the step's own values out of Keras' means over the epoch so far."""
        sums = (batch + 1) * np.asarray([(logs or {})[name] for name in self._NAMES])
        self._sums += sums - self._epoch_sums
        self._epoch_sums = sums
        self._n_steps += 1
        if self._n_steps % _WINDOW_STEPS == 0:
            means = dict(zip(self._NAMES, (self._sums / _WINDOW_STEPS).tolist(), strict=True))
            self.steps.append({"step": self._n_steps} | means)
            self._sums[:] = 0.0


def evaluate_model(model: keras.Model, split: SplitData, genres: tuple[str, ...]) -> Evaluation:
    """Runs a network over a split, in its order, and compares its probabilities with the truth."""
    probabilities = model.predict(split.ordered_batches(batch_size=_EVALUATION_BATCH), verbose=0)
    return evaluate(np.asarray(probabilities), split.labels, split.track_ids, chunk_indices=split.chunk_indices, genres=genres)


def build_model(options: TrainOptions, manifest: Manifest) -> keras.Model:
    """The network that the options name, for a dataset, compiled as in the paper."""
    model = build_classifier(
        options.model,
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

    Raises:
        UsageError: If the devices cannot share a batch evenly.
        DivergedError: If the loss is no number any more.
    """
    keras.utils.set_random_seed(options.seed)
    cache_bytes = options.cache_gib * 2**30
    train = load_split(options.data, manifest, "train", cache_bytes=cache_bytes, for_training=True)
    test = load_split(options.data, manifest, "test", cache_bytes=cache_bytes)
    devices = _devices()
    if options.batch_size % len(devices):
        raise UsageError(f"the batch size must be a multiple of {len(devices)}, the number of devices, got {options.batch_size}")
    print(f"Devices  {', '.join(devices)}", flush=True)
    strategy = tf.distribute.MirroredStrategy(devices)
    with strategy.scope():
        model = build_model(options, manifest)
    track_accuracy = EvaluateTracks(test, manifest)
    windows = StepWindows()
    steps_per_epoch = train.n_batches(options.batch_size, n_replicas=len(devices))
    interrupted = False
    try:
        model.fit(
            train.training_batches(
                batch_size=options.batch_size, seed=options.seed, n_epochs=options.epochs, n_replicas=len(devices)
            ),
            epochs=options.epochs,
            steps_per_epoch=steps_per_epoch,
            callbacks=[windows, track_accuracy, *callbacks],
        )
    except KeyboardInterrupt:
        interrupted = True
    return TrainedModel(
        model=model,
        evaluation=track_accuracy.latest or evaluate_model(model, test, manifest.genres),
        epochs=track_accuracy.epochs,
        steps=windows.steps,
        steps_per_epoch=steps_per_epoch,
        interrupted=interrupted,
        devices=devices,
    )


def _devices() -> list[str]:
    """All visible GPUs, or the one CPU."""
    n_gpus = len(tf.config.list_physical_devices("GPU"))
    return [f"GPU:{index}" for index in range(n_gpus)] or ["CPU:0"]


def load_model(path: Path) -> Any:
    """Loads a network that a run saved; for inference, so without optimiser.

    Raises:
        UsageError: If it cannot be loaded.
    """
    try:
        return keras.models.load_model(path, compile=False)
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"{path} is damaged: {str(error).splitlines()[0]}") from error
