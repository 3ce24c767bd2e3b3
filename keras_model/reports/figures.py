"""The pictures of a run's report. They are narrow, so that their text can be read on a phone."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tfrecords.figure_style import FIGURE_STYLE

WIDTH_INCHES = 5.2
_TRAIN_LOOK = {"color": "#777d88"}
# Colour, marker and line of each accuracy: told apart without colours, too.
LOOKS = {
    "raw": {"color": "#2f6db3", "marker": "o", "linestyle": "-"},
    "maximum": {"color": "#c8553d", "marker": "s", "linestyle": "--"},
    "majority": {"color": "#2e7d4f", "marker": "^", "linestyle": ":"},
}
TITLES = {"raw": "raw", "maximum": "maximum probability", "majority": "majority vote"}
_SPLITS = {"val": "validation", "test": "test"}
_MARKERS = 10
_FRAME = {"axes.grid": False, "axes.spines.right": True, "axes.spines.top": True}


@contextmanager
def new_axes(path: Path, *, title: str, height: float, width: float = WIDTH_INCHES, **style: Any) -> Iterator[Axes]:
    """Axes of a figure that is written at the end; sizes in inches, `style` as matplotlib's settings."""
    with matplotlib.rc_context(FIGURE_STYLE | style):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(wrapped(title), fontsize=10, loc="left")
        yield axes
        figure.savefig(path)


def wrapped(text: str, *, width: int = 46) -> str:
    """A text in lines that fit a figure: nothing is cut off, for the end may be the word SYNTHETIC."""
    return textwrap.fill(text, width)


def accuracy_curves(metrics: Mapping[str, Any], path: Path, *, title: str = "") -> None:
    """Accuracy of each epoch on the train split, and after it the three on the split that was evaluated."""
    with new_axes(path, title=title, height=3.9) as axes:
        _curve(axes, metrics, "accuracy", label="train, raw", look=_TRAIN_LOOK)
        for name, look in LOOKS.items():
            if key := _evaluated(metrics, name):
                _curve(axes, metrics, key, label=f"{_SPLITS[key.split('_')[0]]}, {TITLES[name]}", look=look)
        axes.set_ylabel("accuracy")
        axes.set_ylim(0.0, 1.02)
        axes.legend(fontsize=9)


def loss_curves(metrics: Mapping[str, Any], path: Path, *, title: str = "") -> None:
    """Cross-entropy likewise, without the penalty on the weights, so that train and test compare."""
    with new_axes(path, title=title, height=3.9) as axes:
        _curve(axes, metrics, "cross_entropy", label="train", look=_TRAIN_LOOK)
        if key := _evaluated(metrics, "cross_entropy"):
            _curve(axes, metrics, key, label=_SPLITS[key.split("_")[0]], look=LOOKS["raw"])
        axes.set_ylabel("cross-entropy (nats)")
        axes.set_ylim(bottom=0.0)
        axes.legend(fontsize=9)


def confusion_matrix(counts: Sequence[Sequence[int]], genres: Sequence[str], path: Path, *, unit: str, title: str = "") -> None:
    """A row-normalised confusion matrix: of each true genre, the share in percent that was taken for each genre."""
    matrix = np.asarray(counts, dtype=np.float64)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1.0)
    size = max(WIDTH_INCHES, 0.36 * len(genres) + 1.6)
    with new_axes(path, title=title, width=size, height=size, **_FRAME) as axes:
        axes.imshow(share, cmap="Blues", vmin=0.0, vmax=1.0)
        axes.set_xticks(range(len(genres)), genres, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(genres)), genres)
        axes.set_xlabel("predicted")
        axes.set_ylabel(f"true ({unit})")
        for row, column in np.argwhere(share > 0):
            colour = "white" if share[row, column] > 0.55 else "#22262b"
            axes.text(column, row, f"{100 * share[row, column]:.0f}", ha="center", va="center", color=colour, fontsize=10)


def genre_bars(per_genre: Mapping[str, Mapping[str, float]], path: Path, *, title: str = "") -> None:
    """The three accuracies of each genre as bars."""
    places = np.arange(len(per_genre))
    with new_axes(path, title=title, height=0.42 * len(per_genre) + 1.4, **{"hatch.linewidth": 0.6}) as axes:
        for number, (name, hatch) in enumerate(zip(LOOKS, ("", "////", "...."), strict=True)):
            percent = [100 * accuracies[name] for accuracies in per_genre.values()]
            colour = LOOKS[name]["color"]
            axes.barh(
                places + 0.26 * (number - 1), percent, 0.24, color=colour, hatch=hatch, edgecolor="white", label=TITLES[name]
            )
        genre_axis(axes, list(per_genre))


def genre_axis(axes: Axes, genres: Sequence[str]) -> None:
    """Genres downwards, percent to the right, and the legend above."""
    axes.set_yticks(range(len(genres)), genres)
    axes.set_ylim(len(genres) - 0.45, -0.55)
    axes.set_xlim(0, 103)
    axes.set_xlabel("accuracy on the genre's own (%)")
    axes.grid(visible=False, axis="y")
    handles, labels = axes.get_legend_handles_labels()
    axes.figure.legend(handles, labels, loc="outside upper center", ncols=3, fontsize=9, columnspacing=1.2, handlelength=1.6)


def epoch_axis(axes: Axes) -> None:
    """Epochs to the right, from the beginning of the training on."""
    axes.set_xlabel("epoch")
    axes.set_xlim(left=0.0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def look_of_curve(look: Mapping[str, Any], n_points: int) -> dict[str, Any]:
    """The look of a curve, with so few markers that they do not hide it."""
    return {**look, "markersize": 4, "linewidth": 1.4, "markevery": max(1, n_points // _MARKERS)}


def _evaluated(metrics: Mapping[str, Any], name: str) -> str | None:
    """The key of what was measured after each epoch: on the validation split where there is one, else on the test split."""
    keys = (f"val_{'accuracy' if name == 'raw' else name}", f"test_{name}")
    return next((key for key in keys if key in metrics["epochs"][-1]), None)


def _curve(axes: Axes, metrics: Mapping[str, Any], key: str, *, label: str, look: Mapping[str, Any]) -> None:
    values = [epoch[key] for epoch in metrics["epochs"]]
    axes.plot(range(1, len(values) + 1), values, label=label, **look_of_curve(look, len(values)))
    epoch_axis(axes)
