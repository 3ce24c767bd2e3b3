"""Tracks of hours: what is asked for of them, in bounded memory."""

import math
from typing import Any, BinaryIO

import numpy as np
import soxr
from numpy.typing import NDArray

from tfrecords.audio.decode import MOST_FRAMES, Audio, Digest, audio_of, parts_of, place
from tfrecords.audio.errors import UnusableAudioError
from tfrecords.audio.resample import resampled_length
from tfrecords.audio.sound import Sound, mono
from tfrecords.audio.stream import blocks_of, waveform_blocks

# Samples, at either rate, beyond which a sample plays no part in what soxr makes of its neighbours.
_RESAMPLER_REACH = 1024
# A header's length is believed once as many can be read before it.
_LAST_FRAMES = 4096


class LongAudio:
    """A track that is too long for the memory, with what `Audio` says of it; its file must stay open while segments are cut.

    Where the format seeks exactly (PCM and floats in any container, FLAC) only the first ten minutes, the end, and the segments
    are decoded: what is damaged elsewhere is not seen. A resampled segment then differs from the whole track's by rounding, 1e-6
    at most. All else is decoded from its beginning, each time that segments are cut.

    Attributes:
        n_samples: Length of the waveform.
        blake3: Its digest.
        announced_samples: As that of `Audio`.
    """

    def __init__(self, file: BinaryIO, *, sample_rate: int) -> None:
        """Finds length and digest.

        Raises:
            UnusableAudioError: If the file does not decode, as far as it is.
        """
        self._file = file
        self._sample_rate = sample_rate
        with Sound.opened(file) as sound:
            self._seeks = _seeks_to_its_end(sound)
        digest = Digest(sample_rate=sample_rate)
        with Sound.opened(file) as sound:
            for block in blocks_of(sound, sample_rate=sample_rate):
                digest.add(block)
                if self._seeks and digest.is_full:
                    break
            n_frames = (sound.announced_frames or 0) if self._seeks else sound.n_read
            announced = sound.announced_beyond(n_frames)
            self.n_samples = resampled_length(n_frames, sound.sample_rate, sample_rate)
            self.announced_samples = announced and resampled_length(announced, sound.sample_rate, sample_rate)
        self.blake3 = digest.of(self.n_samples)

    def segments(self, firsts: NDArray[np.int64], *, n_samples: int) -> NDArray[np.float32]:
        """As those of `Audio`.

        Raises:
            UnusableAudioError: If they do not decode.
        """
        segments = np.zeros((len(firsts), n_samples), dtype=np.float32)
        if self._seeks:
            with Sound.opened(self._file) as sound:
                for row, first in enumerate(firsts.tolist()):
                    begin, end = max(first, 0), min(first + n_samples, self.n_samples)
                    if begin < end:
                        place(self._cut(sound, begin, end), begin, segments=segments[row : row + 1], firsts=firsts[row : row + 1])
            return segments
        position, last = 0, firsts.max(initial=0) + n_samples
        for block in waveform_blocks(self._file, sample_rate=self._sample_rate):
            place(block, position, segments=segments, firsts=firsts)
            position += len(block)
            if position >= last:
                break
        return segments

    def _cut(self, sound: Sound, begin: int, end: int) -> NDArray[np.float32]:
        """The waveform from sample `begin` to sample `end`, (end - begin,)."""
        if sound.sample_rate == self._sample_rate:
            return mono(sound.read_at(begin, end - begin))
        common = math.gcd(sound.sample_rate, self._sample_rate)
        down, up = sound.sample_rate // common, self._sample_rate // common
        # It begins where a sample of the file and one of the waveform fall together, or all would be shifted by a part of one.
        first = max(0, (begin - _RESAMPLER_REACH) // up - math.ceil(_RESAMPLER_REACH / down))
        last = math.ceil((end + _RESAMPLER_REACH) * down / up) + _RESAMPLER_REACH
        part = mono(sound.read_at(first * down, last - first * down))
        resampled: NDArray[np.float32] = soxr.resample(part, sound.sample_rate, self._sample_rate, quality="HQ")
        return resampled[begin - first * up : end - first * up]


def _seeks_to_its_end(sound: Sound) -> bool:
    """Whether a file's samples can be had from anywhere in it, to the last that its header announces."""
    if sound.announced_frames is None or not sound.seeks_exactly:
        return False
    n_frames = min(_LAST_FRAMES, sound.announced_frames)
    try:
        return len(sound.read_at(sound.announced_frames - n_frames, n_frames)) == n_frames
    except UnusableAudioError:  # which decoding it from the beginning will tell
        return False


def read_audio(file: BinaryIO, *, sample_rate: int) -> Audio | LongAudio:
    """Decodes a file whole, as `decode_audio` does; or, where that is too long for the memory, finds out what it holds.

    Args:
        file: Open for reading, with a descriptor.
        sample_rate: Sample rate of the waveform, in Hz.

    Raises:
        UnusableAudioError: Where `decode_audio` would.
    """
    with Sound.opened(file) as sound:
        if parts := _short_parts(sound):
            return audio_of(sound, parts, sample_rate=sample_rate)
    return LongAudio(file, sample_rate=sample_rate)


def _short_parts(sound: Sound) -> list[NDArray[Any]]:
    """All parts of a file that fits into the memory; none of another."""
    if (sound.announced_frames or 0) > MOST_FRAMES:
        return []
    parts = []
    for part in parts_of(sound):
        if sound.n_read > MOST_FRAMES:
            return []
        parts.append(part)
    return parts
