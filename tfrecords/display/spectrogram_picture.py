"""Log-mels as pictures for pages: their colours, and the ticks of their axes."""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from matplotlib.image import imsave
from numpy.typing import NDArray

from tfrecords.front_end.log_mel_spec import LogMelSpec
from tfrecords.front_end.mel_filter_bank import hz_to_mel

COLOURS = "magma"
# The shown values between these percentiles share the colours; a few silent frames would else take most of them.
_SCALE_PERCENTILES = (0.5, 99.5)
_SHOWN_HZ = (100, 200, 500, 1000, 2000, 5000, 10000, 20000)
# So that labels do not touch in a small picture.
_LEAST_BAND_DISTANCE = 0.09
_LEAST_TIME_DISTANCE = 0.2


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A tick of an axis: its place in 0..1, and its label."""

    place: float
    label: str


@dataclass(frozen=True, kw_only=True)
class ColourScale:
    """One scale of colours for all pictures of a page.

    Attributes:
        low: The log-mel value that the first colour stands for; lower ones have it too.
        high: The value of the last colour; likewise.
        colours: Name of matplotlib's colour map.
    """

    low: float
    high: float
    colours: str = COLOURS

    @classmethod
    def of(cls, log_mels: Sequence[NDArray[np.float32]]) -> Self:
        """The scale that suits log-mels of one shape (n_mels, n_frames)."""
        if not log_mels:
            return cls(low=0.0, high=1.0)
        low, high = np.percentile(np.stack(log_mels), _SCALE_PERCENTILES)
        return cls(low=float(low), high=float(max(high, low + 1e-3)))

    def picture(self, log_mel: NDArray[np.floating]) -> str:
        """A log-mel (n_mels, n_frames), the first band lowest, as a PNG with a pixel for each value; base64."""
        file = io.BytesIO()
        imsave(file, log_mel, cmap=self.colours, vmin=self.low, vmax=self.high, origin="lower", format="png")
        return base64.b64encode(file.getvalue()).decode("ascii")

    @property
    def bar(self) -> str:
        """All of the colours, the first one left, as a PNG; base64."""
        return self.picture(np.linspace(self.low, self.high, 256, dtype=np.float32)[np.newaxis])

    @property
    def ticks(self) -> list[Tick]:
        """Values below the bar."""
        places = (0.0, 0.25, 0.5, 0.75, 1.0)
        return [Tick(place=place, label=f"{self.low + place * (self.high - self.low):.1f}") for place in places]


@dataclass(frozen=True)
class SpectrogramAxes:
    """The axes of a spec's pictures."""

    spec: LogMelSpec

    @property
    def real_share(self) -> float:
        """The share of a picture's width in which the frames are no repetitions, in 0..1."""
        return min(self.spec.n_real_frames / self.spec.n_frames, 1.0)

    @cached_property
    def bands(self) -> list[Tick]:
        """Ticks of the frequency axis: where in the picture's height a band of round frequency has its centre."""
        spec = self.spec
        low, high = (hz_to_mel(hz, scale=spec.mel_scale) for hz in (spec.fmin_hz, spec.fmax_hz))
        ticks: list[Tick] = []
        for hz in _SHOWN_HZ:
            # The centres of bands 0 to n_mels − 1 divide the mel axis into n_mels + 1 equal parts.
            band = (hz_to_mel(hz, scale=spec.mel_scale) - low) / (high - low) * (spec.n_mels + 1) - 1
            place = (band + 0.5) / spec.n_mels
            if 0 <= place <= 1 and (not ticks or place - ticks[-1].place >= _LEAST_BAND_DISTANCE):
                ticks.append(Tick(place=place, label=f"{hz // 1000}k" if hz >= 1000 else str(hz)))
        return ticks

    @cached_property
    def times(self) -> list[Tick]:
        """Ticks of the time axis, in seconds from the chunk's start, as far as its frames are no repetitions."""
        spec = self.spec
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
