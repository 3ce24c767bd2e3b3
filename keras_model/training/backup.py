"""Where a training stands after each epoch: all that it goes on from, whole or not there.

Keras' own BackupAndRestore writes the weights and the number of their epoch into place one after the other: killed between the
two, it goes on with the weights of one epoch at another. It also begins each callback anew, so that after a resumption the first
epoch would count as ModelCheckpoint's best.
"""

import hashlib
import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from tfrecords.errors import UsageError
from tfrecords.whole_file import write_whole

_FORMAT = 2


class Backup(keras.callbacks.Callback):
    """Saves the state of a training after each epoch, and brings it back; the last of its callbacks.

    An epoch has two files: the network's and the optimiser's weights as Keras writes them, and, written once those are on the
    disk, a JSON file with their SHA-256, the logs of all epochs and the numbers that the callbacks keep. Those of the last two
    epochs stay, and those of the epoch that is kept.

    Args:
        folder: Made with the first backup; None to keep the state in memory alone.
        identity: Digest of everything that decides the training's result; a backup of another one is refused.
        callbacks: Those of the training.
        keep: "last", or "best" for the epoch of the lowest `val_loss`, the first of several.

    Attributes:
        epochs: The logs of each finished epoch.
        weights: The network's after the epoch that is kept, as the callbacks saw them; None before the first.
        seconds: That they took.
        stopped: Whether a callback ended the training after it.
    """

    def __init__(
        self, folder: Path | None, *, identity: str, callbacks: Sequence[keras.callbacks.Callback], keep: str = "last"
    ) -> None:
        super().__init__()
        self.epochs: list[dict[str, float]] = []
        self.weights: list[NDArray[Any]] | None = None
        self.seconds = 0.0
        self.stopped = False
        self._folder = folder
        self._identity = identity
        self._callbacks = callbacks
        self._keep = keep
        self._numbers: Sequence[Mapping[str, Any]] = []
        self._since = 0.0

    @property
    def kept_epoch(self) -> int:
        """The epoch that `weights` are of, counted from 1; 0 before the first."""
        return self._kept(self.epochs)

    def _kept(self, epochs: Sequence[Mapping[str, float]]) -> int:
        if self._keep == "last" or not epochs:
            return len(epochs)
        losses = [math.inf if math.isnan(logs["val_loss"]) else logs["val_loss"] for logs in epochs]
        return 1 + losses.index(min(losses))

    def restore(self, model: keras.Model) -> None:
        """Brings the newest state that is whole back to a built, compiled model and to this callback, if there is one.

        Raises:
            UsageError: If it is of another training.
        """
        for path in sorted(self._folder.glob("epoch-*.json"), reverse=True) if self._folder else ():
            try:
                state = _whole_state(path)
                self._check(path, state)
                kept = _state_path(path.parent, self._kept(state["epochs"]))
                _whole_state(kept)
            except UsageError:
                raise
            except (OSError, ValueError, KeyError) as error:
                print(f"Backup   {path} cannot be used ({error}): looking for the one before", flush=True)
                continue
            if not model.optimizer.built:
                model.optimizer.build(model.trainable_variables)
            for weights in (kept, path):
                model.load_weights(weights.with_suffix(".weights.h5"))
                self.weights = self.weights or model.get_weights()
            self.epochs, self.seconds, self.stopped = state["epochs"], state["seconds"], state["stopped"]
            self._numbers = state["callbacks"]
            self._give_back()
            return

    def _check(self, path: Path, state: Mapping[str, Any]) -> None:
        if (state["format"], state["identity"]) != (_FORMAT, self._identity):
            raise UsageError(f"the backup {path} is of a training with other options or data, or of another version")
        if len(state["callbacks"]) != len(self._callbacks):
            raise UsageError(f"the backup {path} is of a training with other callbacks")

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Gives the callbacks back what they knew: in their own `on_train_begin` they began anew."""
        self._give_back()
        self._since = time.monotonic()

    def _give_back(self) -> None:
        for callback, numbers in zip(self._callbacks, self._numbers, strict=False):
            vars(callback).update(numbers)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Saves. A disk that does not take it costs a line on screen, and not the training."""
        now = time.monotonic()
        self.seconds, self._since = self.seconds + now - self._since, now
        self.epochs.append({name: float(value) for name, value in (logs or {}).items()})
        if self.kept_epoch == len(self.epochs):
            self.weights = self.model.get_weights()
        self.stopped = bool(self.model.stop_training)
        if self._folder is None:
            return
        path = _state_path(self._folder, epoch + 1)
        try:
            self._write(path)
        except OSError as error:
            print(f"\nBackup   {path} cannot be written ({error.strerror or error}); the training goes on", flush=True)

    def _write(self, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        weights = path.with_suffix(".weights.h5")
        part = weights.with_name(f"part-{weights.name}")
        self.model.save_weights(part, overwrite=True)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(weights)
        state = {
            "format": _FORMAT,
            "identity": self._identity,
            "sha256": _digest(weights),
            "epochs": self.epochs,
            "seconds": self.seconds,
            "stopped": self.stopped,
            "callbacks": [_numbers_of(callback) for callback in self._callbacks],
        }
        write_whole(path, json.dumps(state).encode())
        newest = range(max(1, len(self.epochs) - 1), len(self.epochs) + 1)  # two, should the disk have lost one
        epochs = {epoch for n_epochs in newest for epoch in (n_epochs, self._kept(self.epochs[:n_epochs]))}
        states = {_state_path(path.parent, epoch) for epoch in epochs}
        for old in {*path.parent.iterdir()} - states - {state.with_suffix(".weights.h5") for state in states}:
            old.unlink()


def _state_path(folder: Path, epoch: int) -> Path:
    return folder / f"epoch-{epoch:06d}.json"


def _whole_state(path: Path) -> dict[str, Any]:
    """What a state's JSON file says, its weights being those that were written."""
    state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if _digest(path.with_suffix(".weights.h5")) != state["sha256"]:
        raise ValueError(f"the SHA-256 of {path.stem}.weights.h5 differs")
    return state


def _numbers_of(callback: keras.callbacks.Callback) -> dict[str, Any]:
    """What a callback keeps in numbers, such as a best value or a count of epochs, and in lists of floats."""
    values = {name: value.item() if isinstance(value, np.generic) else value for name, value in vars(callback).items()}
    return {name: value for name, value in values.items() if isinstance(value, bool | int | float) or _is_curve(value)}


def _is_curve(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(isinstance(number, float) for number in value)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
