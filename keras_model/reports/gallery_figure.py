"""The report's spectrograms as one figure per kind of tracks."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from keras_model.reports.figures import wrapped
from keras_model.reports.gallery import ShownTrack
from tfrecords.figure_style import FIGURE_STYLE
from tfrecords.spectrogram_picture import COLOURS, ColourScale

_CHUNK_INCHES = 1.25
_LONGEST = 40


def gallery_figure(tracks: Sequence[ShownTrack], path: Path, *, scale: ColourScale, title: str) -> None:
    """Writes a row of log-mels for each track, with what each chunk was taken for, and the scale of their colours.

    Args:
        tracks: At least one.
        path: The PNG.
        scale: Of all figures of the report.
        title: What tracks these are.
    """
    n_columns = max(len(track.chunks) for track in tracks)
    size = (_CHUNK_INCHES * n_columns + 0.9, (_CHUNK_INCHES + 0.75) * len(tracks) + 0.4)
    with matplotlib.rc_context(FIGURE_STYLE | {"axes.grid": False}):
        figure = Figure(figsize=size, layout="constrained")
        figure.suptitle(wrapped(title, width=70), fontsize=11)
        rows = figure.subfigures(len(tracks), 1, squeeze=False)[:, 0]
        for row, track in zip(rows, tracks, strict=True):
            row.suptitle(f"{_shortened(track.track_id)}, true genre {_shortened(track.genre)}", fontsize=9, x=0.01, ha="left")
            panels = row.subplots(1, n_columns, squeeze=False)[0]
            for panel in panels:
                panel.set_axis_off()
            for panel, chunk in zip(panels, track.chunks, strict=False):
                image = panel.imshow(
                    chunk.log_mel, cmap=COLOURS, vmin=scale.low, vmax=scale.high, origin="lower", interpolation="nearest"
                )
                mark = "✓" if chunk.is_right else "✗"
                colour = "#2c7046" if chunk.is_right else "#b03a22"
                panel.set_title(f"{mark} {_shortened(chunk.predicted)}\n{chunk.probability:.0%}", fontsize=8, color=colour, pad=3)
            bar = row.colorbar(image, ax=panels, shrink=0.8, aspect=12)
            bar.set_label("log-mel", fontsize=8)
            bar.ax.tick_params(labelsize=8)
        figure.savefig(path)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
