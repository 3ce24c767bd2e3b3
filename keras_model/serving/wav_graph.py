"""WAV bytes to a waveform in stock TensorFlow operations, for the served model; the twin of tfrecords.audio.

PCM of up to 32 bits and floating point in RIFF and RF64 are read as libsndfile reads them. Other bytes are answered with words
instead of an exception, which would fail every other file of its batch.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from keras_model.serving.graph_parts import first_error, in_blocks, out_of_range, say_if
from tfrecords.audio.formats import MAGIC_BYTES

# Where in the file, which bytes, and the format's name.
_OTHER = (*MAGIC_BYTES, (0, b"OggS", "Ogg"), (0, b"FORM", "AIFF"), (0, b".snd", "AU"), (0, b"caff", "CAF"))
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_LARGEST_N_CHANNELS = 1024  # as many as libsndfile takes
# Files have a handful before their samples. Without a limit, a file of nothing but empty chunks would take a minute.
_LARGEST_N_CHUNKS = 1024
_UNKNOWN_SIZE = 0xFFFFFFFF
# What stands after an extensible format's number: Microsoft's, and that of ambisonic files.
_GUIDS = tuple(map(bytes.fromhex, ("000000001000800000aa00389b71", "00002107d3118644c8c1ca000000")))
# Samples of all channels that are decoded at once.
_BLOCK_SAMPLES = 1 << 20


class WavAudio(NamedTuple):
    """A decoded file, or one line that says why it does not decode."""

    waveform: tf.Tensor  # (n_samples,) float32, the mean of the channels; empty where there is an error
    sample_rate: tf.Tensor  # scalar int32, in Hz, as the header has it
    error: tf.Tensor  # scalar string, empty where there is none


def decode_wav(data: tf.Tensor) -> WavAudio:
    """Decodes the bytes of a whole WAV file, a scalar string; none whatever make it raise."""
    with tf.device("CPU:0"):  # a GPU would take longer to start on each of the header's numbers than to read them
        fmt, samples, n_bytes = _find_samples(data)
        tag, n_channels, sample_rate, frame_bytes, bits = (
            _number(data, fmt + place, n) for place, n in ((0, 2), (2, 2), (4, 4), (12, 2), (14, 2))
        )
        guid = _cut(data, fmt + 26, 14)
        is_known = (guid == _GUIDS[0]) | (guid == _GUIDS[1])
        tag = tf.where((tag == _EXTENSIBLE) & is_known, _number(data, fmt + 24, 2), tag)  # where its GUID begins
        sample_bytes = (bits + 7) // 8
        is_pcm = (tag == _PCM) & (sample_bytes >= 1) & (sample_bytes <= 4)
        is_float = (tag == _FLOAT) & ((sample_bytes == 4) | (sample_bytes == 8))
        n_samples = n_bytes // tf.maximum(frame_bytes, 1)
        error = first_error(
            _not_wav(data),
            say_if(fmt < 0, "does not decode: its fmt chunk is missing"),
            say_if(samples < 0, "does not decode: its data chunk is missing"),
            say_if(
                ~(is_pcm | is_float),
                *("has ", bits, "-bit samples of WAV format ", tag),
                "; this model takes PCM of up to 32 bits and float of 32 or 64 bits",
            ),
            say_if(
                (n_channels < 1) | (n_channels > _LARGEST_N_CHANNELS),
                *("has ", n_channels, f" channels, expected 1 to {_LARGEST_N_CHANNELS}"),
            ),
            say_if(
                frame_bytes != n_channels * sample_bytes,
                *("does not decode: its header says ", frame_bytes, " bytes a frame, expected ", n_channels * sample_bytes),
            ),
            out_of_range(n_samples, sample_rate),
        )
        n_samples, n_channels, frame_bytes = (tf.where(error == "", value, 1) for value in (n_samples, n_channels, frame_bytes))
        n_block = _BLOCK_SAMPLES // n_channels
        kind = tf.cast(tf.where(is_float, 3 + sample_bytes // 4, sample_bytes - 1), tf.int32)

        def decode(block: tf.Tensor) -> tf.Tensor:
            n_frames = tf.minimum(n_block, n_samples - block * n_block)
            part = _cut(data, samples + block * n_block * frame_bytes, n_frames * frame_bytes)
            interleaved = tf.switch_case(
                kind,
                [
                    lambda: (_raw(part, tf.uint8) - 128.0) * 2.0**-7,
                    lambda: _raw(part, tf.int16) * 2.0**-15,
                    lambda: _decode_24_bit(part),
                    lambda: _raw(part, tf.int32) * 2.0**-31,
                    lambda: _raw(part, tf.float32),
                    lambda: _raw(part, tf.float64),
                ],
            )
            return tf.reduce_mean(tf.reshape(interleaved, (-1, n_channels)), axis=1)

        n_blocks = tf.where(error == "", (n_samples + n_block - 1) // n_block, 0)
        rate = tf.cast(tf.minimum(sample_rate, tf.int32.max), tf.int32)
        return WavAudio(in_blocks(n_blocks, decode), rate, error)


def _find_samples(data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Where the bodies of the fmt and the data chunk begin, −1 for one that is missing, and how many bytes the samples have."""
    length = tf.cast(tf.strings.length(data), tf.int64)
    is_riff = _cut(data, 0, 4) == b"RIFF"

    def step(position: tf.Tensor, fmt: tf.Tensor, samples: tf.Tensor, ds64: tf.Tensor) -> tuple[tf.Tensor, ...]:
        name, body, size = _cut(data, position, 4), position + 8, _number(data, position + 4, 4)
        names = ((b"fmt ", fmt), (b"data", samples), (b"ds64", ds64))
        found = [tf.where((name == wanted) & (before < 0), body, before) for wanted, before in names]
        is_named = tf.strings.regex_full_match(name, "[ -~]{4}")
        # An odd chunk has a byte of padding; in RF64 libsndfile does without.
        return tf.where(is_named, body + size + tf.where(is_riff, size % 2, 0), length), *found

    _, fmt, samples, ds64 = tf.while_loop(
        lambda position, fmt, samples, ds64: (position + 8 <= length) & (samples < 0),
        step,
        tuple(tf.constant(value, tf.int64) for value in (12, -1, -1, -1)),
        maximum_iterations=_LARGEST_N_CHUNKS,
    )
    size = tf.where(is_riff | (ds64 < 0), _number(data, samples - 4, 4), _number(data, ds64 + 8, 8))
    available = tf.maximum(length - samples, 0)
    # A program that writes to a pipe leaves the size at its largest.
    return fmt, samples, tf.where((size == _UNKNOWN_SIZE) | (size < 0), available, tf.minimum(size, available))


