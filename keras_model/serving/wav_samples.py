"""The bytes of a WAV file's samples to a waveform, in stock TensorFlow operations; wav_header reads what comes before them."""

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

# Codecs: the branches of `decode_samples` in their order. PCM of n bytes is codec n.
UNKNOWN, PCM_8, PCM_16, PCM_24, PCM_32, FLOAT_32, FLOAT_64, A_LAW, MU_LAW, PCM_24_IN_32 = range(10)
# Bytes a sample of each takes.
SAMPLE_BYTES = (0, 1, 2, 3, 4, 4, 8, 1, 1, 4)


def decode_samples(data: tf.Tensor, codec: tf.Tensor, *, big_endian: tf.Tensor) -> tf.Tensor:
    """Samples as they stand in a file, to float32.

    Args:
        data: Whole samples, a scalar string.
        codec: Their codec, a scalar int32.
        big_endian: Whether the most significant byte comes first, a scalar bool.

    Returns:
        (n_values,) float32, the channels interleaved; ±1 is full scale. Each value is libsndfile's: integers divided by a power
        of two, rounded once where they have more bits than float32.
    """

    def raw(kind: tf.DType) -> tf.Tensor:
        return _decode_raw(data, kind, big_endian=big_endian)

    waveform = tf.switch_case(
        codec,
        [
            lambda: tf.zeros((0,), tf.float32),
            lambda: (tf.cast(raw(tf.uint8), tf.float32) - 128.0) * 2.0**-7,
            lambda: tf.cast(raw(tf.int16), tf.float32) * 2.0**-15,
            lambda: _decode_24_bit(data, big_endian=big_endian),
            lambda: tf.cast(raw(tf.int32), tf.float32) * 2.0**-31,
            lambda: raw(tf.float32),
            lambda: tf.cast(raw(tf.float64), tf.float32),
            lambda: tf.gather(tf.constant(_a_law()), tf.cast(raw(tf.uint8), tf.int32)),
            lambda: tf.gather(tf.constant(_mu_law()), tf.cast(raw(tf.uint8), tf.int32)),
            lambda: tf.cast(raw(tf.int32), tf.float32) * 2.0**-23,
        ],
    )
    return tf.ensure_shape(waveform, (None,))


def codec_of_24_bit(data: tf.Tensor, *, big_endian: tf.Tensor) -> tf.Tensor:
    """Which codec 24-bit samples have whose header gives each four bytes.

    Three kinds of writer claim that: those that put the sample into the upper bytes, as the format wants it; ALSA's arecord,
    which puts it into the lower ones; and those that write three bytes and claim four by mistake. libsndfile guesses from 4096
    bytes: it takes a short file for the third kind, and reads the second 256 times too quiet. All bytes tell the kinds apart:
    the fourth holds nothing in the first, the sign in the second.

    Args:
        data: The samples, a scalar string.
        big_endian: Whether the most significant byte comes first, a scalar bool.

    Returns:
        PCM_32, PCM_24_IN_32 or PCM_24, a scalar int32.
    """
    length = tf.strings.length(data)
    words = _decode_raw(tf.strings.substr(data, 0, length - length % 4), tf.int32, big_endian=big_endian)
    upper = tf.reduce_all(tf.bitwise.bitwise_and(words, 0xFF) == 0)
    lower = tf.reduce_all((words >= -(2**23)) & (words < 2**23))
    return tf.where(upper, PCM_32, tf.where(lower, PCM_24_IN_32, PCM_24))


def mean_of_channels(interleaved: tf.Tensor, n_channels: tf.Tensor) -> tf.Tensor:
    """Interleaved channels (n_samples · n_channels,) float32 to their mean (n_samples,) float32."""

    def mean_of_two() -> tf.Tensor:
        left, right = tf.unstack(tf.reshape(interleaved, (-1, 2)), axis=1)  # half the time of reduce_mean
        return (left + right) / 2.0

    def mean_of_many() -> tf.Tensor:
        return tf.reduce_mean(tf.reshape(interleaved, (-1, n_channels)), axis=1)

    return tf.switch_case(tf.minimum(n_channels, 3) - 1, [lambda: interleaved, mean_of_two, mean_of_many])


def _decode_raw(data: tf.Tensor, kind: tf.DType, *, big_endian: tf.Tensor) -> tf.Tensor:
    return tf.cond(
        big_endian,
        lambda: tf.io.decode_raw(data, kind, little_endian=False),
        lambda: tf.io.decode_raw(data, kind, little_endian=True),
    )


def _decode_24_bit(data: tf.Tensor, *, big_endian: tf.Tensor) -> tf.Tensor:
    first, middle, last = tf.unstack(tf.reshape(tf.io.decode_raw(data, tf.uint8), (-1, 3)), axis=1)
    low, high = tf.cond(big_endian, lambda: (last, first), lambda: (first, last))
    # 24 bits fit into float32: no sum is rounded. Putting integers together instead takes twice the time.
    signed = tf.cast(tf.bitcast(high, tf.int8), tf.float32)
    return tf.cast(low, tf.float32) * 2.0**-23 + tf.cast(middle, tf.float32) * 2.0**-15 + signed * 2.0**-7


def _a_law() -> NDArray[np.float32]:
    """What each byte means, (256,) float32 in ±1: ITU-T G.711, table 1a, 13 bits in the upper ones of 16."""
    byte = np.arange(256) ^ 0x55
    exponent, mantissa = (byte >> 4) & 7, byte & 0x0F
    magnitude = np.where(exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 0x108) << np.maximum(exponent - 1, 0))
    return (np.where(byte & 0x80, magnitude, -magnitude) / 32768).astype(np.float32)


def _mu_law() -> NDArray[np.float32]:
    """What each byte means, (256,) float32 in ±1: ITU-T G.711, table 2a, 14 bits in the upper ones of 16."""
    byte = ~np.arange(256) & 0xFF
    exponent, mantissa = (byte >> 4) & 7, byte & 0x0F
    magnitude = (((mantissa << 3) + 0x84) << exponent) - 0x84
    return (np.where(byte & 0x80, -magnitude, magnitude) / 32768).astype(np.float32)
