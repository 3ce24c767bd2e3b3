"""A file's genres over time: a picture, or a page around it."""

import io
import textwrap
import warnings
from datetime import timedelta
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from keras_model.prediction.track import Prediction
from keras_model.run_folder import FrontEnd
from tfrecords.display.figure_style import FIGURE_STYLE
from tfrecords.display.pages import render_template
from tfrecords.front_end.log_mel_spec import LogMelSpec
from tfrecords.whole_file import write_whole

_WIDTH_INCHES = 9.0
# More columns than this could not be told apart: neighbouring chunks are averaged.
_MOST_COLUMNS = 480
_COLOURS = "Blues"
_INK = "#22262b"
_FAINT = "#777d88"
_LONGEST_NAME = 24  # letters of a genre that are shown
_DECIDED = "#c8553d"
# Texts of an SVG stay texts, in the fonts of whoever shows it; names of its parts are the same each time.
_STYLE = {"axes.grid": False, "svg.fonttype": "none", "svg.hashsalt": "timeline"}


def write_timeline(path: Path, prediction: Prediction, *, name: str, front_end: FrontEnd) -> None:
    """Draws the probability of each genre over the time of a file of this name, the most probable at the top, and their means.

    Args:
        path: By its ending a PNG, an SVG, or a page of HTML, which loads nothing that is not in it.
        prediction: Of the file.
        name: Of the file, as it is shown.
        front_end: What the network was trained on.

    Raises:
        OSError: If the picture cannot be written.
    """
    form = path.suffix.lower().removeprefix(".")
    note = "model trained on SYNTHETIC audio" if front_end.corpus.synthetic else ""
    with matplotlib.rc_context(FIGURE_STYLE | _STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a file may be named in any script
        figure = Figure(figsize=(_WIDTH_INCHES, 0.3 * len(prediction.genres) + 1.9), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.08, h_pad=0.06, wspace=0.02)
        heat, means = figure.subplots(1, 2, sharey=True, width_ratios=(7, 2))
        _title(heat, prediction, name=name, note=note)
        mesh = draw_genres(heat, prediction, spec=front_end.spec)
        _means(means, prediction)
        bar = figure.colorbar(mesh, ax=means, aspect=24, shrink=0.9, format=lambda value, _: f"{value:.0%}")
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=0, labelsize=9, labelcolor=_FAINT)
        bar.set_label("probability", fontsize=9, color=_FAINT)
        picture = io.BytesIO()
        figure.savefig(picture, format="png" if form == "png" else "svg", metadata=None if form == "png" else {"Date": None})
    data = picture.getvalue()
    write_whole(path, _page(data, prediction, name=name, note=note) if form == "html" else data)


def _page(svg: bytes, prediction: Prediction, *, name: str, note: str) -> bytes:
    """The picture, and each genre's mean, votes and the time at which it is most probable, as a page that stands by itself."""
    labels = [prediction.genres.index(genre) for genre, _ in prediction.ranked]
    best = prediction.chunk_start_seconds[prediction.chunk_probabilities.argmax(axis=0)]  # (n_genres,)
    rows = [
        {"genre": genre, "probability": probability, "votes": prediction.votes[label], "time": _clock(best[label])}
        for label, (genre, probability) in zip(labels, prediction.ranked, strict=True)
    ]
    picture = svg[svg.index(b"<svg") :].decode("utf-8")  # without the declaration of an XML file
    values = {"title": name, "prediction": prediction, "note": note, "rows": rows, "picture": picture}
    page = render_template("timeline.html", package="keras_model.prediction", **values)
    return page.encode("utf-8")


def draw_genres(axes: Axes, prediction: Prediction, *, spec: LogMelSpec) -> QuadMesh:
    """Draws the probability of each genre over time as a row of colours, the most probable genre at the top."""
    ranked = [prediction.genres.index(genre) for genre, _ in prediction.ranked]
    probabilities = prediction.chunk_probabilities[:, ranked]  # (n_chunks, n_genres)
    probabilities, edges = averaged(probabilities, _edges(prediction, spec.min_seconds(1)))
    rows = np.arange(len(ranked) + 1) - 0.5
    mesh = axes.pcolormesh(edges, rows, probabilities.T, cmap=_COLOURS, vmin=0.0, vmax=1.0, rasterized=True)
    _time_and_genres(axes, edges, [genre for genre, _ in prediction.ranked])
    return mesh


def _edges(prediction: Prediction, chunk_seconds: float) -> NDArray[np.float64]:
    """Where one chunk's column ends and the next begins, in seconds, (n_chunks + 1,): half-way between their middles."""
    middles = prediction.chunk_start_seconds + chunk_seconds / 2
    return np.concatenate([[0.0], (middles[1:] + middles[:-1]) / 2, [prediction.seconds]])


def averaged(columns: NDArray[np.float32], edges: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Columns (n, n_rows) and their edges (n + 1,), so few that they can be told apart: each the mean of as many neighbours."""
    n_each = -(-len(columns) // _MOST_COLUMNS)
    firsts = np.arange(0, len(columns), n_each)
    counts = np.diff(np.append(firsts, len(columns)))
    means = np.add.reduceat(columns, firsts, axis=0) / counts[:, np.newaxis]
    return means.astype(np.float32), edges[np.append(firsts, len(columns))]


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=int(seconds))).removeprefix("0:")


def _title(axes: Axes, prediction: Prediction, *, name: str, note: str) -> None:
    decided = f"{prediction.genre} {prediction.confidence:.0%}"
    if prediction.genre_majority != prediction.genre:
        decided += f" (majority vote: {prediction.genre_majority})"
    title = textwrap.fill(f"{name}: {decided}", 72)
    axes.figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=_INK)
    chunks = f"{prediction.n_chunks} chunk{'s' if prediction.n_chunks > 1 else ''}"
    axes.set_title(f"{chunks} · {note}" if note else chunks, loc="left", fontsize=9, color=_FAINT)


def _time_and_genres(axes: Axes, edges: NDArray[np.float64], genres: list[str]) -> None:
    axes.set_xlim(0.0, edges[-1])
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 1.5, 3, 6, 10], integer=True, min_n_ticks=1))
    axes.xaxis.set_major_formatter(lambda seconds, _: _clock(seconds))
    axes.set_xlabel("time", fontsize=9, color=_FAINT)
    axes.tick_params(length=0, labelsize=9, labelcolor=_FAINT)
    shown = [name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…" for name in genres]
    axes.set_yticks(range(len(genres)), shown, fontsize=10, color=_INK)
    axes.set_ylim(len(genres) - 0.5, -0.5)
    axes.get_yticklabels()[0].set(color=_DECIDED, fontweight="bold")
    for edge in range(1, len(genres)):
        axes.axhline(edge - 0.5, color="white", linewidth=2.0)
    axes.spines[:].set_visible(False)


def _means(axes: Axes, prediction: Prediction) -> None:
    """The mean over the file as bars, next to the genre's row."""
    values = [probability for _, probability in prediction.ranked]
    bars = axes.barh(range(len(values)), values, 0.62, color=[_DECIDED, *["#b9c3d0"] * (len(values) - 1)])
    first, *_ = axes.bar_label(bars, fmt="{:.1%}", padding=4, fontsize=9, color=_FAINT)
    first.set_color(_DECIDED)
    axes.set_xlim(0.0, 1.35)
    axes.set_xticks([])
    axes.set_title("mean", loc="left", fontsize=9, color=_FAINT)
    axes.tick_params(length=0, labelleft=False)
    axes.spines[:].set_visible(False)
