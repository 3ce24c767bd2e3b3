"""WAV bytes to a waveform in stock TensorFlow operations, for the served model; the twin of tfrecords.audio.

PCM of up to 32 bits and floating point in RIFF and RF64 are read as libsndfile reads them. Other bytes are answered with words
instead of an exception, which would fail every other file of its batch.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from tfrecords.audio.formats import MAGIC_BYTES

# Where in the file, which bytes, and the format's name.
_OTHER = (*MAGIC_BYTES, (0, b"OggS", "Ogg"), (0, b"FORM", "AIFF"), (0, b".snd", "AU"), (0, b"caff", "CAF"))
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_LARGEST_N_CHANNELS = 1024  # as many as libsndfile takes
# Files have a handful before their samples. Without a limit, a file of nothing but empty chunks would take a minute.
_LARGEST_N_CHUNKS = 1024
_UNKNOWN_SIZE = 0xFFFFFFFF
# Chunks that libsndfile stumbles over where they are shorter.
_LEAST_BYTES = ((b"fact", 4), (b"smpl", 36), (b"acid", 16))
# What stands after an extensible format's number: Microsoft's, and that of ambisonic files.
_GUIDS = tuple(map(bytes.fromhex, ("000000001000800000aa00389b71", "00002107d3118644c8c1ca000000")))


class WavAudio(NamedTuple):
    """A decoded file, or one line that says why it does not decode."""

    waveform: tf.Tensor  # (n_samples,) float32, the mean of the channels; empty where there is an error
    sample_rate: tf.Tensor  # scalar int32, in Hz, as the header has it
    error: tf.Tensor  # scalar string, empty where there is none


def decode_wav(data: tf.Tensor) -> WavAudio:
    """Decodes the bytes of a whole WAV file, a scalar string; none whatever make it raise."""
    with tf.device("CPU:0"):  # a GPU would take longer to start on each of the header's numbers than to read them
        fmt, samples, size = _find_samples(data)
        tag, n_channels, sample_rate, frame_bytes, bits = (
            _number(data, fmt + place, n_bytes) for place, n_bytes in ((0, 2), (2, 2), (4, 4), (12, 2), (14, 2))
        )
        guid = _cut(data, fmt + 26, 14)
        is_known = (guid == _GUIDS[0]) | (guid == _GUIDS[1])
        tag = tf.where((tag == _EXTENSIBLE) & is_known, _number(data, fmt + 24, 2), tag)  # where its GUID begins
        sample_bytes = (bits + 7) // 8
        is_pcm = (tag == _PCM) & (sample_bytes >= 1) & (sample_bytes <= 4)
        is_float = (tag == _FLOAT) & ((sample_bytes == 4) | (sample_bytes == 8))
        error = first_error(
            _not_wav(data),
            say_if(fmt < 0, "does not decode: its fmt chunk is missing"),
            say_if(samples < 0, "does not decode: its data chunk is missing, or another damaged"),
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
        )
        branch = tf.where(error == "", tf.where(is_float, 4 + sample_bytes // 4, sample_bytes), 0)
        whole_frames = _cut(data, samples, size - size % tf.maximum(frame_bytes, 1))
        interleaved = tf.switch_case(
            tf.cast(branch, tf.int32),
            [
                lambda: tf.zeros((0,), tf.float32),
                lambda: (_raw(whole_frames, tf.uint8) - 128.0) * 2.0**-7,
                lambda: _raw(whole_frames, tf.int16) * 2.0**-15,
                lambda: _decode_24_bit(whole_frames),
                lambda: _raw(whole_frames, tf.int32) * 2.0**-31,
                lambda: _raw(whole_frames, tf.float32),
                lambda: _raw(whole_frames, tf.float64),
            ],
        )
        channels = tf.reshape(interleaved, (-1, tf.where(error == "", n_channels, 1)))  # (n_samples, n_channels)
        rate = tf.cast(tf.minimum(sample_rate, tf.int32.max), tf.int32)
        return WavAudio(tf.reduce_mean(channels, axis=1), rate, error)


def say_if(condition: tf.Tensor, *parts: Any) -> tf.Tensor:
    """A message of texts and numbers where a condition, a scalar bool, is true; empty elsewhere."""
    message = tf.strings.join([part if isinstance(part, str) else tf.strings.as_string(part) for part in parts])
    return tf.where(condition, message, "")


def first_error(*errors: tf.Tensor) -> tf.Tensor:
    """The first of some scalar strings that is not empty."""
    first, *others = errors
    for error in others:
        first = tf.where(first == "", error, first)
    return first


def _find_samples(data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Where the bodies of the fmt and the data chunk begin, −1 for one that is missing, and how many bytes the samples have.

    A file that libsndfile would refuse, or read other samples of, has no data chunk here.
    """
    length = tf.cast(tf.strings.length(data), tf.int64)
    is_riff = _cut(data, 0, 4) == b"RIFF"

    def step(position: tf.Tensor, fmt: tf.Tensor, samples: tf.Tensor, ds64: tf.Tensor, bad: tf.Tensor) -> tuple[tf.Tensor, ...]:
        name, body, size = _cut(data, position, 4), position + 8, _number(data, position + 4, 4)
        names = ((b"fmt ", fmt), (b"data", samples), (b"ds64", ds64))
        found = [tf.where((name == wanted) & (before < 0) & (samples < 0), body, before) for wanted, before in names]
        is_named = tf.strings.regex_full_match(name, "[ -~]{4}") & ~tf.strings.regex_full_match(name, "TAG.")
        is_second = (name == b"data") & (samples >= 0), (name == b"fmt ") & (fmt >= 0) & (samples < 0)
        is_short = [(name == wanted) & (size < least) for wanted, least in _LEAST_BYTES]
        is_odd = (name == b"PEAK") & (size != 8 + 8 * _number(data, fmt + 2, 2)), tf.strings.regex_full_match(name, "RIF[FX]")
        bad |= tf.reduce_any([*is_second, *is_short, *is_odd, (samples < 0) & ~is_named])
        # An odd chunk has a byte of padding; in RF64 libsndfile does without.
        return tf.where(is_named, body + size + tf.where(is_riff, size % 2, 0), length), *found, bad

    _, fmt, samples, ds64, bad = tf.while_loop(
        lambda position, fmt, samples, ds64, bad: (position + 8 <= length) & ~bad,
        step,
        (*(tf.constant(value, tf.int64) for value in (12, -1, -1, -1)), tf.constant(False)),
        maximum_iterations=_LARGEST_N_CHUNKS,
    )
    whole, size = _number(data, 4, 4), _number(data, samples - 4, 4)
    size = tf.where(is_riff | (ds64 < 0), size, _number(data, ds64 + 8, 8))
    # A program that writes to a pipe, or was killed, leaves the size at its largest, or 0 in a whole of 8.
    is_open = (size == _UNKNOWN_SIZE) | ((size == 0) & (whole == 8))
    has_table = (ds64 >= 0) & (_number(data, ds64 + 24, 4) != 0)
    bad |= ~is_riff & (has_table | (size == _UNKNOWN_SIZE) | (size < 0))
    available = tf.maximum(length - samples, 0)
    return fmt, tf.where(bad, tf.constant(-1, tf.int64), samples), tf.where(is_open, available, tf.minimum(size, available))


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
