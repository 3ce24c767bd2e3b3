"""Training by Keras' fit: what is exact about it, and what callbacks see; on a network that takes no time."""

import dataclasses
import errno
import json
import threading
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_model.data.split_data import SplitData
from keras_model.options import TrainOptions
from keras_model.training.callbacks import DivergedError
from keras_model.training.fit import TrainedModel, fit
from tests.networks import CASES, build
from tests.tiny_training import GENRES, WeightsAtEnd, noise, tiny_network, with_noise
from tfrecords.errors import UsageError

OPTIONS = TrainOptions(batch_size=16, epochs=3, learning_rate=1e-2, dropout=0.3, batchnorm=True)
TRAIN, TEST, VALIDATION = noise(70), noise(9, seed=1), noise(21, seed=2)  # five steps an epoch, the last one of 6 samples


class Stop(Exception):  # noqa: N818
    """What stands for the end of a process."""


class StopAfter(keras.callbacks.Callback):
    """Raises as soon as so many steps were made."""

    def __init__(self, n_steps: int, error: type[BaseException] = Stop) -> None:
        super().__init__()
        self.left = [None] * n_steps  # no number, which a training that goes on would bring back
        self.error = error

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if not self.left:
            raise self.error
        self.left.pop()


class Collect(keras.callbacks.Callback):
    """Keeps what is seen at the end of each epoch: its number, its logs, a kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, dict[str, float], np.ndarray]] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.seen.append((epoch, dict(logs or {}), self.model.get_layer("genre").kernel.numpy()))


def trained(options: TrainOptions = OPTIONS, *, callbacks: Any = (), **arguments: Any) -> tuple[TrainedModel, list[np.ndarray]]:
    at_end = WeightsAtEnd()
    splits = {"train": TRAIN, "test": TEST} | arguments
    model = fit(options, genres=GENRES, build=tiny_network, callbacks=[at_end, *callbacks], **splits)
    return model, at_end.weights


def assert_equal(ones: list[np.ndarray], others: list[np.ndarray]) -> None:
    for one, other in zip(ones, others, strict=True):
        np.testing.assert_array_equal(one, other)


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


@pytest.mark.parametrize(
    "changes",
    [
        {"ema": 0.9, "label_smoothing": 0.1},
        {"precision": "mixed_float16"},
        {"learning_rate_decay": "cosine", "learning_rate_warmup": 4},
    ],
    ids=["averaged", "mixed_float16", "decaying"],
)
def test_a_training_goes_on_exactly(changes: dict[str, Any], tmp_path: Path) -> None:
    """Stopped in the middle of the first epoch, of the second and of the third."""
    options = dataclasses.replace(OPTIONS, **changes)
    whole, weights = trained(options, augment=with_noise)
    for n_steps, n_epochs in ((3, 0), (7, 1), (8, 2)):
        with pytest.raises(Stop):
            trained(options, callbacks=[StopAfter(n_steps)], augment=with_noise, folder=tmp_path / "backup")
        assert len(list(tmp_path.glob("backup/epoch-*.json"))) == n_epochs
    parts, weights_of_parts = trained(options, callbacks=[StopAfter(99)], augment=with_noise, folder=tmp_path / "backup")
    assert_equal(weights, weights_of_parts)
    assert_equal(whole.model.get_weights(), parts.model.get_weights())
    assert parts.epochs == whole.epochs
    assert parts.evaluation.to_dict() == whole.evaluation.to_dict()


def test_callbacks_of_users_go_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    """Each epoch once, the logs of the validation split, and the best file is the best epoch's, whenever it was interrupted."""
    options = dataclasses.replace(OPTIONS, epochs=30, learning_rate=3e-2)

    def callbacks(name: str) -> list[keras.callbacks.Callback]:
        return [
            keras.callbacks.ModelCheckpoint(tmp_path / f"{name}.keras", save_best_only=True),
            keras.callbacks.EarlyStopping(patience=4),
            keras.callbacks.ReduceLROnPlateau(patience=2, factor=0.5),
        ]

    seen = Collect()
    whole, _ = trained(options, callbacks=[seen, *callbacks("whole")], validation=VALIDATION)
    losses = [logs["val_loss"] for _, logs, _ in seen.seen]
    best = int(np.argmin(losses))
    assert len(losses) == best + 5 < 30, "stopped early, and its best epoch is not the last one"
    assert best > 0

    parts = Collect()
    for n_steps in (5 * best + 7, 12):  # in the epoch after the best one, and some epochs later
        with pytest.raises(Stop):
            trained(
                options,
                callbacks=[parts, *callbacks("parts"), StopAfter(n_steps)],
                validation=VALIDATION,
                folder=tmp_path / "backup",
            )
    resumed, _ = trained(
        options, callbacks=[parts, *callbacks("parts"), StopAfter(999)], validation=VALIDATION, folder=tmp_path / "backup"
    )
    assert [epoch for epoch, _, _ in parts.seen] == list(range(len(losses))), "each epoch once"
    assert [logs for _, logs, _ in parts.seen] == [logs for _, logs, _ in seen.seen]
    assert resumed.epochs == whole.epochs
    files = [keras.models.load_model(tmp_path / f"{name}.keras") for name in ("whole", "parts")]
    assert_equal(files[0].get_weights(), files[1].get_weights())
    np.testing.assert_array_equal(files[0].get_layer("genre").kernel.numpy(), seen.seen[best][2])
    # One that was stopped stays so.
    again, _ = trained(
        options, callbacks=[parts, *callbacks("parts"), StopAfter(0)], validation=VALIDATION, folder=tmp_path / "backup"
    )
    assert again.epochs == whole.epochs
    with pytest.raises(UsageError, match="is of a training with other callbacks"):
        trained(options, validation=VALIDATION, folder=tmp_path / "backup")


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


