"""Audio files of any length to a mono waveform, block by block: what `decode_audio` makes of the whole, in bounded memory."""

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from tfrecords.audio.resample import Resampler, resampled_length
from tfrecords.audio.sound import Sound, mono

_BLOCK_SECONDS = 30
# Samples of all channels, whatever the header says of rate and channels.
_LARGEST_BLOCK = 1 << 24


def waveform_blocks(file: BinaryIO, *, sample_rate: int) -> Iterator[NDArray[np.float32]]:
    """Decodes a file once.

    Args:
        file: Open for reading, with a descriptor.
        sample_rate: Sample rate of the result, in Hz.

    Yields:
        (n_samples,) float32, about half a minute each; one after the other they are the waveform of `decode_audio`.

    Raises:
        UnusableAudioError: Where `decode_audio` would, in its words; at the block that shows it.
    """
    with Sound.opened(file) as sound:
        yield from blocks_of(sound, sample_rate=sample_rate)


def blocks_of(sound: Sound, *, sample_rate: int) -> Iterator[NDArray[np.float32]]:
    """What `waveform_blocks` yields, of a file that was opened."""
    blocks = map(mono, sound.blocks(min(_BLOCK_SECONDS * sound.sample_rate, _LARGEST_BLOCK // sound.n_channels)))
    if sound.sample_rate == sample_rate:
        yield from blocks
        return
    resampler = Resampler(sound.sample_rate, sample_rate)
    yield from map(resampler.add, blocks)
    yield resampler.rest()


def announced_samples(file: BinaryIO, *, sample_rate: int) -> int | None:
    """How long the waveform will be by the file's header; None if that tells no length.

    Raises:
        UnusableAudioError: If the header does not decode, or is out of all range.
    """
    with Sound.opened(file) as sound:
        if sound.announced_frames is None:
            return None
        return resampled_length(sound.announced_frames, sound.sample_rate, sample_rate)
