"""The header of a WAV file in stock TensorFlow operations: what its samples are and where they lie.

Where nothing is said of it, odd and damaged headers are read as libsndfile reads them.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from keras_model.serving.wav_samples import A_LAW, FLOAT_32, FLOAT_64, MU_LAW, PCM_24, SAMPLE_BYTES, UNKNOWN, codec_of_24_bit
from tfrecords.audio import SAMPLE_RATES_HZ

# As many as libsndfile takes.
_LARGEST_N_CHANNELS = 1024
# Files have a handful before their samples. Without a limit, a file of nothing but empty chunks would take a minute.
_LARGEST_N_CHUNKS = 1024
_UNKNOWN_SIZE = 0xFFFFFFFF
_FMT_BYTES, _EXTENSIBLE_FMT_BYTES = 16, 40
_PCM, _FLOAT, _A_LAW, _MU_LAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
# In an extensible header's GUID after the format: two numbers and eight bytes. Microsoft's own, and Ambisonic B.
_GUIDS = (
    (0x0000, 0x0010, (0x80, 0x00, 0x00, 0xAA, 0x00, 0x38, 0x9B, 0x71)),
    (0x0721, 0x11D3, (0x86, 0x44, 0xC8, 0xC1, 0xCA, 0x00, 0x00, 0x00)),
)
_TAKEN = "PCM of up to 32 bits, float of 32 or 64 bits, A-law and µ-law"


class Layout(NamedTuple):
    """How the samples lie in a file. All are scalars, and of use only where there is no error.

    Attributes:
        error: String, empty where the samples can be decoded.
        codec: int32, of those in keras_model.serving.wav_samples.
        big_endian: Bool, whether the most significant byte comes first.
        n_channels: int32.
        sample_rate: int32, in Hz.
        offset: int64, where in the file they begin.
        n_bytes: int64, of whole frames that are in the file.
    """

    error: tf.Tensor
    codec: tf.Tensor
    big_endian: tf.Tensor
    n_channels: tf.Tensor
    sample_rate: tf.Tensor
    offset: tf.Tensor
    n_bytes: tf.Tensor


class _Chunks(NamedTuple):
    """Where in the file the bodies of chunks begin, -1 for one that was not met: scalars of int64."""

    position: tf.Tensor  # of the next chunk
    n_chunks: tf.Tensor
    ds64: tf.Tensor
    fmt: tf.Tensor
    data: tf.Tensor


class _Format(NamedTuple):
    """The numbers in the fmt chunk: scalars of int64."""

    n_bytes: tf.Tensor  # of the chunk
    tag: tf.Tensor
    n_channels: tf.Tensor
    sample_rate: tf.Tensor
    frame_bytes: tf.Tensor
    bits: tf.Tensor
    is_extensible: tf.Tensor


def read_layout(data: tf.Tensor) -> Layout:
    """Reads the header of a file (a scalar string) that begins as a WAV file does; no other bytes make it raise either."""
    big_endian = cut(data, 0, 4) == b"RIFX"
    chunks = _find_chunks(data, big_endian=big_endian)
    form = _read_format(data, chunks.fmt, big_endian=big_endian)
    available = _size_of_samples(data, chunks, big_endian=big_endian)
    codec = _codec(form)
    claims_four = (codec == PCM_24) & (form.frame_bytes == 4 * form.n_channels)
    codec = tf.cond(claims_four, lambda: codec_of_24_bit(cut(data, chunks.data, available), big_endian=big_endian), lambda: codec)
    frame_bytes = form.n_channels * tf.gather(tf.constant(SAMPLE_BYTES, tf.int64), codec)
    n_bytes = available - available % tf.maximum(frame_bytes, 1)
    low, high = SAMPLE_RATES_HZ
    fmt_bytes = tf.where(form.is_extensible, tf.constant(_EXTENSIBLE_FMT_BYTES, tf.int64), _FMT_BYTES)
    start = cut(data, chunks.data, 4)
    error = first_of(
        (chunks.fmt < 0, "does not decode: its fmt chunk is missing"),
        (form.n_bytes < fmt_bytes, _say("does not decode: its fmt chunk has ", form.n_bytes, " bytes, expected ", fmt_bytes)),
        (chunks.data < 0, "does not decode: its data chunk is missing"),
        (codec == UNKNOWN, _say("has ", form.bits, "-bit samples of WAV format ", form.tag, f"; this model takes {_TAKEN}")),
        (
            (form.n_channels < 1) | (form.n_channels > _LARGEST_N_CHANNELS),
            _say("has ", form.n_channels, f" channels, expected 1 to {_LARGEST_N_CHANNELS}"),
        ),
        (
            (form.sample_rate < low) | (form.sample_rate > high),
            _say("has a sample rate of ", form.sample_rate, f" Hz, expected {low} to {high}"),
        ),
        ((start == b"wvpk") | (start == b"OggS"), "does not decode: its samples are WavPack or Ogg"),
        (n_bytes < 1, "holds no samples"),
        default="",
    )
    n_channels, sample_rate = tf.cast(form.n_channels, tf.int32), tf.cast(form.sample_rate, tf.int32)
    return Layout(error, codec, big_endian, n_channels, sample_rate, chunks.data, n_bytes)


def _find_chunks(data: tf.Tensor, *, big_endian: tf.Tensor) -> _Chunks:
    """Walks from chunk to chunk up to the samples: the first data chunk, where libsndfile takes the last or fails."""
    length = tf.cast(tf.strings.length(data), tf.int64)

    def more(chunks: _Chunks) -> tf.Tensor:
        return (chunks.position + 8 <= length) & (chunks.data < 0) & (chunks.n_chunks < _LARGEST_N_CHUNKS)

    def step(chunks: _Chunks) -> tuple[_Chunks]:
        name, body = cut(data, chunks.position, 4), chunks.position + 8
        size = _number(_octets(data, chunks.position + 4, 4), big_endian=big_endian)

        def first(wanted: bytes, before: tf.Tensor) -> tf.Tensor:
            return tf.where((name == wanted) & (before < 0), body, before)

        found = (first(b"ds64", chunks.ds64), first(b"fmt ", chunks.fmt), first(b"data", chunks.data))
        return (_Chunks(body + size + size % 2, chunks.n_chunks + 1, *found),)  # an odd chunk has a byte of padding

    start = _Chunks(*(tf.constant(value, tf.int64) for value in (12, 0, -1, -1, -1)))
    (chunks,) = tf.while_loop(more, step, (start,))
    return chunks


def _size_of_samples(data: tf.Tensor, chunks: _Chunks, *, big_endian: tf.Tensor) -> tf.Tensor:
    """Bytes of samples that are there, as a scalar int64; 0 without a data chunk.

    A program that writes to a pipe, or was killed, leaves the size 0 or at its largest, and what follows is samples. libsndfile
    takes 0 for an unknown size only where the size of the whole is 8. Here it is one too if the whole claims to end before the
    samples, or is unknown as well, as it is in what FFmpeg, SoX and Python's wave write; an empty recording claims more.
    """
    length = tf.cast(tf.strings.length(data), tf.int64)
    is_rf64 = (cut(data, 0, 4) == b"RF64") & (chunks.ds64 >= 0)
    whole = _number(_octets(data, 4, 4), big_endian=big_endian)
    size = _number(_octets(data, chunks.data - 4, 4), big_endian=big_endian)
    whole_64 = _number(_octets(data, chunks.ds64, 8), big_endian=big_endian)
    size_64 = _number(_octets(data, chunks.ds64 + 8, 8), big_endian=big_endian)
    is_unknown = (size == _UNKNOWN_SIZE) & ~is_rf64
    whole, size = tf.where(is_rf64, whole_64, whole), tf.where(is_rf64, size_64, size)
    is_unfilled = (size == 0) & ((whole + 8 <= chunks.data) | (whole == _UNKNOWN_SIZE))
    # Eight bytes of 64-bit size can be negative here.
    available = tf.where(chunks.data < 0, tf.constant(0, tf.int64), length - chunks.data)
    return tf.where(is_unknown | is_unfilled | (size < 0), available, tf.minimum(size, available))


def _read_format(data: tf.Tensor, position: tf.Tensor, *, big_endian: tf.Tensor) -> _Format:
    octets = _octets(data, position, _EXTENSIBLE_FMT_BYTES)

    def number(start: int, n_bytes: int) -> tf.Tensor:
        return _number(octets[start : start + n_bytes], big_endian=big_endian)

    tag = number(0, 2)
    is_extensible = tag == _EXTENSIBLE
    known = [(number(28, 2) == one) & (number(30, 2) == two) & tf.reduce_all(octets[32:] == rest) for one, two, rest in _GUIDS]
    return _Format(
        n_bytes=_number(_octets(data, position - 4, 4), big_endian=big_endian),
        tag=tf.where(is_extensible & tf.reduce_any(known), number(24, 4), tag),
        n_channels=number(2, 2),
        sample_rate=number(4, 4),
        frame_bytes=number(12, 2),
        bits=number(14, 2),
        is_extensible=is_extensible,
    )


def _codec(form: _Format) -> tf.Tensor:
    """The codec by the header, a scalar int32. Bytes a frame are not looked at: where they differ, the bits are right."""
    sample_bytes = tf.cast((form.bits + 7) // 8, tf.int32)
    return first_of(
        ((form.tag == _PCM) & (sample_bytes <= 4), sample_bytes),  # a codec of as many bytes; none of no byte
        ((form.tag == _FLOAT) & (sample_bytes == 4), FLOAT_32),
        ((form.tag == _FLOAT) & (sample_bytes == 8), FLOAT_64),
        (form.tag == _A_LAW, A_LAW),
        (form.tag == _MU_LAW, MU_LAW),
        default=UNKNOWN,
    )


def first_of(*cases: tuple[tf.Tensor, Any], default: Any) -> tf.Tensor:
    """The value of the first case whose condition, a scalar bool, is true."""
    value = tf.constant(default)
    for condition, answer in reversed(cases):
        value = tf.where(condition, answer, value)
    return value


def cut(data: tf.Tensor, position: Any, n_bytes: Any) -> tf.Tensor:
    """Bytes of a scalar string, as a scalar string: fewer or none where it ends before."""
    inside = tf.clip_by_value(tf.cast(position, tf.int64), 0, tf.cast(tf.strings.length(data), tf.int64))
    return tf.strings.substr(data, inside, tf.cast(n_bytes, tf.int64))


def _octets(data: tf.Tensor, position: Any, n_bytes: int) -> tf.Tensor:
    """Bytes of a scalar string, (n_bytes,) int64; zeros where it ends before."""
    return tf.cast(tf.io.decode_raw(cut(data, position, n_bytes), tf.uint8, fixed_length=n_bytes), tf.int64)


def _number(octets: tf.Tensor, *, big_endian: tf.Tensor) -> tf.Tensor:
    """An unsigned number of (n_bytes,) int64, as a scalar int64; of eight bytes the largest come out negative."""
    little = [256**place for place in range(octets.shape[0])]
    places = tf.where(big_endian, tf.constant(little[::-1], tf.int64), tf.constant(little, tf.int64))
    return tf.reduce_sum(octets * places)


def _say(*parts: Any) -> tf.Tensor:
    return tf.strings.join([part if isinstance(part, str) else tf.strings.as_string(part) for part in parts])