def test_a_damaged_backup_is_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, weights = trained()
    folder = tmp_path / "backup"
    trained(folder=folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        f"epoch-{epoch:06d}.{kind}" for epoch in (2, 3) for kind in ("json", "weights.h5")
    ]
    newest = folder / "epoch-000003.weights.h5"
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    capsys.readouterr()
    again, same = trained(folder=folder)
    path = folder / "epoch-000003.json"
    assert (
        f"Backup   {path} cannot be used (the SHA-256 of its weights differs): looking for the one before"
        in capsys.readouterr().out
    )
    assert again.epochs == whole.epochs
    assert_equal(weights, same)


def test_every_cut_of_a_backup_is_noticed(tmp_path: Path) -> None:
    """A JSON file that was cut anywhere, and one without its weights: the training goes on from the epoch before."""
    folder = tmp_path / "backup"
    whole, _ = trained(folder=folder)
    text = (folder / "epoch-000003.json").read_bytes()
    for cut in range(0, len(text), 400):
        (folder / "epoch-000003.json").write_bytes(text[:cut])
        again, _ = trained(folder=folder)
        assert again.epochs == whole.epochs, cut
    (folder / "epoch-000003.weights.h5").unlink()
    again, _ = trained(folder=folder)
    assert again.epochs == whole.epochs


def test_a_backup_of_another_training_is_refused(tmp_path: Path) -> None:
    trained(folder=tmp_path / "backup", identity="this")
    with pytest.raises(UsageError, match="is of a training with other options or data"):
        trained(folder=tmp_path / "backup", identity="that")


@pytest.mark.parametrize("call", ["save_weights", "write_whole", "fsync", "replace", "mkdir", "unlink"])
def test_a_disk_that_takes_nothing_costs_a_line_and_not_the_training(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    where = {
        "save_weights": "keras.Model.save_weights",
        "write_whole": "keras_model.training.backup.write_whole",
        "fsync": "os.fsync",
    }.get(call, f"pathlib.Path.{call}")
    whole, weights = trained()
    with monkeypatch.context() as patched:
        patched.setattr(where, fail)
        full, same = trained(folder=tmp_path / "backup")
    assert_equal(weights, same)
    assert full.epochs == whole.epochs
    screen = capsys.readouterr().out
    assert "cannot be written (No space left on device); the training goes on" in screen
    # What is there is whole: with space again, the training goes on from it.
    again, _ = trained(folder=tmp_path / "backup")
    assert again.epochs == whole.epochs


def test_state_is_numbers_in_json(tmp_path: Path) -> None:
    trained(folder=tmp_path / "backup", callbacks=[keras.callbacks.EarlyStopping(monitor="loss", patience=9)])
    state = json.loads((tmp_path / "backup" / "epoch-000003.json").read_text())
    assert state["callbacks"][-1]["wait"] == 0
    assert {type(value) for numbers in state["callbacks"] for value in numbers.values()} <= {int, float, bool}


@pytest.mark.parametrize(("name", "batchnorm"), CASES)
def test_the_step_compiles_as_on_a_gpu(name: str, batchnorm: bool) -> None:
    """XLA, stock layers, no determinism: what `train.py` does by default where there is one GPU."""
    model = build(name, (40, 40), n_genres=3, batchnorm=batchnorm)
    model.compile("adam", keras.losses.CategoricalCrossentropy(reduction="sum"), jit_compile=True)
    log_mels, targets = np.zeros((4, 40, 40, 1), np.float32), np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    history = model.fit(log_mels, targets, sample_weight=np.full(4, 0.25), verbose=0)
    assert np.isfinite(history.history["loss"]).all()
