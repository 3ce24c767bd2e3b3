"""WAV bytes to a waveform in stock TensorFlow operations, for the served model; the twin of tfrecords.audio.

What libsndfile reads of a WAV file is read here, and says the same: PCM, floating point, A-law and µ-law in RIFF, RIFX and RF64.
Bytes that are no such file are answered with words instead of an exception, which would fail every other file of its batch.
"""

from typing import NamedTuple

import tensorflow as tf

from keras_model.serving.wav_header import Layout, cut, first_of, read_layout
from keras_model.serving.wav_samples import FLOAT_32, FLOAT_64, decode_samples, mean_of_channels
from tfrecords.audio import LARGEST_SAMPLE
from tfrecords.audio_formats import MAGIC_BYTES

# Where in the file, which bytes, and the format's name.
_OTHER_FORMATS = (*MAGIC_BYTES, (0, b"OggS", "Ogg"), (0, b"FORM", "AIFF"), (0, b".snd", "AU"), (0, b"caff", "CAF"))


class WavAudio(NamedTuple):
    """A decoded file.

    Attributes:
        waveform: (n_samples,) float32, the mean of the channels; integer formats lie in ±1. Empty where there is an error.
        sample_rate: Scalar int32, in Hz; 0 where there is an error.
        error: Scalar string, one line of UTF-8 that says why the file cannot be used; empty where it is fine.
    """

    waveform: tf.Tensor
    sample_rate: tf.Tensor
    error: tf.Tensor


def decode_wav(data: tf.Tensor) -> WavAudio:
    """Decodes a whole WAV file; no bytes whatever make it raise.

    Args:
        data: The file's bytes, a scalar string.
    """
    with tf.device("CPU:0"):  # a GPU would take longer to start on each of the header's numbers than to read them
        form = cut(data, 0, 4)
        is_wav = ((form == b"RIFF") | (form == b"RIFX") | (form == b"RF64")) & (cut(data, 8, 4) == b"WAVE")
        layout = read_layout(data)
        error = tf.cond(is_wav, lambda: layout.error, lambda: _other_format(data))
        waveform, error = tf.cond(
            error == b"",
            lambda: _waveform(cut(data, layout.offset, layout.n_bytes), layout),
            lambda: (tf.zeros((0,), tf.float32), error),
        )
        return WavAudio(tf.ensure_shape(waveform, (None,)), tf.where(error == b"", layout.sample_rate, 0), error)


def _waveform(samples: tf.Tensor, layout: Layout) -> tuple[tf.Tensor, tf.Tensor]:
    """The waveform, (n_samples,) float32, and what is wrong with it."""
    values = decode_samples(samples, layout.codec, big_endian=layout.big_endian)
    is_float = (layout.codec == FLOAT_32) | (layout.codec == FLOAT_64)
    # A comparison with NaN is false. Integers need no look.
    in_range = tf.cond(is_float, lambda: tf.reduce_all(tf.abs(values) <= LARGEST_SAMPLE), lambda: tf.constant(True))
    error = tf.cond(
        in_range,
        lambda: tf.constant(""),
        lambda: tf.where(
            tf.reduce_all(tf.math.is_finite(values)),
            f"holds samples beyond ±{LARGEST_SAMPLE:.0e}, where ±1 is full scale",
            "holds samples that are NaN or infinite",
        ),
    )
    kept = values[: tf.where(in_range, tf.shape(values)[0], 0)]
    return mean_of_channels(kept, layout.n_channels), error


def _other_format(data: tf.Tensor) -> tf.Tensor:
    """What a file is that is no WAV file."""
    known = (
        (cut(data, position, len(magic)) == magic, f"is {name}; this model takes WAV") for position, magic, name in _OTHER_FORMATS
    )
    return first_of((tf.strings.length(data) == 0, "the file is empty"), *known, default="does not decode: it is no WAV file")
