"""Training: a network, compiled and fit by Keras, and what comes out of it."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_model.data.split_data import Augment, SplitData
from keras_model.evaluation.accuracies import Evaluation
from keras_model.networks.classifiers import build_classifier
from keras_model.networks.fused import has_gpu, implement
from keras_model.options import TrainOptions
from keras_model.training.backup import Backup
from keras_model.training.callbacks import EvaluateTracks, NameDivergence, SeedDropout
from keras_model.training.optimizer import build_optimizer
from tfrecords.errors import UsageError
from tfrecords.front_end.log_mel_spec import LogMelSpec

_MOST_STEPS_PER_EXECUTION = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedModel:
    """What training ends with.

    Attributes:
        model: The network after its last epoch, or its best one, with `--ema` with the averaged weights; in float32.
        evaluation: Of that network on the test split.
        epochs: Per finished epoch the logs.
        kept_epoch: The epoch that the network is of, counted from 1.
        steps_per_epoch: Batches in an epoch.
        seconds: That the epochs took, over all of the training's resumptions.
        interrupted: Whether Ctrl-C ended it early.
        devices: What shared each batch.
    """

    model: keras.Model
    evaluation: Evaluation
    epochs: list[dict[str, float]]
    kept_epoch: int
    steps_per_epoch: int
    seconds: float
    interrupted: bool
    devices: list[str]


def build_model(
    options: TrainOptions,
    *,
    shape: tuple[int, int],
    n_genres: int,
    standardization: Mapping[str, Any] | None,
    synchronized: bool,
    robust_spec: LogMelSpec | None = None,
) -> keras.Model:
    """The network that the options name; a robust one where the spec of its log-mels is given."""
    return build_classifier(
        options.model,
        shape,
        n_genres=n_genres,
        batchnorm=options.batchnorm,
        l1=options.l1,
        dropout=options.dropout,
        robust_spec=robust_spec,
        synchronized=synchronized,
        standardization=standardization,
    )


def fit(
    options: TrainOptions,
    *,
    train: SplitData,
    test: SplitData,
    genres: tuple[str, ...],
    validation: SplitData | None = None,
    build: Callable[..., keras.Model] = build_model,
    standardization: Mapping[str, Any] | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    augment: Augment | None = None,
    folder: Path | None = None,
    identity: str = "",
    test_every_epoch: bool = True,
) -> TrainedModel:
    """Trains a network; may be called several times in one process.

    Args:
        options: Of the run; its folders are not looked at.
        train: What to train on.
        test: What to evaluate on: after every epoch, or with a validation split at the end alone.
        genres: In the order of the labels.
        validation: What is evaluated after every epoch, where there is such a split.
        build: Makes the network, as `build_model` does; another one for what no option names.
        standardization: `mean` and `std` of the train split; None for none.
        callbacks: As for Keras' `fit`. They see each epoch once, the logs of the evaluated splits, and the weights that were
            evaluated; after a resumption they go on with the numbers that they kept.
        augment: What is done to each batch; None for nothing.
        folder: Where the training's state is kept after each epoch, and gone on from; None for nowhere.
        identity: Digest of all that decides the training's result; a state of another one is refused.
        test_every_epoch: Whether the test split is evaluated after every epoch where there is no validation split.

    Returns:
        The network, also where Ctrl-C ended the training early.

    Raises:
        UsageError: If the devices cannot train as asked, the state in `folder` is of another training, or an epoch is to be
            chosen without a validation split.
        DivergedError: If the loss becomes NaN or infinite.
        KeyboardInterrupt: At Ctrl-C in the first epoch, after which nothing is there to save.
    """
    if options.selects and validation is None:
        raise UsageError("keeping the best epoch and stopping early need a validation split")
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()
    strategy = make_strategy()
    _check_devices(options, strategy.num_replicas_in_sync, train)
    keras.utils.set_random_seed(options.seed)
    steps_per_epoch = train.n_batches(options.batch_size)
    network: dict[str, Any] = {"shape": train.shape, "n_genres": len(genres), "standardization": standardization}
    with strategy.scope(), _dtype_policy(options.precision):
        model = build(options, synchronized=strategy.num_replicas_in_sync > 1, **network)
        model.compile(
            build_optimizer(options, options.epochs * steps_per_epoch),
            # Each sample has the weight 1 / (samples of its batch): the sum is the batch's mean on any number of replicas.
            keras.losses.CategoricalCrossentropy(label_smoothing=options.label_smoothing, reduction="sum"),
            metrics=["accuracy", keras.metrics.CategoricalCrossentropy(name="cross_entropy")],
            jit_compile=_use_xla(options, strategy.num_replicas_in_sync),
            steps_per_execution=_steps_per_execution(steps_per_epoch),
        )
        if strategy.num_replicas_in_sync == 1:  # else the first step makes these, and TensorFlow traces it a second time for that
            model.optimizer.build(model.trainable_variables)
            model.compute_metrics(None, *np.zeros((2, 1, len(genres)), np.float32))
            model.reset_metrics()
    implement(model, options.convolution)
    evaluated = ("test", test) if validation is None else ("val", validation)
    all_callbacks = [
        SeedDropout(options.seed),
        *([keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if options.ema else ()),
        *([EvaluateTracks(*evaluated, genres)] if validation or test_every_epoch else ()),
        NameDivergence(train, batch_size=options.batch_size, seed=options.seed),
        *([keras.callbacks.EarlyStopping(patience=options.early_stopping)] if options.early_stopping else ()),
        *callbacks,
    ]
    backup = Backup(folder, identity=identity, callbacks=all_callbacks, keep=options.keep)
    with strategy.scope():
        backup.restore(model)
    interrupted = False
    if len(backup.epochs) < options.epochs and not backup.stopped:
        batches = train.training_batches(
            batch_size=options.batch_size,
            n_genres=len(genres),
            seed=options.seed,
            first_epoch=len(backup.epochs),
            n_epochs=options.epochs,
            augment=augment,
            n_replicas=strategy.num_replicas_in_sync,
            dtype=keras.backend.standardize_dtype(model.variable_dtype),
        )
        try:
            model.fit(
                batches,
                epochs=options.epochs,
                initial_epoch=len(backup.epochs),
                steps_per_epoch=steps_per_epoch,
                callbacks=[*all_callbacks, backup],
                shuffle=False,
                verbose=0,
            )
        except KeyboardInterrupt:
            interrupted = True
            if backup.weights is None:
                raise
    trained = implement(build(options, synchronized=False, **network), options.convolution)
    trained.set_weights(backup.weights)
    return TrainedModel(
        model=trained,
        evaluation=Evaluation.of(trained, test, genres),
        epochs=backup.epochs,
        kept_epoch=backup.kept_epoch,
        steps_per_epoch=steps_per_epoch,
        seconds=backup.seconds,
        interrupted=interrupted,
        devices=device_names(),
    )


def check_prolongation(before: TrainOptions, options: TrainOptions) -> None:
    """Refuses more epochs for a run whose steps so far would have been others, had it been asked for as many at its start.

    Raises:
        UsageError: If the training depends on its length.
    """
    if options.epochs == before.epochs:
        return
    if options.learning_rate_decay != "none":
        raise UsageError(f"--epochs cannot prolong {options.output}: its learning rate depends on the number of epochs")
    if options.ema:
        raise UsageError(f"--epochs cannot prolong {options.output}: with --ema its last epoch has put the average in place")


@contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    """Layers that are made within it compute as `name` says; what a run trains, not what it saves."""
    before = keras.config.dtype_policy(), keras.config.floatx()
    keras.config.set_dtype_policy(name)
    keras.config.set_floatx("float64" if name == "float64" else "float32")  # of the loss
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before[0])
        keras.config.set_floatx(before[1])


@functools.cache
def make_strategy() -> tf.distribute.Strategy:
    """The process's one strategy: TensorFlow does not take a second one of another size.

    One device has none, for a MirroredStrategy over it costs milliseconds a step (docs/training.md).
    """
    names = device_names()
    return tf.distribute.MirroredStrategy(names) if len(names) > 1 else tf.distribute.get_strategy()


def device_names() -> list[str]:
    """All visible GPUs, or else the CPU (several where it was divided into logical devices): "GPU:0"."""
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return [f"{device.device_type}:{index}" for index, device in enumerate(devices)]


def _check_devices(options: TrainOptions, n_replicas: int, train: SplitData) -> None:
    if n_replicas == 1:
        return
    if options.xla:
        raise UsageError(f"--xla compiles for one device, and there are {n_replicas}")
    if options.precision == "mixed_float16":
        # Keras has each device skip a step by its own gradients: they would drift apart.
        raise UsageError(f"--precision mixed_float16 is for one device, and there are {n_replicas}; take mixed_bfloat16")
    if options.batch_size % n_replicas or (train.n_records < options.batch_size and train.n_records % n_replicas):
        raise UsageError(
            f"{n_replicas} devices share the first batch evenly: --batch-size must be a multiple of {n_replicas}, and the train "
            f"split have as many records, got {options.batch_size} and {train.n_records}"
        )


def _use_xla(options: TrainOptions, n_replicas: int) -> bool:
    """As asked for; where nothing was, on one GPU, where it is faster (on CPUs it was measured to be slower)."""
    if options.xla is None:
        # On GPUs, XLA has no deterministic gradient of max pooling.
        return has_gpu() and n_replicas == 1 and not options.deterministic
    return options.xla


def _steps_per_execution(steps_per_epoch: int) -> int:
    """How many steps one call of TensorFlow runs: some on a GPU, which would wait for Python; they must divide the epoch."""
    if not has_gpu():
        return 1
    return max(n for n in range(1, _MOST_STEPS_PER_EXECUTION + 1) if steps_per_epoch % n == 0)
