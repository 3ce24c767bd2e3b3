"""WAV files by hand, byte by byte: the headers that no library writes."""

import io
import struct
from typing import Any

import numpy as np
import soundfile
import tensorflow as tf
from numpy.typing import NDArray

from keras_model.serving.wav_graph import decode_wav
from tfrecords.audio import UnusableAudioError, decode_audio

RATE = 22050
# The end of a GUID, after the format.
MICROSOFT = bytes.fromhex("000000001000800000aa00389b71")
AMBISONIC = bytes.fromhex("00002107d3118644c8c1ca000000")
# 50 samples, and what they are in a waveform.
PCM = np.arange(1, 51, dtype="<i2").tobytes()
RAMP = np.arange(1, 51) / np.float32(32768)

_decode = tf.function(decode_wav, input_signature=[tf.TensorSpec((), tf.string)])


def decoded(data: bytes) -> tuple[NDArray[np.float32], int, str]:
    """Waveform (n_samples,) float32, sample rate in Hz and error of the traced graph."""
    audio = _decode(tf.constant(data))
    return audio.waveform.numpy(), int(audio.sample_rate), audio.error.numpy().decode()


def by_the_pipeline(data: bytes) -> NDArray[np.float32] | None:
    """What the pipeline makes of a file at its own sample rate, (n_samples,) float32; None if it refuses it."""
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            sample_rate = file.samplerate
        return decode_audio(data, sample_rate=sample_rate).waveform
    except (UnusableAudioError, soundfile.LibsndfileError):
        return None


def chunk(name: bytes, body: bytes = b"", *, size: int | None = None) -> bytes:
    """A chunk, padded to an even length; `size` is what it claims to have."""
    return name + struct.pack("<I", len(body) if size is None else size) + body + bytes(len(body) % 2)


def fmt(*, tag: int = 1, channels: int = 1, rate: int = RATE, bits: int = 16, **others: Any) -> bytes:
    """A fmt chunk; `frame_bytes` and `extra` bytes at its end may be given too."""
    frame_bytes = others.get("frame_bytes", channels * ((bits + 7) // 8)) % 65536
    body = struct.pack("<HHIIHH", tag, channels, rate, rate * frame_bytes % 2**32, frame_bytes, bits)
    return chunk(b"fmt ", body + others.get("extra", b""))


def extensible(*, tag: int = 1, bits: int = 16, guid: bytes = MICROSOFT) -> bytes:
    """A fmt chunk of WAVE_FORMAT_EXTENSIBLE."""
    return fmt(tag=0xFFFE, bits=bits, extra=struct.pack("<HHIH", 22, bits, 4, tag) + guid)


def ds64(n_bytes: int, *, whole: int = 0) -> bytes:
    """RF64's chunk of long sizes."""
    return chunk(b"ds64", struct.pack("<QQQI", whole, n_bytes, 0, 0))


def wav(*chunks: bytes, form: bytes = b"RIFF", size: int | None = None) -> bytes:
    """A file of chunks; `size` is what it claims to have."""
    body = b"WAVE" + b"".join(chunks)
    return form + struct.pack("<I", len(body) if size is None else size) + body


def written(samples: NDArray[Any], *, container: str = "WAV", subtype: str = "PCM_16", **others: Any) -> bytes:
    """A file as libsndfile writes it; `sample_rate` may be given too."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, others.get("sample_rate", RATE), format=container, subtype=subtype)
    return buffer.getvalue()