def _not_wav(data: tf.Tensor) -> tf.Tensor:
    """What a file is that is no WAV file; empty for one that is."""
    is_wav = ((_cut(data, 0, 4) == b"RIFF") | (_cut(data, 0, 4) == b"RF64")) & (_cut(data, 8, 4) == b"WAVE")
    error = first_error(
        say_if(tf.strings.length(data) == 0, "the file is empty"),
        *(say_if(_cut(data, place, len(magic)) == magic, f"is {name}; this model takes WAV") for place, magic, name in _OTHER),
        tf.constant("does not decode: it is no WAV file"),
    )
    return tf.where(is_wav, "", error)


def _cut(data: tf.Tensor, position: Any, n_bytes: Any) -> tf.Tensor:
    """Bytes of a scalar string, as a scalar string: fewer or none where it ends before."""
    inside = tf.clip_by_value(tf.cast(position, tf.int64), 0, tf.cast(tf.strings.length(data), tf.int64))
    return tf.strings.substr(data, inside, tf.cast(n_bytes, tf.int64))


def _number(data: tf.Tensor, position: Any, n_bytes: int) -> tf.Tensor:
    """A little-endian number without sign, as a scalar int64; of eight bytes the largest come out negative."""
    return tf.io.decode_raw(_cut(data, position, n_bytes), tf.int64, fixed_length=8)[0]


def _raw(data: tf.Tensor, kind: tf.DType) -> tf.Tensor:
    return tf.cast(tf.io.decode_raw(data, kind), tf.float32)


def _decode_24_bit(data: tf.Tensor) -> tf.Tensor:
    low, middle, high = tf.unstack(tf.reshape(tf.io.decode_raw(data, tf.uint8), (-1, 3)), axis=1)
    # 24 bits fit into float32: no sum is rounded. Putting integers together instead takes twice the time.
    signed = tf.cast(tf.bitcast(high, tf.int8), tf.float32)
    return tf.cast(low, tf.float32) * 2.0**-23 + tf.cast(middle, tf.float32) * 2.0**-15 + signed * 2.0**-7
