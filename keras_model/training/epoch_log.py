"""What a training tells of each epoch: a line on screen, a row in a table."""

import csv
import sys
import time
from pathlib import Path
from typing import Any

import keras
from tqdm import tqdm

from tfrecords.whole_file import write_whole

_FEW_STEPS = 100  # in which a training has too few epochs for a curve of them


class EpochLines(keras.callbacks.Callback):
    """A line for each epoch, of at most 80 columns; on a terminal, a bar while the epoch lasts."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Begins the bar."""
        self._started = time.monotonic()
        self._name = f"Epoch {epoch + 1:{len(str(self.params['epochs']))}}/{self.params['epochs']}"
        self._bar = tqdm(
            desc=self._name,
            total=self.params["steps"],
            unit="step",
            leave=False,
            file=sys.stdout,
            disable=not sys.stdout.isatty(),
            dynamic_ncols=True,
        )

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Moves the bar."""
        self._bar.update(batch + 1 - self._bar.n)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Prints the line."""
        self._bar.close()
        values = logs or {}
        parts = [
            f"{self._name}  {time.monotonic() - self._started:4.0f} s",
            f"loss {values['loss']:.3f}",
            f"train {values['accuracy']:.1%}",
        ]
        if "val_loss" in values:
            parts.append(f"val {values['val_loss']:.3f} {_percents(values, 'val', 'accuracy')}")
        elif "test_raw" in values:
            parts.append(f"test {_percents(values, 'test', 'raw')}")
        print("  ".join(parts), flush=True)


class HistoryFile(keras.callbacks.Callback):
    """The epochs' logs as a CSV file. Keras' CSVLogger adds a column of NA for each log that has no `val_` beside it.

    Args:
        path: Of the file; a training that goes on keeps its rows of finished epochs.
        batch_size: Of the training.
        n_records: Samples in an epoch.

    Attributes:
        steps: Of a training of fewer than 100 steps the cross-entropy of each; on a GPU, of each call of TensorFlow's.
    """

    def __init__(self, path: Path, *, batch_size: int, n_records: int) -> None:
        super().__init__()
        self.path, self.batch_size, self.n_records = path, batch_size, n_records
        self.steps: list[float] = []
        self._seen, self._sum = 0, 0.0  # samples of the epoch, and their cross-entropies

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Drops what is known of epochs that are done again."""
        self.keep(epoch)
        self._seen, self._sum = 0, 0.0

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Takes a step's share out of the epoch's mean so far."""
        if self.params["epochs"] * self.params["steps"] >= _FEW_STEPS:
            return
        before, self._seen = (self._seen, self._sum), min((batch + 1) * self.batch_size, self.n_records)
        self._sum = float((logs or {})["cross_entropy"]) * self._seen
        self.steps.append((self._sum - before[1]) / (self._seen - before[0]))

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Adds a row."""
        row = {"epoch": epoch, **(logs or {})}
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row), lineterminator="\n")
            if not file.tell():
                writer.writeheader()
            writer.writerow(row)

    def keep(self, n_epochs: int) -> None:
        """Keeps the heading, the rows and the steps of so many epochs; of none, nothing."""
        del self.steps[n_epochs * self.params["steps"] // self.model.steps_per_execution :]
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True) if self.path.exists() else []
        kept = lines[: n_epochs + 1] if n_epochs else []
        if kept != lines:
            write_whole(self.path, "".join(kept).encode())


def _percents(values: dict[str, float], split: str, raw: str) -> str:
    return " ".join(f"{values[f'{split}_{name}']:.1%}" for name in (raw, "maximum", "majority"))
