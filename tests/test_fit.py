"""The training loop in one process, on a network that takes no time."""

import csv
import dataclasses
import signal
import threading
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_model.options import TrainOptions
from keras_model.training.checkpoints import Checkpoints
from keras_model.training.dataset import SplitData
from keras_model.training.fit import TrainedModel, fit
from keras_model.training.interruption import ctrl_c_noted
from keras_model.training.training_loop import DivergedError
from tests.tiny_training import GENRES, WeightsAtEnd, noise, tiny_network, with_noise

OPTIONS = TrainOptions(batch_size=16, epochs=3, learning_rate=1e-2, dropout=0.3)
TRAIN, TEST = noise(70), noise(9, seed=1)  # five steps an epoch, the last one of 6 samples


class Stop(Exception):  # noqa: N818
    """What stands for the end of a process."""


class StopAfter(keras.callbacks.Callback):
    def __init__(self, n_steps: int) -> None:
        super().__init__()
        self.n_steps = n_steps

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.n_steps -= 1
        if not self.n_steps:
            raise Stop


def trained(options: TrainOptions = OPTIONS, *, callbacks: Any = (), **arguments: Any) -> tuple[TrainedModel, list[np.ndarray]]:
    at_end = WeightsAtEnd()
    splits = {"train": TRAIN, "test": TEST} | arguments
    model = fit(options, genres=GENRES, build=tiny_network, callbacks=[at_end, *callbacks], show_progress=False, **splits)
    return model, at_end.weights


