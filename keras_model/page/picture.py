"""The picture of a song as a network heard it: its spectrogram, and below it the genres over time, both on one axis of time."""

import warnings
from dataclasses import dataclass
from typing import Self

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from keras_model.page.heard import Heard
from keras_model.prediction.timeline import averaged, draw_genres
from tfrecords.display.figure_style import FIGURE_STYLE
from tfrecords.display.spectrogram_picture import COLOURS, ColourScale, SpectrogramAxes

_WIDTH_INCHES = 6.4  # so that its letters can be read on a phone
_SPECTROGRAM_INCHES = 1.9
_MARK = (200, 85, 61)
_MARK_PIXELS = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """A picture, and where in it the time of the song is.

    Attributes:
        pixels: (height, width, 3) uint8.
        left: Where the song begins, in pixels.
        right: Where it ends; likewise.
        top: Upper edge of the spectrogram, in pixels from the picture's own.
        bottom: Lower edge of the genres; likewise.
        seconds: How long the song is.
    """

    pixels: NDArray[np.uint8]
    left: float
    right: float
    top: float
    bottom: float
    seconds: float

    @classmethod
    def of(cls, heard: Heard) -> Self:
        """Draws what was heard."""
        genres_inches = 0.27 * len(heard.prediction.genres)
        with matplotlib.rc_context(FIGURE_STYLE | {"axes.grid": False}), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing")  # a genre may be named in any script
            height = _SPECTROGRAM_INCHES + genres_inches + 0.7
            figure = Figure(figsize=(_WIDTH_INCHES, height), layout="constrained")
            canvas = FigureCanvasAgg(figure)
            ratios = (_SPECTROGRAM_INCHES, genres_inches)
            above, below = figure.subplots(2, 1, sharex=True, height_ratios=ratios)
            _draw_spectrogram(above, heard)
            draw_genres(below, heard.prediction, spec=heard.spec)
            canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())[..., :3].copy()
        spectrogram, genres = above.get_window_extent(), below.get_window_extent()  # from the picture's lower edge
        return cls(
            pixels=pixels,
            left=genres.x0,
            right=genres.x1,
            top=len(pixels) - spectrogram.y1,
            bottom=len(pixels) - genres.y0,
            seconds=heard.prediction.seconds,
        )

    def seconds_at(self, x: float) -> float:
        """The time of the song at a pixel's column, within the song."""
        return float(np.clip((x - self.left) / (self.right - self.left), 0.0, 1.0)) * self.seconds

    def marked(self, begin_seconds: float, end_seconds: float) -> NDArray[np.uint8]:
        """The pixels with a line where a stretch of the song begins, and one where it ends."""
        pixels = self.pixels.copy()
        for seconds in (begin_seconds, end_seconds):
            x = round(self.left + (self.right - self.left) * seconds / self.seconds) - _MARK_PIXELS // 2
            pixels[round(self.top) : round(self.bottom), max(0, x) : x + _MARK_PIXELS] = _MARK
        return pixels


def _draw_spectrogram(axes: Axes, heard: Heard) -> None:
    n_frames, n_mels = heard.spectrogram.shape
    columns, edges = averaged(heard.spectrogram, np.linspace(0.0, heard.end_seconds, n_frames + 1))
    scale = ColourScale.of([columns])
    axes.pcolormesh(edges, np.arange(n_mels + 1), columns.T, cmap=COLOURS, vmin=scale.low, vmax=scale.high, rasterized=True)
    ticks = SpectrogramAxes(heard.spec).bands
    axes.set_yticks([tick.place * n_mels for tick in ticks], [tick.label for tick in ticks])
    axes.tick_params(length=0, labelsize=9, labelcolor="#777d88", labelbottom=False)
    axes.set_ylabel("Hz", fontsize=9, color="#777d88")
    axes.spines[:].set_visible(False)
