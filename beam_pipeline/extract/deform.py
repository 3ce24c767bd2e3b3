"""Chunks of a track whose tempo or pitch is changed, by a phase vocoder.

The vocoder is that of `librosa.effects.time_stretch` and `pitch_shift`, sample for sample but for rounding, and written without
angles: a bin's phase is the product of its turns from frame to frame. So it needs no numba, which librosa's compiles for ten
seconds in a fresh worker and which takes more memory than all else there; and it takes a quarter of the time.

Only the part of a track that a chunk is made of goes through it, not the whole track: a tenth of the work.
"""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple, Self

import numpy as np
import scipy.fft
import soxr
from numpy.typing import NDArray

from tfrecords.audio import Audio, LongAudio
from tfrecords.front_end.augmentation import Deformation
from tfrecords.front_end.log_mel import periodic_hann
from tfrecords.front_end.log_mel_spec import LogMelSpec

# librosa's own numbers, for any spec: they belong to the deformed sound, not to the log-mel that is taken of it.
_N_FFT = 2048
_HOP = _N_FFT // 4
_WINDOW = periodic_hann(_N_FFT).astype(np.float32)
# Each frame is windowed twice, and squares of Hann windows that are a quarter of their length apart add up to 3/2.
_SYNTHESIS_WINDOW = _WINDOW / np.float32(1.5)
# What the resampler makes of the zeros around its input does not reach further than this, in samples.
_RESAMPLER_REACH = 256


def deformed_chunks(
    audio: Audio | LongAudio, starts: Mapping[Deformation, NDArray[np.int64]], *, spec: LogMelSpec
) -> NDArray[np.float32]:
    """Cuts chunks out of a track in several deformations, deforming no more of it than they need.

    Around a chunk, as much of the track is deformed with it that no edge reaches into it. What differs from a chunk of the
    whole deformed track are the phases that the vocoder starts from.

    Args:
        audio: The track; it counts as silent before and after. What all chunks need of it is asked for at once.
        starts: Where the chunks begin in each deformed track, in samples.
        spec: Gives the length of a chunk.

    Returns:
        The chunks of one deformation after those of the other, (n_chunks, spec.chunk_samples) float32.
    """
    if not starts:
        return np.empty((0, spec.chunk_samples), np.float32)
    needs = [_Need.of(deformation, spec) for deformation in starts]
    firsts = [
        np.rint(of_one * deformation.rate).astype(np.int64) - need.n_before
        for (deformation, of_one), need in zip(starts.items(), needs, strict=True)
    ]
    segments = audio.segments(np.concatenate(firsts), n_samples=max(need.n_samples for need in needs))
    parts = np.split(segments, np.cumsum([len(one) for one in firsts])[:-1])
    return np.concatenate([need.deform(part, spec=spec) for need, part in zip(needs, parts, strict=True)])


class _Need(NamedTuple):
    """What a deformed chunk is made of.

    A raised pitch is a slower tempo, played faster: the vocoder stretches the track by rate / 2^(semitones / 12), and soxr's HQ
    setting, as in `librosa.effects.pitch_shift`, resamples that to the length which the rate alone would give.
    """

    rate: float  # of the vocoder
    ratio: float  # of frequencies
    n_before: int  # samples of the track before the chunk's own
    n_samples: int  # of the track
    first: int  # sample of what becomes of them that the chunk begins with

    @classmethod
    def of(cls, deformation: Deformation, spec: LogMelSpec) -> Self:
        ratio = 2.0 ** (deformation.semitones / 12)
        rate = deformation.rate / ratio
        lead = _N_FFT + _RESAMPLER_REACH
        # Sample _N_FFT / 2 of a segment, the centre of its first frame, stays where it is; from there on time runs 1 / rate as
        # fast.
        n_before = math.ceil(_N_FFT / 2 + (lead - _N_FFT / 2) * rate)
        begin = _N_FFT / 2 + (n_before - _N_FFT / 2) / rate  # of the chunk in the stretched segment
        n_stretched_frames = math.ceil((begin + spec.chunk_samples * ratio + _RESAMPLER_REACH) / _HOP)
        n_frames = math.floor((n_stretched_frames - 1) * rate) + 2
        return cls(rate, ratio, n_before, (n_frames - 1) * _HOP + _N_FFT, round(begin / ratio))

    def deform(self, segments: NDArray[np.float32], *, spec: LogMelSpec) -> NDArray[np.float32]:
        """Segments that are long enough to the chunks in them, (n_chunks, chunk_samples)."""
        stretched = phase_vocoder(np.ascontiguousarray(segments[:, : self.n_samples]), rate=self.rate)
        if self.ratio != 1.0:
            stretched = np.stack([soxr.resample(segment, self.ratio, 1.0, quality="HQ") for segment in stretched])
        return stretched[:, self.first : self.first + spec.chunk_samples]


def phase_vocoder(segments: NDArray[np.float32], *, rate: float) -> NDArray[np.float32]:
    """Makes segments `rate` times as fast, and leaves their pitch (Flanagan and Golden 1966; Ellis 2002, "pvoc").

    Frame t of the result has the magnitudes of the segment at frame t · rate, interpolated, and turns its phases as the segment
    does from there to its next frame.

    Args:
        segments: (n_segments, n_samples), n_samples being 2048 and a multiple of 512.
        rate: Factor of the tempo.

    Returns:
        (n_segments, n_stretched). Sample 1024 of it is that of the segment; where fewer than four frames overlap, which is in
        the first 1536 samples, it fades in. It ends before it would fade out.
    """
    frames = np.lib.stride_tricks.sliding_window_view(segments, _N_FFT, axis=-1)[:, ::_HOP]
    spectra = scipy.fft.rfft(frames * _WINDOW)  # (n_segments, n_frames, _N_FFT // 2 + 1) complex64
    magnitudes = np.abs(spectra)
    # A bin that is silent has no phase. What is next to silent would have one of no more than a few bits.
    audible = magnitudes > np.finfo(np.float32).tiny
    phases = np.divide(spectra, magnitudes, out=np.ones_like(spectra), where=audible)
    turns = phases[:, 1:] * phases[:, :-1].conj()

    steps = np.arange(math.ceil((frames.shape[1] - 1) / rate)) * rate
    steps = steps[steps < frames.shape[1] - 1]
    at = steps.astype(np.int64)
    weight = (steps - at).astype(np.float32)[:, np.newaxis]
    stretched = np.empty((len(segments), len(at), spectra.shape[-1]), dtype=spectra.dtype)
    stretched[:, 0] = phases[:, 0]
    stretched[:, 1:] = turns[:, at[:-1]]
    for before, after in pairwise(stretched.swapaxes(0, 1)):  # a third of the time of np.cumprod along that axis
        after *= before
    stretched *= (1 - weight) * magnitudes[:, at] + weight * magnitudes[:, at + 1]
    return _overlap_add(scipy.fft.irfft(stretched, _N_FFT) * _SYNTHESIS_WINDOW)


def _overlap_add(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Adds frames (n_segments, n_frames, _N_FFT) that are _HOP apart: (n_segments, n_frames · _HOP), without the fading end."""
    n_segments, n_frames, _ = frames.shape
    hops = frames.reshape(n_segments, n_frames, _N_FFT // _HOP, _HOP)
    total = hops[:, :, 0].copy()
    for number in range(1, _N_FFT // _HOP):
        total[:, number:] += hops[:, :-number, number]
    return total.reshape(n_segments, -1)
