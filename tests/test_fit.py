"""Training by Keras' fit: what is exact about it, and what callbacks see; on a network that takes no time."""

import dataclasses
import threading
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_model.data.split_data import SplitData
from keras_model.training.callbacks import DivergedError
from tests.networks import build
from tests.tiny_fit import OPTIONS, TRAIN, VALIDATION, Collect, StopAfter, assert_equal, trained
from tests.tiny_training import noise, tiny_network, with_noise


def test_evaluating_at_the_end_alone_changes_nothing_else() -> None:
    often, weights = trained()
    once, same_weights = trained(test_every_epoch=False)
    assert_equal(weights, same_weights)
    assert all("test_raw" in logs for logs in often.epochs)
    assert not any("test_raw" in logs for logs in once.epochs)
    assert [logs["loss"] for logs in once.epochs] == [logs["loss"] for logs in often.epochs]
    assert once.evaluation.to_dict() == often.evaluation.to_dict()
    for name, value in often.evaluation.accuracies.items():
        assert often.epochs[-1][f"test_{name}"] == value


def test_the_logs_are_those_that_keras_users_expect() -> None:
    seen = Collect()
    model, _ = trained(dataclasses.replace(OPTIONS, epochs=2, l1=1e-2), callbacks=[seen], validation=VALIDATION)
    assert [set(logs) for logs in model.epochs] == [
        {
            *("loss", "accuracy", "cross_entropy"),
            *("val_loss", "val_accuracy", "val_cross_entropy", "val_maximum", "val_majority"),
        }
    ] * 2
    # Keras' own evaluation of the same network on the validation split.
    network = tiny_network(
        dataclasses.replace(OPTIONS, l1=1e-2), shape=TRAIN.shape, n_genres=3, standardization=None, synchronized=False
    )
    network.set_weights(model.model.get_weights())
    network.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    assert VALIDATION.cached is not None
    loss, accuracy = network.evaluate(VALIDATION.cached, VALIDATION.labels, verbose=0)
    assert model.epochs[-1]["val_loss"] == pytest.approx(loss, rel=1e-5)
    assert model.epochs[-1]["val_accuracy"] == pytest.approx(accuracy)


@pytest.mark.parametrize("ema", [0.0, 0.8])
def test_the_best_epoch_is_kept(ema: float, tmp_path: Path) -> None:
    options = dataclasses.replace(OPTIONS, epochs=40, learning_rate=3e-2, keep="best", early_stopping=3, ema=ema)
    seen = Collect()
    model, _ = trained(options, callbacks=[seen], validation=VALIDATION, folder=tmp_path / "run" / "backup")
    losses = [logs["val_loss"] for logs in model.epochs]
    assert model.kept_epoch == 1 + int(np.argmin(losses)) == len(losses) - 3
    np.testing.assert_array_equal(model.model.get_layer("genre").kernel.numpy(), seen.seen[model.kept_epoch - 1][2])
    last, _ = trained(dataclasses.replace(options, keep="last"), callbacks=[seen], validation=VALIDATION)
    assert last.epochs == model.epochs
    assert last.kept_epoch == len(losses)
    np.testing.assert_array_equal(last.model.get_layer("genre").kernel.numpy(), seen.seen[-1][2])


def test_the_metrics_are_those_of_the_samples() -> None:
    """A learning rate that changes nothing: all steps see the network that was built."""
    options = dataclasses.replace(OPTIONS, learning_rate=1e-30, dropout=0.0, epochs=1, l1=0.5, label_smoothing=0.2, batch_size=64)
    frozen, _ = trained(options, train=noise(64), test=noise(64))
    penalty = 0.5 * float(np.abs(frozen.model.get_layer("convolution").kernel.numpy()).sum())
    # One batch of all samples normalises by their own statistics, as here by hand.
    log_mels, targets, weights = next(iter(noise(64).training_batches(batch_size=64, n_genres=3, seed=0, n_epochs=1)))
    np.testing.assert_allclose(weights, 1 / 64)
    probabilities = frozen.model(log_mels, training=True).numpy().astype(np.float64)
    truth = targets.numpy()
    (epoch,) = frozen.epochs
    assert epoch["cross_entropy"] == pytest.approx(-np.mean(np.sum(truth * np.log(probabilities), axis=1)), rel=1e-5)
    loss = -np.mean(np.sum((0.8 * truth + 0.2 / 3) * np.log(probabilities), axis=1)) + penalty
    assert epoch["loss"] == pytest.approx(loss, rel=1e-5)
    assert epoch["accuracy"] == pytest.approx(np.mean(probabilities.argmax(axis=1) == truth.argmax(axis=1)))


