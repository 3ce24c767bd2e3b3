"""The pictures of a summary of several runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from keras_model.reports.comparison import Comparison, Row
from keras_model.reports.figures import LOOKS, TITLES, WIDTH_INCHES, epoch_axis, genre_axis, look_of_curve, new_axes, wrapped
from keras_model.reports.tables import percent
from tfrecords.figure_style import FIGURE_STYLE

_OFFSETS = dict(zip(LOOKS, (-0.2, 0.0, 0.2), strict=True))


def comparison_figure(table: Comparison, path: Path) -> None:
    """A table of accuracies as points with error bars of one standard deviation; the published ones in axes of their own."""
    parts = ((f"Here, on {table.data}", table.rows), ("Published, on GTZAN", table.published))
    n_rows = [len(rows) for _, rows in parts]
    with matplotlib.rc_context(FIGURE_STYLE):
        figure = Figure(figsize=(WIDTH_INCHES, 0.46 * sum(n_rows) + 2.2), layout="constrained")
        panels = figure.subplots(2, 1, sharex=True, height_ratios=n_rows)
        for axes, (heading, rows) in zip(panels, parts, strict=True):
            axes.set_title(wrapped(heading, width=42), fontsize=10, loc="right")
            _draw_rows(axes, rows)
        panels[-1].set_xlabel("accuracy on the test split (%)")
        figure.suptitle(table.title, fontsize=11)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=9, columnspacing=1.2, handlelength=1.0)
        figure.savefig(path)


def mean_curves(network: Mapping[str, Any], path: Path, *, title: str = "") -> None:
    """The mean test accuracies of a network's runs after each epoch, and one standard deviation to both sides."""
    with new_axes(path, title=title, height=3.9) as axes:
        for name, look in LOOKS.items():
            mean = np.asarray(network["curves"][name]["mean"])
            std = np.asarray(network["curves"][name]["std"] or np.zeros_like(mean))
            epochs = np.arange(1, len(mean) + 1)
            axes.plot(epochs, mean, label=TITLES[name], **look_of_curve(look, len(mean)))
            axes.fill_between(epochs, mean - std, mean + std, color=look["color"], alpha=0.15, linewidth=0)
        axes.set_ylabel("accuracy on the test split")
        axes.set_ylim(0.0, 1.02)
        epoch_axis(axes)
        axes.legend(fontsize=9)


def genre_points(network: Mapping[str, Any], path: Path, *, title: str = "") -> None:
    """The accuracies of each genre: mean and one standard deviation."""
    per_genre = network["per_genre"]
    with new_axes(path, title=title, height=0.42 * len(per_genre) + 1.4) as axes:
        for name in LOOKS:
            estimates = [percent(values[name]) for values in per_genre.values()]
            stds = [estimate.std or 0.0 for estimate in estimates]
            _points(axes, name, [estimate.mean for estimate in estimates], stds)
        genre_axis(axes, list(per_genre))


def _draw_rows(axes: Axes, rows: Sequence[Row]) -> None:
    for name in LOOKS:
        estimates = [row.accuracies[name] for row in rows]
        _points(axes, name, [estimate.mean for estimate in estimates], [estimate.std or 0.0 for estimate in estimates])
    labels = [f"{wrapped(row.label, width=26)}\n{row.epochs} epochs" for row in rows]
    axes.set_yticks(range(len(rows)), labels, fontsize=8)
    axes.set_ylim(len(rows) - 0.45, -0.55)
    axes.grid(visible=False, axis="y")


def _points(axes: Axes, name: str, means: Sequence[float], stds: Sequence[float]) -> None:
    look = LOOKS[name]
    axes.errorbar(
        means,
        np.arange(len(means)) + _OFFSETS[name],
        xerr=stds,
        color=look["color"],
        marker=look["marker"],
        markersize=4.5,
        linestyle="none",
        elinewidth=1.3,
        capsize=2.5,
        label=TITLES[name],
    )