def test_evaluating_at_the_end_alone_changes_nothing_else() -> None:
    often, weights = trained()
    once, same_weights = trained(test_every_epoch=False)
    for one, other in zip(weights, same_weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert [("test_raw" in logs, "per_genre" in logs) for logs in once.epochs] == [(False, False), (False, False), (True, True)]
    assert once.epochs[-1] == often.epochs[-1]
    assert [logs["loss"] for logs in once.epochs] == [logs["loss"] for logs in often.epochs]
    assert once.evaluation.to_dict() == often.evaluation.to_dict()


@pytest.mark.parametrize(
    "changes", [{"ema": 0.9, "label_smoothing": 0.1}, {"precision": "mixed_float16"}], ids=["float32", "mixed_float16"]
)
def test_a_training_goes_on_exactly_from_any_step(
    changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the middle of an epoch, at its end before the evaluation, in the last one; and prolonged by an epoch."""
    monkeypatch.setattr("keras_model.training.progress._WINDOW_STEPS", 4)
    options = dataclasses.replace(OPTIONS, **changes)
    log = keras.callbacks.CSVLogger(tmp_path / "whole.csv")
    whole, weights = trained(options, callbacks=[log], augment=with_noise)

    checkpoints = Checkpoints(tmp_path / "checkpoints", identity="", seconds=0)
    for n_steps, place in ((3, (0, 2)), (3, (0, 4)), (6, (1, 4))):  # a stop comes before its own step's checkpoint
        log = keras.callbacks.CSVLogger(tmp_path / "parts.csv")
        with pytest.raises(Stop):
            trained(
                dataclasses.replace(options, epochs=2),
                callbacks=[log, StopAfter(n_steps)],
                augment=with_noise,
                checkpoints=checkpoints,
                start=checkpoints.newest(),
                max_steps_per_call=1,
            )
        newest = checkpoints.newest()
        assert newest is not None
        assert (newest.progress["epoch"], newest.progress["step"]) == place
    log = keras.callbacks.CSVLogger(tmp_path / "parts.csv")
    parts, weights_of_parts = trained(
        options, callbacks=[log], augment=with_noise, checkpoints=checkpoints, start=checkpoints.newest()
    )

    for one, other in zip(weights, weights_of_parts, strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(whole.model.get_weights(), parts.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert parts.epochs == whole.epochs
    assert parts.steps == whole.steps
    assert [row["step"] for row in whole.steps] == [4, 8, 12, 15]
    assert (tmp_path / "parts.csv").read_text() == (tmp_path / "whole.csv").read_text()
    assert [row["epoch"] for row in csv.DictReader((tmp_path / "parts.csv").open())] == ["0", "1", "2"]
    if "ema" in changes:
        assert not np.array_equal(whole.model.get_weights()[0], weights[0]), "the averaged weights are not the trained ones"


def test_the_metrics_are_those_of_the_samples() -> None:
    """A learning rate that changes nothing: all steps see the network that was built."""
    options = dataclasses.replace(OPTIONS, learning_rate=1e-30, dropout=0.0, epochs=2, l1=0.5, label_smoothing=0.2)
    frozen, _ = trained(options, train=noise(64), test=noise(64))
    smoothed, _ = trained(dataclasses.replace(options, batch_size=64), train=noise(64), test=noise(64))
    (step,) = frozen.steps
    assert step["step"] == 8
    penalty = 0.5 * float(np.abs(frozen.model.get_layer("convolution").kernel.numpy()).sum())
    for name in ("loss", "accuracy", "cross_entropy"):
        assert step[name] == pytest.approx(np.mean([epoch[name] for epoch in frozen.epochs]))
    # One batch of all samples normalises by their own statistics, as here by hand.
    log_mels, targets = next(iter(noise(64).training_batches(batch_size=64, n_genres=3, seed=0, epoch=0)))
    probabilities = frozen.model(log_mels, training=True).numpy().astype(np.float64)
    truth = targets.numpy()
    cross_entropy = -np.mean(np.sum(truth * np.log(probabilities), axis=1))
    loss = -np.mean(np.sum((0.8 * truth + 0.2 / 3) * np.log(probabilities), axis=1)) + penalty
    (step,) = smoothed.steps
    assert step["cross_entropy"] == pytest.approx(cross_entropy, rel=1e-5)
    assert step["loss"] == pytest.approx(loss, rel=1e-5)
    assert step["accuracy"] == pytest.approx(np.mean(probabilities.argmax(axis=1) == truth.argmax(axis=1)))


def test_soft_targets_count_by_their_largest_share() -> None:
    def halve(batches: tf.data.Dataset, *, epoch: int, first_step: int) -> tf.data.Dataset:
        return batches.map(lambda log_mels, targets: (log_mels, 0.5 * targets + 0.5 / 3))

    options = dataclasses.replace(OPTIONS, learning_rate=1e-30, dropout=0.0, epochs=1)
    hard, _ = trained(options)
    soft, _ = trained(options, augment=halve)
    assert soft.epochs[0]["accuracy"] == hard.epochs[0]["accuracy"]
    assert soft.epochs[0]["cross_entropy"] != pytest.approx(hard.epochs[0]["cross_entropy"])


def test_a_loss_that_is_no_number_names_step_and_tracks() -> None:
    assert TRAIN.cached is not None
    log_mels = TRAIN.cached.numpy()[..., 0].copy()
    log_mels[41] = np.nan
    train = SplitData.from_arrays(log_mels, TRAIN.labels, [f"track {index}" for index in range(70)], np.arange(70))
    batches = train.training_batches(batch_size=16, n_genres=3, seed=0, epoch=0)
    step = next(step for step, (batch, _) in enumerate(batches) if np.isnan(batch.numpy()).any())
    tracks = train.tracks_of_batch(batch_size=16, seed=0, epoch=0, step=step)
    assert "track 41" in tracks
    more = len(tracks) - 10
    with pytest.raises(DivergedError) as caught:
        trained(train=train)
    assert str(caught.value) == (
        f"the loss became nan in epoch 1, step {step + 1} of 5 (step {step + 1} in all); a lower --learning-rate may help; "
        f"the batch had chunks of {', '.join(tracks[:10])} … and {more} more"
    )


def test_overflowing_gradients_are_skipped_and_not_the_end() -> None:
    """With loss scaling, the first scale is halved until the gradients are finite in float16."""
    scales, made = [], []

    class Collect(keras.callbacks.Callback):
        def on_train_end(self, logs: dict[str, float] | None = None) -> None:
            scales.append(float(self.model.optimizer.dynamic_scale.numpy()))
            made.append(int(self.model.optimizer.iterations.numpy()))

    def heavy(batches: tf.data.Dataset, *, epoch: int, first_step: int) -> tf.data.Dataset:
        return batches.map(lambda log_mels, targets: (log_mels, 64.0 * targets))

    options = dataclasses.replace(OPTIONS, precision="mixed_float16", epochs=2)
    model, weights = trained(options, augment=heavy, callbacks=[Collect()])
    assert scales[0] < 2.0**15
    assert 0 < made[0] < 10
    assert np.isfinite(model.epochs[0]["loss"])
    assert all(np.isfinite(weight).all() for weight in weights)


def test_averaged_weights_are_evaluated_and_saved() -> None:
    options = dataclasses.replace(OPTIONS, epochs=1, ema=0.5, dropout=0.0)
    seen: list[np.ndarray] = []

    class Collect(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
            seen.append(self.model.get_layer("genre").kernel.numpy())

    model, weights = trained(options, callbacks=[Collect()], max_steps_per_call=1)
    average = seen[0]
    for kernel in seen[1:]:
        average = 0.5 * average + 0.5 * kernel
    np.testing.assert_allclose(model.model.get_layer("genre").kernel.numpy(), average, rtol=1e-5)
    np.testing.assert_array_equal(weights[-2], seen[-1])


def test_nothing_that_is_iterated_over_is_tuned(monkeypatch: pytest.MonkeyPatch) -> None:
    """An iterator with a tuning thread holds up the end of its epoch until that thread wakes."""
    tuned = []
    iterate = tf.data.Dataset.__iter__

    def noting(dataset: tf.data.Dataset) -> Any:
        tuned.append(dataset.options().autotune.enabled)
        return iterate(dataset)

    monkeypatch.setattr("tensorflow.data.Dataset.__iter__", noting)
    trained(augment=with_noise)
    assert tuned == [False] * 6, "an epoch's training batches and its test batches, three times"


def test_a_callback_can_end_the_training() -> None:
    class End(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            self.model.stop_training = epoch == 1

    model, _ = trained(callbacks=[End()])
    assert len(model.epochs) == 2
    assert not model.interrupted


def test_it_trains_in_a_thread_too() -> None:
    """Where no signal can be caught."""
    results = []
    thread = threading.Thread(target=lambda: results.append(trained(dataclasses.replace(OPTIONS, epochs=1))))
    thread.start()
    thread.join()
    assert len(results[0][0].epochs) == 1


def test_the_second_ctrl_c_is_the_usual_one() -> None:
    with ctrl_c_noted() as noted:
        signal.raise_signal(signal.SIGINT)
        assert noted.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