def test_averaged_weights_are_seen_evaluated_and_saved() -> None:
    steps: list[np.ndarray] = []

    class Steps(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
            steps.append(self.model.get_layer("genre").kernel.numpy())

    seen = Collect()
    model, _ = trained(dataclasses.replace(OPTIONS, epochs=2, ema=0.5, dropout=0.0), callbacks=[Steps(), seen])
    average = steps[0]
    for number, kernel in enumerate(steps[1:], start=1):
        average = 0.5 * average + 0.5 * kernel
        if number == 4:
            np.testing.assert_allclose(seen.seen[0][2], average, rtol=1e-4)
    assert len(steps) == 10
    np.testing.assert_allclose(model.model.get_layer("genre").kernel.numpy(), average, rtol=1e-4)
    np.testing.assert_array_equal(model.model.get_layer("genre").kernel.numpy(), seen.seen[-1][2])


def test_a_loss_that_is_no_number_names_step_and_tracks() -> None:
    assert TRAIN.cached is not None
    log_mels = TRAIN.cached.numpy()[..., 0].copy()
    log_mels[41] = np.nan
    train = SplitData.from_arrays(log_mels, TRAIN.labels, [f"track {index}" for index in range(70)], np.arange(70))
    batches = train.training_batches(batch_size=16, n_genres=3, seed=0, n_epochs=1)
    step = next(step for step, (batch, _, _) in enumerate(batches) if np.isnan(batch.numpy()).any())
    tracks = train.tracks_of_batch(batch_size=16, seed=0, epoch=0, step=step)
    assert "track 41" in tracks
    more = len(tracks) - 10
    with pytest.raises(DivergedError) as caught:
        trained(train=train)
    assert str(caught.value) == (
        f"the loss became nan in epoch 1, step {step + 1} of 5; a lower --learning-rate may help; "
        f"the batch had chunks of {', '.join(tracks[:10])} … and {more} more"
    )


def test_where_one_call_runs_several_steps_all_of_them_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keras_model.training.fit._steps_per_execution", lambda steps: 5)
    assert TRAIN.cached is not None
    log_mels = np.full_like(TRAIN.cached.numpy()[..., 0], np.nan)
    train = SplitData.from_arrays(log_mels, TRAIN.labels, ["only"] * 70, np.arange(70))
    with pytest.raises(DivergedError, match=r"epoch 1, steps 1 to 5 of 5; .*; their batches had chunks of only$"):
        trained(train=train)


def test_several_steps_a_call_train_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    _, weights = trained(augment=with_noise)
    monkeypatch.setattr("keras_model.training.fit._steps_per_execution", lambda steps: 5)
    _, same = trained(augment=with_noise)
    assert_equal(weights, same)


def test_steps_of_a_call_divide_the_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    from keras_model.training.fit import _steps_per_execution

    assert _steps_per_execution(176) == 1, "there is no GPU here"
    monkeypatch.setattr("keras_model.training.fit.has_gpu", lambda: True)
    assert [_steps_per_execution(steps) for steps in (176, 7, 17, 1)] == [16, 7, 1, 1]


def test_nothing_that_is_iterated_over_is_tuned(monkeypatch: pytest.MonkeyPatch) -> None:
    """An iterator with a tuning thread holds up its end until that thread wakes."""
    tuned = []
    iterate = tf.data.Dataset.__iter__

    def noting(dataset: tf.data.Dataset) -> Any:
        tuned.append(dataset.options().autotune.enabled)
        return iterate(dataset)

    monkeypatch.setattr("tensorflow.data.Dataset.__iter__", noting)
    trained(augment=with_noise)
    assert set(tuned) == {False}
    assert len(tuned) >= 5, "the training batches, and the test batches after each epoch and at the end"


def test_a_callback_can_end_the_training() -> None:
    class End(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            self.model.stop_training = epoch == 1

    model, _ = trained(callbacks=[End()])
    assert len(model.epochs) == 2
    assert not model.interrupted


def test_ctrl_c_gives_what_the_last_epoch_ended_with() -> None:
    two, weights = trained(dataclasses.replace(OPTIONS, epochs=2))
    interrupted, _ = trained(callbacks=[StopAfter(12, KeyboardInterrupt)])
    assert interrupted.interrupted
    assert interrupted.epochs == two.epochs
    assert_equal(interrupted.model.get_weights(), weights)
    with pytest.raises(KeyboardInterrupt):
        trained(callbacks=[StopAfter(3, KeyboardInterrupt)])


def test_it_trains_in_a_thread_too() -> None:
    results = []
    thread = threading.Thread(target=lambda: results.append(trained(dataclasses.replace(OPTIONS, epochs=1))))
    thread.start()
    thread.join()
    assert len(results[0][0].epochs) == 1


@pytest.mark.parametrize(
    ("name", "batchnorm"),
    [("shallow", True), *(pytest.param(*case, marks=pytest.mark.long) for case in (("deep", True), ("bbnn", False)))],
)
def test_the_step_compiles_as_on_a_gpu(name: str, batchnorm: bool) -> None:
    """XLA, stock layers, no determinism: what `train.py` does by default where there is one GPU."""
    model = build(name, (40, 40), n_genres=3, batchnorm=batchnorm)
    model.compile("adam", keras.losses.CategoricalCrossentropy(reduction="sum"), jit_compile=True)
    log_mels, targets = np.zeros((4, 40, 40, 1), np.float32), np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    history = model.fit(log_mels, targets, sample_weight=np.full(4, 0.25), verbose=0)
    assert np.isfinite(history.history["loss"]).all()
