"""The report's pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tfrecords.figure_style import FIGURE_STYLE

_TRAIN_COLOUR, _RAW_COLOUR, _MAXIMUM_COLOUR, _MAJORITY_COLOUR = "#8a8f98", "#2f6db3", "#c8553d", "#4f9d69"


def accuracy_curves(epochs: Sequence[dict[str, Any]], path: Path, *, title: str = "") -> None:
    """Accuracy after each epoch: chunks of the train split, and the three accuracies on the test split."""
    curves = (
        ("accuracy", "train, chunks", _TRAIN_COLOUR),
        ("test_raw", "test, raw", _RAW_COLOUR),
        ("test_maximum", "test, maximum probability", _MAXIMUM_COLOUR),
        ("test_majority", "test, majority vote", _MAJORITY_COLOUR),
    )
    _draw_curves(epochs, curves, path, y_label="accuracy", y_limits=(0.0, 1.02), title=title)


def loss_curves(epochs: Sequence[dict[str, Any]], path: Path, *, title: str = "") -> None:
    """Cross-entropy after each epoch, without the penalty on the weights, so that train and test compare."""
    curves = (("cross_entropy", "train", _TRAIN_COLOUR), ("test_cross_entropy", "test", _RAW_COLOUR))
    _draw_curves(epochs, curves, path, y_label="cross-entropy (nats)", y_limits=(0.0, None), title=title)


def confusion_matrix(counts: Sequence[Sequence[int]], genres: Sequence[str], path: Path, *, unit: str, title: str = "") -> None:
    """A row-normalised confusion matrix: of each true genre, the share in percent that was taken for each genre."""
    matrix = np.asarray(counts, dtype=np.float64)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1.0)
    with matplotlib.rc_context(FIGURE_STYLE | {"axes.grid": False, "axes.spines.right": True, "axes.spines.top": True}):
        size = max(4.2, 0.62 * len(genres) + 1.6)
        figure = Figure(figsize=(size, size), layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(title, fontsize=10)
        axes.imshow(share, cmap="Blues", vmin=0.0, vmax=1.0)
        axes.set_xticks(range(len(genres)), genres, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(genres)), genres)
        axes.set_xlabel("predicted")
        axes.set_ylabel(f"true ({unit})")
        for row, column in np.argwhere(share > 0):
            colour = "white" if share[row, column] > 0.55 else "#333333"
            axes.text(column, row, f"{100 * share[row, column]:.0f}", ha="center", va="center", color=colour, fontsize=9)
        figure.savefig(path)


def _draw_curves(
    epochs: Sequence[dict[str, Any]],
    curves: Sequence[tuple[str, str, str]],
    path: Path,
    *,
    y_label: str,
    y_limits: tuple[float, Any],
    title: str,
) -> None:
    numbers = np.arange(1, len(epochs) + 1)
    with matplotlib.rc_context(FIGURE_STYLE):
        figure = Figure(figsize=(7.2, 4.2), layout="constrained")
        axes = figure.add_subplot()
        for key, label, colour in curves:
            axes.plot(numbers, [epoch[key] for epoch in epochs], label=label, color=colour, marker="o", markersize=2.5)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("epoch")
        axes.set_ylabel(y_label)
        axes.set_ylim(*y_limits)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
        figure.savefig(path)
