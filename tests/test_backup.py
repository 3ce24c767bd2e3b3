"""A training that was stopped goes on exactly, whatever was done to what it kept; on a network that takes no time."""

import dataclasses
import errno
import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.tiny_fit import OPTIONS, VALIDATION, Collect, Stop, StopAfter, assert_equal, trained
from tests.tiny_training import with_noise
from tfrecords.errors import UsageError


@pytest.mark.parametrize(
    "changes",
    [
        {"ema": 0.9, "label_smoothing": 0.1, "learning_rate_decay": "cosine", "learning_rate_warmup": 4},
        {"precision": "mixed_float16"},
    ],
    ids=["averaged and decaying", "mixed_float16"],
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
        f"Backup   {path} cannot be used (the SHA-256 of epoch-000003.weights.h5 differs): looking for the one before"
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


def test_the_best_epoch_is_kept_whenever_it_was_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the best epoch, in one after it, and by Ctrl-C between the callbacks of an epoch that is better than all before."""
    options = dataclasses.replace(OPTIONS, epochs=30, learning_rate=3e-2, keep="best", early_stopping=4)
    whole, _ = trained(options, validation=VALIDATION)
    best = whole.kept_epoch
    assert 1 < best == len(whole.epochs) - 4

    class Interrupt(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            if epoch + 1 == best:
                raise KeyboardInterrupt

    before, _ = trained(options, callbacks=[Interrupt()], validation=VALIDATION, folder=tmp_path / "backup")
    assert before.interrupted
    assert before.kept_epoch == 1 + int(np.argmin([logs["val_loss"] for logs in whole.epochs[: best - 1]]))
    shorter, _ = trained(dataclasses.replace(options, epochs=best - 1), validation=VALIDATION)
    assert_equal(before.model.get_weights(), shorter.model.get_weights())

    for n_steps in (2, 5 * 3 + 2):
        with pytest.raises(Stop):
            trained(options, callbacks=[StopAfter(n_steps)], validation=VALIDATION, folder=tmp_path / "backup")
    kept = [f"epoch-{epoch:06d}.json" for epoch in (best, best + 1, best + 2)]
    assert sorted(path.name for path in tmp_path.glob("backup/*.json")) == kept
    shutil.copytree(tmp_path / "backup", tmp_path / "damaged")
    resumed, _ = trained(options, callbacks=[StopAfter(99)], validation=VALIDATION, folder=tmp_path / "backup")
    assert_equal(resumed.model.get_weights(), whole.model.get_weights())
    assert (resumed.epochs, resumed.kept_epoch) == (whole.epochs, best)
    # Without the best epoch's weights no state is whole: it begins again.
    (tmp_path / "damaged" / f"epoch-{best:06d}.weights.h5").unlink()
    capsys.readouterr()
    again, _ = trained(options, callbacks=[StopAfter(99)], validation=VALIDATION, folder=tmp_path / "damaged")
    assert capsys.readouterr().out.count("looking for the one before") == 3
    assert_equal(again.model.get_weights(), whole.model.get_weights())
    assert again.epochs == whole.epochs


@pytest.mark.parametrize("changes", [{"keep": "best"}, {"early_stopping": 2}])
def test_without_a_validation_split_no_epoch_is_chosen(changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="need a validation split"):
        trained(dataclasses.replace(OPTIONS, **changes))
