"""The page that shows a dataset: its numbers, and spectrograms of a few tracks of each genre; one self-contained HTML file."""

import base64
import io
from collections.abc import Mapping
from itertools import cycle

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from tfrecords.dataset.manifest import Manifest
from tfrecords.display.dataset_summary import STATISTICS, DatasetSummary
from tfrecords.display.figure_style import FIGURE_STYLE
from tfrecords.display.pages import render_template
from tfrecords.display.spectrogram_picture import ColourScale, SpectrogramAxes
from tfrecords.records.sampling import SampledTrack

_SPLIT_COLOURS = ("#2f6db3", "#c8553d", "#4f9d69", "#8a8f98")


def render_page(summary: DatasetSummary, sampled: Mapping[str, list[SampledTrack]]) -> str:
    """The HTML of the page.

    Args:
        summary: The dataset's numbers.
        sampled: The tracks to show, by genre.
    """
    log_mels = [record.log_mel for tracks in sampled.values() for track in tracks for record in track.records]
    return render_template(
        "dataset.html",
        package="tfrecords.display",
        manifest=summary.manifest,
        summary=summary,
        statistics=STATISTICS,
        sampled=sampled,
        scale=ColourScale.of(log_mels),
        axes=SpectrogramAxes(summary.manifest.spec),
        band_picture=_band_figure(summary.manifest),
    )


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
