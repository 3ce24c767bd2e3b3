"""Training: network, optimiser and data under one distribution strategy, and an evaluation after every epoch."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from keras_model.evaluation import Evaluation
from keras_model.networks.classifiers import build_classifier
from keras_model.options import TrainOptions
from keras_model.training.augmented_batches import Augment
from keras_model.training.checkpoints import Checkpoint, Checkpoints
from keras_model.training.dataset import SplitData
from keras_model.training.devices import device_names, has_gpus, lost_workers_named, make_strategy
from keras_model.training.interruption import ctrl_c_noted
from keras_model.training.optimizer import build_optimizer, evaluation_weights
from keras_model.training.progress import Progress
from keras_model.training.split_evaluation import SplitEvaluator, evaluate_model
from keras_model.training.train_state import TrainState
from keras_model.training.train_step import TrainStep, batch_normalizations
from keras_model.training.training_loop import TrainingLoop
from tfrecords.errors import UsageError


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedModel:
    """What training ends with.

    Attributes:
        model: The network after its last step, with `--ema` with the averaged weights: in float32, and held by no strategy.
        evaluation: Of that network on the test split.
        epochs: Per finished epoch the logs: train loss, accuracy and cross-entropy, and where the test split was evaluated its
            accuracies, overall and per genre.
        steps: Per hundred steps the number of steps at their end ("step"), and loss, accuracy and cross-entropy over them; the
            last ones may be fewer.
        steps_per_epoch: Batches in an epoch.
        seconds: That it took, over all of its resumptions.
        interrupted: Whether Ctrl-C ended it early.
        devices: What shared each batch.
    """

    model: keras.Model
    evaluation: Evaluation
    epochs: list[dict[str, Any]]
    steps: list[dict[str, Any]]
    steps_per_epoch: int
    seconds: float
    interrupted: bool
    devices: list[str]


def build_model(
    options: TrainOptions, *, shape: tuple[int, int], n_genres: int, standardization: Mapping[str, Any] | None
) -> keras.Model:
    """The network that the options name."""
    return build_classifier(
        options.model,
        shape,
        n_genres=n_genres,
        batchnorm=options.batchnorm,
        l1=options.l1,
        dropout=options.dropout,
        synchronized=options.sync_batchnorm,
        standardization=standardization,
    )


def fit(
    options: TrainOptions,
    *,
    train: SplitData,
    test: SplitData,
    genres: tuple[str, ...],
    build: Callable[..., keras.Model] = build_model,
    standardization: Mapping[str, Any] | None = None,
    synthetic: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    augment: Augment | None = None,
    checkpoints: Checkpoints | None = None,
    start: Checkpoint | None = None,
    show_progress: bool = True,
    test_every_epoch: bool = True,
    max_steps_per_call: int = 100,
) -> TrainedModel:
    """Trains a network; may be called several times in one process.

    Args:
        options: Of the run; its folders are not looked at.
        train: What to train on.
        test: What to evaluate on.
        genres: In the order of the labels.
        build: Makes the network, as `build_model` does; another one for what no option names.
        standardization: `mean` and `std` of the train split; None for none.
        synthetic: Whether the epochs' logs say that the corpus is synthetic.
        callbacks: See each epoch's logs, with the test split's accuracies in them. One call of TensorFlow runs about a fifth of a
            second's steps; `on_train_batch_end` comes after it, with the last one's number. On a resumption the callbacks first
            get the logs of the epochs that were finished before, so that what they write is whole.
        augment: Called once per epoch as `augment(batches, epoch=…, first_step=…)`, where `batches` are the epoch's global
            batches (log_mels, targets) from its step `first_step` on; returns them augmented. What it does to a batch must
            follow from epoch and step alone, for a resumed run has to do the same again.
        checkpoints: Where the training's state is kept, while it lasts and at its end; None for nowhere.
        start: The state to go on from, of a training of the same options and data; None to begin one.
        show_progress: Whether Keras' progress bar is shown.
        test_every_epoch: Whether the test split is evaluated after every epoch, or after the last one alone.
        max_steps_per_call: Never more steps than this in one call of TensorFlow.

    Returns:
        The network, also where Ctrl-C ended the training early.

    Raises:
        UsageError: If the devices cannot train as asked, or `start` is of another network.
        DivergedError: If the loss is no number any more.
        TrainingError: If a worker on another machine is lost.
    """
    strategy = make_strategy()
    keras.utils.set_random_seed(options.seed)
    progress = Progress(steps_per_epoch=train.n_batches(options.batch_size))
    network: dict[str, Any] = {"shape": train.shape, "n_genres": len(genres), "standardization": standardization}
    with strategy.scope(), _dtype_policy(options.precision):
        model = build(options, **network)
        optimizer = build_optimizer(options, options.epochs * progress.steps_per_epoch)
        model.compile(optimizer, auto_scale_loss=False)  # for callbacks that look at the optimiser; Keras trains nothing
        optimizer.build(model.trainable_variables)
    xla = _use_xla(options, model, strategy.num_replicas_in_sync)
    loop = TrainingLoop(
        options=options,
        model=model,
        train=train,
        n_genres=len(genres),
        synthetic=synthetic,
        state=TrainState(model, strategy),
        step=TrainStep(model, optimizer, strategy, label_smoothing=options.label_smoothing, xla=xla),
        evaluator=SplitEvaluator(model, test, genres, strategy=strategy, xla=xla),
        callbacks=callbacks,
        augment=augment,
        checkpoints=checkpoints,
        start=start,
        show_progress=show_progress,
        test_every_epoch=test_every_epoch,
        max_steps_per_call=max_steps_per_call,
        progress=progress,
    )
    with ctrl_c_noted() as wish_to_end, lost_workers_named():
        loop.run(wish_to_end)
        evaluation = loop.evaluate()
        trained = build(options, **network)
        with evaluation_weights(model, optimizer):
            trained.set_weights(model.get_weights())
        if options.precision != "float32":
            evaluation = evaluate_model(trained, test, genres)
    return TrainedModel(
        model=trained,
        evaluation=evaluation,
        epochs=loop.progress.epochs,
        steps=loop.progress.all_steps(),
        steps_per_epoch=progress.steps_per_epoch,
        seconds=loop.progress.seconds,
        interrupted=loop.interrupted,
        devices=device_names(),
    )


def check_prolongation(before: TrainOptions, options: TrainOptions, steps_per_epoch: int) -> None:
    """Refuses more epochs for a run whose steps so far would have been others, had it been asked for as many at its start.

    Raises:
        UsageError: If the optimiser depends on the length of the training.
    """
    optimizers = [build_optimizer(options, epochs * steps_per_epoch) for epochs in (before.epochs, options.epochs)]
    if optimizers[0].get_config() != optimizers[1].get_config():
        raise UsageError(f"--epochs cannot prolong {options.output}: its learning rate depends on the number of epochs")


@contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    """Layers that are made within it compute as `name` says; what a run trains, not what it saves."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _use_xla(options: TrainOptions, model: keras.Model, n_replicas: int) -> bool:
    """As asked for; where nothing was, on GPUs, where it is faster (on CPUs it was measured to be slower)."""
    talks = n_replicas > 1 and any(layer.synchronized for layer in batch_normalizations(model))
    if talks and options.xla:
        raise UsageError(
            f"--xla cannot compile batch normalisation that {n_replicas} devices synchronise: "
            "leave it out, or give up the synchronisation with --no-sync-batchnorm"
        )
    return has_gpus() and not talks if options.xla is None else options.xla


def load_model(path: Path) -> Any:
    """Loads a network that a run saved; for inference, so without optimiser.

    Raises:
        UsageError: If it cannot be loaded.
    """
    try:
        return keras.models.load_model(path, compile=False)
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"{path} is damaged: {str(error).splitlines()[0]}") from error
