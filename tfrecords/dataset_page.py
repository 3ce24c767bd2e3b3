"""The page that shows a dataset: its numbers, and spectrograms of a few tracks of each genre; one self-contained HTML file."""

import base64
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle

import jinja2
import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import imsave
from numpy.typing import NDArray

from tfrecords.dataset_summary import STATISTICS, DatasetSummary
from tfrecords.figure_style import FIGURE_STYLE
from tfrecords.log_mel_spec import LogMelSpec
from tfrecords.manifest import Manifest
from tfrecords.mel_filter_bank import hz_to_mel
from tfrecords.sampling import SampledTrack

_COLOURS = "magma"
# The shown values between these percentiles share the colours; a few silent frames would else take most of them.
_SCALE_PERCENTILES = (0.5, 99.5)
_SPLIT_COLOURS = ("#2f6db3", "#c8553d", "#4f9d69", "#8a8f98")
_SHOWN_HZ = (100, 200, 500, 1000, 2000, 5000, 10000, 20000)
# So that labels do not touch in a small picture.
_LEAST_BAND_DISTANCE = 0.09
_LEAST_TIME_DISTANCE = 0.2


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A tick of an axis: its place in 0..1, and its label."""

    place: float
    label: str


def render_page(summary: DatasetSummary, sampled: Mapping[str, list[SampledTrack]]) -> str:
    """The HTML of the page.

    Args:
        summary: The dataset's numbers.
        sampled: The tracks to show, by genre.
    """
    spec = summary.manifest.spec
    log_mels = [record.log_mel for tracks in sampled.values() for track in tracks for record in track.records]
    low, high = colour_limits(log_mels)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tfrecords"), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    return environment.get_template("dataset.html").render(
        manifest=summary.manifest,
        summary=summary,
        statistics=STATISTICS,
        sampled=sampled,
        picture=lambda log_mel: _png(log_mel, low=low, high=high),
        scale_picture=_png(np.linspace(low, high, 256, dtype=np.float32)[np.newaxis], low=low, high=high),
        scale_ticks=[Tick(place=place, label=f"{low + place * (high - low):.1f}") for place in (0.0, 0.25, 0.5, 0.75, 1.0)],
        band_picture=_band_figure(summary.manifest),
        band_ticks=band_ticks(spec),
        time_ticks=time_ticks(spec),
        real_share=min(spec.n_real_frames / spec.n_frames, 1.0),
    )


def colour_limits(log_mels: list[NDArray[np.float32]]) -> tuple[float, float]:
    """The values (low, high) that the first and the last colour stand for."""
    if not log_mels:
        return 0.0, 1.0
    low, high = np.percentile(np.stack(log_mels), _SCALE_PERCENTILES)
    return float(low), float(max(high, low + 1e-3))


def band_ticks(spec: LogMelSpec) -> list[Tick]:
    """Ticks of the frequency axis: where in the picture's height a band of round frequency has its centre."""
    low, high = (hz_to_mel(hz, scale=spec.mel_scale) for hz in (spec.fmin_hz, spec.fmax_hz))
    ticks: list[Tick] = []
    for hz in _SHOWN_HZ:
        # The centres of bands 0 to n_mels − 1 divide the mel axis into n_mels + 1 equal parts.
        band = (hz_to_mel(hz, scale=spec.mel_scale) - low) / (high - low) * (spec.n_mels + 1) - 1
        place = (band + 0.5) / spec.n_mels
        if 0 <= place <= 1 and (not ticks or place - ticks[-1].place >= _LEAST_BAND_DISTANCE):
            ticks.append(Tick(place=place, label=f"{hz // 1000}k" if hz >= 1000 else str(hz)))
    return ticks


def time_ticks(spec: LogMelSpec) -> list[Tick]:
    """Ticks of the time axis, in seconds from the chunk's start, as far as its frames are no repetitions."""
    first_centre = 0 if spec.centered else spec.n_fft / 2
    frames = min(spec.n_real_frames, spec.n_frames)
    frame_seconds = spec.hop_length / spec.sample_rate
    least = _LEAST_TIME_DISTANCE * spec.n_frames * frame_seconds
    magnitude = 10 ** math.floor(math.log10(least))
    step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= least)
    ticks = []
    for number in range(math.floor(frames * frame_seconds / step) + 1):
        place = ((number * step * spec.sample_rate - first_centre) / spec.hop_length + 0.5) / spec.n_frames
        if 0 <= place <= frames / spec.n_frames:
            ticks.append(Tick(place=place, label=f"{number * step:g}"))
    return ticks


def _png(values: NDArray[np.float32], *, low: float, high: float) -> str:
    """Values (rows, columns), the first row lowest, as a PNG with a pixel each; base64."""
    file = io.BytesIO()
    imsave(file, values, cmap=_COLOURS, vmin=low, vmax=high, origin="lower", format="png")
    return base64.b64encode(file.getvalue()).decode("ascii")


def _band_figure(manifest: Manifest) -> str:
    """Mean and standard deviation of each mel band in each split, as a PNG; base64."""
    with matplotlib.rc_context(FIGURE_STYLE):
        figure = Figure(figsize=(5.6, 3.2), layout="constrained")
        axes = figure.add_subplot()
        for colour, (name, split) in zip(cycle(_SPLIT_COLOURS), manifest.splits.items(), strict=False):
            if split.statistics:
                mean, std = np.asarray(split.statistics["band_mean"]), np.asarray(split.statistics["band_std"])
                axes.plot(mean, label=name, color=colour)
                axes.fill_between(range(len(mean)), mean - std, mean + std, color=colour, alpha=0.12, linewidth=0)
        if manifest.corpus.synthetic:
            axes.set_title(manifest.corpus.title, fontsize=10)
        axes.set_xlabel("mel band")
        axes.set_ylabel("log-mel")
        axes.legend()
        file = io.BytesIO()
        figure.savefig(file, format="png")
    return base64.b64encode(file.getvalue()).decode("ascii")
