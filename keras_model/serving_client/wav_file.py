"""Audio files of any format to the WAV files that a served model reads."""

import io
import itertools
from dataclasses import dataclass
from typing import BinaryIO

import soundfile

from tfrecords.audio import Sound, UnusableAudioError

# What keras_model.serving.wav_graph reads of a WAV file; others, ADPCM for instance, are decoded here.
_SERVED_CODECS = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW")
_MAGIC = (b"RIFF", b"RIFX", b"RF64")
_HEAD_BYTES = 12
# gRPC's messages end at 2 GiB, and a WAV file's own sizes at 4.
_MAX_BYTES = 2**31 - 2**20
_BLOCK_FRAMES = 1 << 18


@dataclass(frozen=True, kw_only=True, eq=False)
class WavFile:
    """What is sent.

    Attributes:
        data: The file's bytes.
        seconds: Its duration; None where its header does not tell.
    """

    data: bytes
    seconds: float | None


def wav_file(file: BinaryIO) -> WavFile:
    """A WAV file as it is, and any other as a WAV file of the same samples, sample rate and channels.

    16-bit samples stay 16 bit; others, those of lossy formats included, become float32, in which they are decoded, so that the
    served model hears what prediction on this machine would.

    Args:
        file: Open for reading; a file on a disk, or BytesIO.

    Raises:
        UnusableAudioError: If it does not decode and is no WAV file, or is too long to be sent. What is wrong with a WAV file is
            for the server to say.
        OSError: If it cannot be read.
    """
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    n_bytes = file.seek(0, io.SEEK_END)
    if head[:4] in _MAGIC and head[8:] == b"WAVE":
        _check_size(n_bytes)
        file.seek(0)
        data = file.read()
        try:
            info = soundfile.info(io.BytesIO(data))
        except (soundfile.SoundFileError, RuntimeError):
            return WavFile(data=data, seconds=None)
        if info.subtype in _SERVED_CODECS:
            return WavFile(data=data, seconds=info.frames / info.samplerate if info.frames else None)
    return _converted(file)


def _converted(file: BinaryIO) -> WavFile:
    wav, n_frames = io.BytesIO(), 0
    with Sound.opened(file) as sound:
        blocks = sound.blocks(_BLOCK_FRAMES)
        first = next(blocks)
        subtype = "PCM_16" if first.dtype.kind == "i" else "FLOAT"
        with soundfile.SoundFile(wav, "w", sound.sample_rate, sound.n_channels, subtype=subtype, format="WAV") as writer:
            for block in itertools.chain([first], blocks):
                _check_size(wav.tell() + block.nbytes)
                writer.write(block)
                n_frames += len(block)
        return WavFile(data=wav.getvalue(), seconds=n_frames / sound.sample_rate)


def _check_size(n_bytes: int) -> None:
    if n_bytes > _MAX_BYTES:
        raise UnusableAudioError("too long", f"is too long to be sent: {n_bytes} bytes as WAV, at most {_MAX_BYTES}")
