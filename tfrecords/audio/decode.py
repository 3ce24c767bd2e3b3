"""A whole audio file to a mono waveform."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from tfrecords.audio.files import AudioSource, as_file
from tfrecords.audio.resample import resampled_length
from tfrecords.audio.sound import Sound, mono, sixteen_bits

# What is decoded whole: ten minutes at 48 kHz, 115 MB as a waveform.
MOST_FRAMES = 600 * 48_000
# Samples of all channels in a block, where the length is not known or several channels are averaged.
_BLOCK_SAMPLES = 1 << 21
_DIGEST_SECONDS = 600


@dataclass(frozen=True, kw_only=True, eq=False)
class Audio:
    """A decoded file.

    Attributes:
        waveform: (n_samples,) float32; integer formats lie in ±1.
        blake3: Digest of what it sounds like, whatever file it came in: BLAKE3 of the samples, rounded to 16 bits. The same
            recording as WAV, AU or FLAC, with 16 bits or more, has the same digest; once through a lossy codec it has another.
            Of more than ten minutes, the first ten and the number of samples count.
        announced_samples: How long the waveform would be by the file's header, where that is longer: a file that was cut off.
    """

    waveform: NDArray[np.float32]
    blake3: str
    announced_samples: int | None = None

    @property
    def n_samples(self) -> int:
        """Length of the waveform."""
        return len(self.waveform)

    def segments(self, firsts: NDArray[np.int64], *, n_samples: int) -> NDArray[np.float32]:
        """Equally long segments that begin at `firsts` (n,), in samples: (n, n_samples), zeros before and after the track."""
        segments = np.zeros((len(firsts), n_samples), dtype=np.float32)
        place(self.waveform, 0, segments=segments, firsts=firsts)
        return segments


def place(part: NDArray[np.float32], position: int, *, segments: NDArray[np.float32], firsts: NDArray[np.int64]) -> None:
    """Copies what a part of a waveform, which begins at sample `position` of it, has of segments that begin at `firsts`."""
    for segment, first in zip(segments, firsts.tolist(), strict=True):
        begin, end = max(first, position), min(first + len(segment), position + len(part))
        if begin < end:
            segment[begin - first : end - first] = part[begin - position : end - position]


class Digest:
    """The digest of a waveform that comes in parts.

    Attributes:
        n_samples: That have come.
    """

    def __init__(self, *, sample_rate: int) -> None:
        self.n_samples = 0
        self._most = _DIGEST_SECONDS * sample_rate
        self._hash = blake3()

    def add(self, samples: NDArray[Any]) -> None:
        """Takes the next samples (n_samples,): int16, or float32 in ±1."""
        if (n_missing := self._most - self.n_samples) > 0:
            heard = samples[:n_missing]
            rounded = heard if heard.dtype == np.int16 else sixteen_bits(heard)
            self._hash.update(np.ascontiguousarray(rounded, dtype="<i2").view(np.uint8).data)
        self.n_samples += len(samples)

    @property
    def is_full(self) -> bool:
        """Whether no more samples count, but for their number."""
        return self.n_samples >= self._most

    def of(self, n_samples: int) -> str:
        """The digest of a track of so many samples, the first ten minutes of which have come."""
        if n_samples > self._most:
            self._hash.update(n_samples.to_bytes(8, "little"))
        return self._hash.hexdigest()


def decode_audio(source: AudioSource, *, sample_rate: int) -> Audio:
    """Decodes a whole file (WAV, AU, FLAC, OGG, Opus, MP3, AIFF, CAF: what libsndfile reads, or PyAV) to a mono waveform.

    Several channels are averaged. Another sample rate is resampled with soxr's HQ setting, as `librosa.load` does.

    Args:
        source: The file or its path, its bytes, or samples with their rate.
        sample_rate: Sample rate of the result, in Hz.

    Raises:
        UnusableAudioError: If it does not decode, holds no samples, or samples or a sample rate out of all range.
    """
    with as_file(source) as file, Sound.opened(file) as sound:
        return audio_of(sound, list(parts_of(sound)), sample_rate=sample_rate)


def parts_of(sound: Sound) -> Iterator[NDArray[Any]]:
    """Decodes a file to parts of the mean of its channels, (n_samples, 1): int16 where it is one of 16 bits, else float32."""
    if sound.n_channels == 1:
        # In one piece, as almost every file can be.
        return sound.blocks(sound.announced_frames or _BLOCK_SAMPLES)
    return (mono(block)[:, np.newaxis] for block in sound.blocks(_BLOCK_SAMPLES // sound.n_channels))


def audio_of(sound: Sound, parts: list[NDArray[Any]], *, sample_rate: int) -> Audio:
    """What a file's parts, all of them, are at a sample rate in Hz."""
    channel = parts[0] if len(parts) == 1 else np.concatenate(parts)  # (n_samples, 1)
    announced = sound.announced_beyond(len(channel))
    waveform = mono(channel)
    heard = channel[:, 0]
    if sound.sample_rate != sample_rate:
        import librosa  # takes a second to import, and GTZAN needs no resampling

        heard = waveform = librosa.resample(waveform, orig_sr=sound.sample_rate, target_sr=sample_rate, res_type="soxr_hq")
    digest = Digest(sample_rate=sample_rate)
    digest.add(heard)
    return Audio(
        waveform=waveform,
        blake3=digest.of(len(waveform)),
        announced_samples=None if announced is None else resampled_length(announced, sound.sample_rate, sample_rate),
    )
