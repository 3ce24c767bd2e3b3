"""AAC, M4A, WebM and the like, which FFmpeg decodes: PyAV's wheels bring their own, the same for all who install a version.

What a file says of its encoder's delay is cut off its beginning, as FFmpeg does by itself: in MP4 and Matroska. ADTS, the bare
AAC of `.aac` files, says nothing, and begins with the 1024 or more samples of silence that its encoder began with.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import av
import numpy as np
from numpy.typing import NDArray

from tfrecords.audio.errors import UnusableAudioError
from tfrecords.audio.header import UNKNOWN_FRAMES

# FFmpeg's other formats of integer samples: which of them is silence, and full scale.
_INTEGERS = {"u8": (2**7, 2.0**7), "s32": (0, 2.0**31), "s64": (0, 2.0**63)}
# A duration may count the encoder's delay.
_DELAY_SECONDS = 0.2


class PyAvFile:
    """The first audio track of a file, read from its beginning: with the members of `soundfile.SoundFile` that are used here.

    Attributes:
        samplerate: In Hz, of what is decoded: a header may tell half of it, in HE-AAC.
        channels: Likewise their number.
        frames: That their number is unknown: FFmpeg's is of the encoder's blocks, or an estimate.
        format: FFmpeg's name of the demuxer.
        subtype: "PCM_16" for lossless 16 bit, else "FLOAT".
    """

    frames = UNKNOWN_FRAMES

    def __init__(self, descriptor: int, *, demuxer: str) -> None:
        """Opens a file as what its first bytes are: what FFmpeg guesses may be a playlist, which leads to other files.

        Raises:
            UnusableAudioError: If it does not decode, or holds no audio.
        """
        self.format = demuxer
        with _decoding():
            self._container = av.open(io.FileIO(descriptor, closefd=False), format=demuxer, metadata_errors="ignore")
            streams = self._container.streams.audio
            if not streams:
                raise UnusableAudioError("no audio", "holds no audio")
            self._frames = self._container.decode(streams[0])
            first = next(self._frames, None)
        if first is None:
            raise UnusableAudioError("no samples", "holds no samples")
        self.samplerate, self.channels = first.sample_rate, first.layout.nb_channels
        self.subtype = "PCM_16" if first.format.name in ("s16", "s16p") else "FLOAT"
        self._format = first.format.name
        self._held = self._samples_of(first)
        self._n_read = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def samples(self, n_frames: int) -> NDArray[Any]:
        """The next samples, (n_samples, n_channels) int16 or float32; fewer than `n_frames` where the file ends.

        Raises:
            UnusableAudioError: If they do not decode.
        """
        parts, n_held = [self._held], len(self._held)
        with _decoding():
            while n_held < n_frames and (frame := self._next()) is not None:
                parts.append(self._samples_of(frame))
                n_held += len(parts[-1])
        held = np.concatenate(parts)
        self._held = held[n_frames:]
        self._n_read += min(n_held, n_frames)
        return held[:n_frames]

    def _next(self) -> av.AudioFrame | None:
        """The next frame; none after a packet that was cut off, or before what stands behind the last one."""
        try:
            return next(self._frames, None)
        except av.error.InvalidDataError:
            self._frames = iter(())
            return None

    @property
    def announced(self) -> int | None:
        """Samples of each channel by the file's duration, if clearly more than were read; that need not be exact."""
        if self._container.duration is None:
            return None
        seconds = self._container.duration / av.time_base
        is_cut = seconds - self._n_read / self.samplerate > _DELAY_SECONDS
        return round(seconds * self.samplerate) if is_cut else None

    def _samples_of(self, frame: av.AudioFrame) -> NDArray[Any]:
        if (frame.sample_rate, frame.layout.nb_channels, frame.format.name) != (self.samplerate, self.channels, self._format):
            raise UnusableAudioError("does not decode", "does not decode: its sample rate, channels or format change midway")
        values = frame.to_ndarray()
        values = values.T if frame.format.is_planar else values.reshape(-1, self.channels)  # (n_samples, n_channels)
        if self.subtype == "PCM_16":
            return values
        if values.dtype.kind == "f":
            return values.astype(np.float32)
        middle, full_scale = _INTEGERS[self._format.removesuffix("p")]
        return ((values.astype(np.float64) - middle) / full_scale).astype(np.float32)


@contextmanager
def _decoding() -> Iterator[None]:
    """Says why a file does not decode. The disk's own errors pass."""
    try:
        yield
    except av.FFmpegError as error:
        raise UnusableAudioError("does not decode", f"does not decode: {error.strerror or type(error).__name__}") from error
