"""Waveforms to log-mel spectrograms in stock TensorFlow operations, for the served model: the twin of log_mel.py and soxr.

Resampling is a linear-phase low-pass filter with the response of soxr's HQ setting, to which its cutoff and window were fitted.
tests/test_resampling_graph.py holds how far the two may differ.
"""

import math

import numpy as np
import tensorflow as tf

from keras_model.serving.graph_parts import in_blocks
from tfrecords.audio import SAMPLE_RATES_HZ
from tfrecords.front_end.log_mel import periodic_hann
from tfrecords.front_end.log_mel_spec import LogMelSpec
from tfrecords.front_end.mel_filter_bank import mel_filter_bank

# Of the windowed sinc, in samples of the lower of the two rates: the cutoff as a share of its Nyquist frequency, and the Kaiser
# window's half width and β. Fitted by least squares to soxr's HQ response from 44100 to 22050 Hz, which they meet to 1e-5.
_CUTOFF = 0.95687
_HALF_WIDTH = 103.3
_BETA = 14.7
# A ratio of rates whose terms multiply to more is replaced by a near one: filters of all its phases would take too much memory.
# All usual rates stay exact. Of the others, to 22050 Hz, the worst (22039 Hz) is half a per mille off in pitch: 15 ms in 30 s.
_LARGEST_RATIO = 1_000_000
# Inputs or outputs, whichever are more, that are held at once, about: they take 16 bytes a sample.
_BLOCK_SAMPLES = 1_000_000


def log_mel_graph(chunks: tf.Tensor, *, spec: LogMelSpec) -> tf.Tensor:
    """Chunks (n_chunks, spec.chunk_samples) float32 in ±1 to log-mels (n_chunks, n_mels, n_frames) float32.

    They are within 1e-4 of those of `tfrecords.front_end.log_mel.log_mel`. The FFT is float64, as there.
    """
    samples = tf.cast(chunks, tf.float64) * spec.amplitude_scale
    padding = spec.n_fft // 2 if spec.centered else 0
    padded = tf.pad(samples, [[0, 0], [padding, padding]])
    margin = (spec.n_fft - spec.win_length) // 2
    window = np.pad(periodic_hann(spec.win_length), (margin, spec.n_fft - spec.win_length - margin))
    frames = tf.signal.frame(padded, spec.n_fft, spec.hop_length)[:, : spec.n_frames]  # (n_chunks, frames, n_fft)
    magnitude = tf.abs(tf.signal.rfft(frames * window))  # (n_chunks, frames, n_fft // 2 + 1) float64
    # float64 here too: in float32 a GPU may multiply matrices with TensorFloat-32, which has 10 bits.
    bank = mel_filter_bank(spec).astype(np.float64)
    mel = tf.cast(tf.linalg.matmul(magnitude**spec.power, bank, transpose_b=True), tf.float32)  # (n_chunks, frames, n_mels)
    logarithm = tf.math.log(mel + spec.log_offset)
    if spec.log_base == "10":
        logarithm /= np.float32(np.log(10.0))
    features = tf.transpose(logarithm, (0, 2, 1))  # (n_chunks, n_mels, frames)
    n_missing = max(0, spec.n_frames - spec.n_real_frames)
    return tf.concat([features, tf.repeat(features[..., -1:], n_missing, axis=2)], axis=2)


def resample_graph(waveform: tf.Tensor, sample_rate: tf.Tensor, *, to_rate: int) -> tf.Tensor:
    """A waveform (n_samples,) float32 at another rate: (⌈n_samples · to_rate / sample_rate⌉,) float32.

    Both rates are in Hz; that of the waveform is a scalar int32, positive.
    """
    same = tf.equal(sample_rate, to_rate)
    return tf.cond(same, lambda: waveform, lambda: _resample(waveform, tf.cast(sample_rate, tf.int64), to_rate))


