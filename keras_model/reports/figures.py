"""The pictures of reports, of one run and of several. They are narrow, so that their text can be read on a phone."""

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

from keras_model.reports.comparison import Estimate
from tfrecords.display.figure_style import FIGURE_STYLE

_WIDTH_INCHES = 5.2
_TRAIN_LOOK = {"color": "#777d88"}
# Colour, marker and line of each accuracy: told apart without colours, too.
_LOOKS = {
    "raw": {"color": "#2f6db3", "marker": "o", "linestyle": "-"},
    "maximum": {"color": "#c8553d", "marker": "s", "linestyle": "--"},
    "majority": {"color": "#2e7d4f", "marker": "^", "linestyle": ":"},
}
_TITLES = {"raw": "raw", "maximum": "maximum probability", "majority": "majority vote"}
_MARKERS = 10


@contextmanager
def _new_axes(path: Path, *, title: str, height: float, width: float = _WIDTH_INCHES, **style: Any) -> Iterator[Axes]:
    """Axes of a figure that is written at the end; sizes in inches, `style` as matplotlib's settings."""
    with matplotlib.rc_context(FIGURE_STYLE | style):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(_wrapped(title), fontsize=10, loc="left")
        yield axes
        figure.savefig(path)


def _wrapped(text: str, *, width: int = 46) -> str:
    """A text in lines that fit a figure: nothing is cut off, for the end may be the word SYNTHETIC."""
    return textwrap.fill(text, width)


@contextmanager
def _curve_axes(path: Path, *, title: str) -> Iterator[Axes]:
    """Axes with epochs to the right, from the beginning of the training on."""
    with _new_axes(path, title=title, height=3.9) as axes:
        yield axes
        axes.set_xlabel("epoch")
        axes.set_xlim(left=0.0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(fontsize=9)


def accuracy_curves(metrics: Mapping[str, Any], path: Path, *, title: str = "") -> None:
    """Accuracy of each epoch on the train split, and after it the three on the split that was evaluated."""
    with _curve_axes(path, title=title) as axes:
        _curve(axes, [logs["accuracy"] for logs in metrics["epochs"]], label="train, raw", look=_TRAIN_LOOK)
        for name, look in _LOOKS.items():
            split, values = _evaluated(metrics, name)
            _curve(axes, values, label=f"{split}, {_TITLES[name]}", look=look)
        axes.set_ylabel("accuracy")
        axes.set_ylim(0.0, 1.02)


def loss_curves(metrics: Mapping[str, Any], path: Path, *, title: str = "") -> None:
    """Cross-entropy likewise, without the penalty on the weights, so that train and test compare; of few steps, that of each."""
    epochs, steps = [logs["cross_entropy"] for logs in metrics["epochs"]], metrics["steps"]
    with _curve_axes(path, title=title) as axes:
        if steps:
            axes.plot(len(epochs) * np.arange(1, len(steps) + 1) / len(steps), steps, label="train, each step", **_TRAIN_LOOK)
        else:
            _curve(axes, epochs, label="train", look=_TRAIN_LOOK)
        split, values = _evaluated(metrics, "cross_entropy")
        _curve(axes, values, label=split, look=_LOOKS["raw"])
        axes.set_ylabel("cross-entropy (nats)")
        axes.set_ylim(bottom=0.0)


def confusion_matrix(counts: Sequence[Sequence[int]], genres: Sequence[str], path: Path, *, unit: str, title: str = "") -> None:
    """A row-normalised confusion matrix: of each true genre, the share in percent that was classified as each."""
    matrix = np.asarray(counts, dtype=np.float64)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1.0)
    size = max(_WIDTH_INCHES, 0.36 * len(genres) + 1.6)
    frame = {"axes.grid": False, "axes.spines.right": True, "axes.spines.top": True}
    with _new_axes(path, title=title, width=size, height=size, **frame) as axes:
        axes.imshow(share, cmap="Blues", vmin=0.0, vmax=1.0)
        axes.set_xticks(range(len(genres)), genres, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(genres)), genres)
        axes.set_xlabel("predicted")
        axes.set_ylabel(f"true ({unit})")
        for row, column in np.argwhere(share > 0):
            colour = "white" if share[row, column] > 0.55 else "#22262b"
            axes.text(column, row, f"{100 * share[row, column]:.0f}", ha="center", va="center", color=colour, fontsize=10)


def genre_bars(genres: Mapping[str, Mapping[str, Estimate]], path: Path, *, title: str = "") -> None:
    """The accuracies of each genre as bars, those of tracks with their 95 % intervals."""
    places = np.arange(len(genres))
    with _new_axes(path, title=title, height=0.42 * len(genres) + 1.4, **{"hatch.linewidth": 0.6}) as axes:
        for number, (name, hatch) in enumerate(zip(_LOOKS, ("", "////", "...."), strict=True)):
            estimates = [accuracies[name] for accuracies in genres.values()]
            means = np.asarray([estimate.mean for estimate in estimates])
            ends = np.asarray([estimate.interval or (estimate.mean, estimate.mean) for estimate in estimates])
            axes.barh(
                places + 0.26 * (number - 1),
                means,
                0.24,
                xerr=np.abs(ends.T - means),
                error_kw={"elinewidth": 0.8, "ecolor": "#22262b"},
                color=_LOOKS[name]["color"],
                hatch=hatch,
                edgecolor="white",
                label=_TITLES[name],
            )
        axes.set_yticks(places, list(genres))
        axes.set_ylim(len(genres) - 0.45, -0.55)
        axes.set_xlim(0, 103)
        axes.set_xlabel("accuracy on the genre's own (%)")
        axes.grid(visible=False, axis="y")
        axes.figure.legend(loc="outside upper center", ncols=3, fontsize=9, columnspacing=1.2, handlelength=1.6)


def _evaluated(metrics: Mapping[str, Any], name: str) -> tuple[str, list[float]]:
    """What was measured after each epoch: on the validation split where there is one, else on the test split."""
    epochs = metrics["epochs"]
    if f"test_{name}" in epochs[-1]:
        return "test", [logs[f"test_{name}"] for logs in epochs]
    return "validation", [logs[f"val_{'accuracy' if name == 'raw' else name}"] for logs in epochs]


def _curve(axes: Axes, values: Sequence[float], *, label: str, look: Mapping[str, Any]) -> None:
    """A value after each epoch, with so few markers that they do not hide the curve."""
    few = {"markersize": 4, "linewidth": 1.4, "markevery": max(1, len(values) // _MARKERS)}
    axes.plot(range(1, len(values) + 1), values, label=label, **look, **few)


def mean_curves(network: Mapping[str, Any], path: Path, *, title: str = "") -> None:
    """The mean test accuracies of a network's runs after each epoch, and one standard deviation to both sides."""
    with _curve_axes(path, title=title) as axes:
        for name, look in _LOOKS.items():
            mean = np.asarray(network["curves"][name]["mean"])
            std = np.asarray(network["curves"][name]["std"] or np.zeros_like(mean))
            _curve(axes, mean.tolist(), label=_TITLES[name], look=look)
            axes.fill_between(range(1, len(mean) + 1), mean - std, mean + std, color=look["color"], alpha=0.15, linewidth=0)
        axes.set_ylabel("accuracy on the test split")
        axes.set_ylim(0.0, 1.02)