def _resample(waveform: tf.Tensor, sample_rate: tf.Tensor, to_rate: int) -> tf.Tensor:
    n_in, n_out = ratio_of_rates(sample_rate, to_rate)  # so many samples become so many
    scale = tf.maximum(tf.cast(n_in, tf.float64) / tf.cast(n_out, tf.float64), 1.0)  # width of the filter, in input samples
    reach = tf.cast(tf.math.ceil(_HALF_WIDTH * scale), tf.int64)
    # A group of outputs is one product of a stretch of the input with the filters of all its phases. Groups about as long as the
    # filter keep both the products with zeros and the stretches' overlap down to a half.
    n_repeats = (2 * reach + n_in - 1) // n_in
    step, n_group = n_in * n_repeats, n_out * n_repeats
    width = 2 * reach + step
    n_samples = tf.size(waveform, out_type=tf.int64)
    n_groups = (n_samples + step - 1) // step
    padded = tf.pad(waveform, [[reach, n_groups * step - n_samples + reach]])
    filters = _filters(width, n_group, n_in, n_out, reach, scale)
    n_block = 1 + _BLOCK_SAMPLES // tf.maximum(n_group, width)  # groups at once

    def block_of(block: tf.Tensor) -> tf.Tensor:
        first, last = block * n_block, tf.minimum((block + 1) * n_block, n_groups)
        samples = tf.cast(padded[first * step : last * step + 2 * reach], tf.float64)
        stretches = tf.signal.frame(samples, tf.cast(width, tf.int32), tf.cast(step, tf.int32))  # (groups, width)
        return tf.reshape(tf.cast(tf.linalg.matmul(stretches, filters), tf.float32), [-1])

    length = (n_samples * to_rate + sample_rate - 1) // sample_rate
    resampled = in_blocks((n_groups + n_block - 1) // n_block, block_of)[:length]
    # An approximated ratio may give a few samples too few.
    return tf.pad(resampled, [[0, length - tf.size(resampled, out_type=tf.int64)]])


def ratio_of_rates(sample_rate: tf.Tensor, to_rate: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The ratio of two rates as two scalars of int64 in lowest terms; where its terms are too large, the nearest ratio."""
    most = math.isqrt(_LARGEST_RATIO * to_rate // SAMPLE_RATES_HZ[0])
    denominators = tf.range(1, most + 1, dtype=tf.int64)
    numerators = tf.maximum((2 * sample_rate * denominators + to_rate) // (2 * to_rate), 1)  # the nearest to each
    error = tf.abs(numerators * to_rate - sample_rate * denominators) / denominators
    # Of equally near ones the lowest terms: two errors that differ do so by more than is added here.
    error += 1e-12 * tf.cast(denominators, tf.float64)
    best = tf.argmin(tf.where(numerators * denominators <= _LARGEST_RATIO, error, np.inf))
    return numerators[best], denominators[best]


def _filters(
    width: tf.Tensor, n_group: tf.Tensor, n_in: tf.Tensor, n_out: tf.Tensor, reach: tf.Tensor, scale: tf.Tensor
) -> tf.Tensor:
    """The filter of each output of a group over the group's stretch of input, (width, n_group) float64."""
    places = tf.cast(tf.range(width) - reach, tf.float64)[:, tf.newaxis]  # of the inputs, in input samples
    centres = tf.cast(tf.range(n_group) * n_in, tf.float64) / tf.cast(n_out, tf.float64)  # of the outputs, in input samples
    distances = (places - centres) / scale
    window = tf.math.bessel_i0(_BETA * tf.sqrt(tf.maximum(1.0 - tf.square(distances / _HALF_WIDTH), 0.0)))
    window = tf.where(tf.abs(distances) < _HALF_WIDTH, window / np.i0(_BETA), tf.zeros((), tf.float64))
    angles = tf.maximum(tf.abs(np.pi * _CUTOFF * distances), 1e-12)  # sin(x) / x is even, and 1 at this x
    return _CUTOFF * tf.sin(angles) / angles * window / scale
