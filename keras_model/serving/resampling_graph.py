"""Resampling in stock TensorFlow operations, for the served model; the pipeline and prediction resample with soxr.

Both are linear-phase low-pass filters with the same response: this one's cutoff and window were fitted to the impulse response of
soxr's HQ setting. tests/test_resampling_graph.py holds how far they may differ.
"""

import numpy as np
import tensorflow as tf

# Of the windowed sinc, in samples of the lower of the two rates: the cutoff as a share of its Nyquist frequency, and the Kaiser
# window's half width and β. Fitted by least squares to soxr's HQ response from 44100 to 22050 Hz, which they meet to 1e-5.
_CUTOFF = 0.95687
_HALF_WIDTH = 103.3
_BETA = 14.7
# A ratio of rates whose terms multiply to more is replaced by a near one: filters of all its phases would take too much memory.
# All usual rates stay exact. Of the others, to 22050 Hz, the worst (22039 Hz) is half a per mille off in pitch: 15 ms in 30 s.
_LARGEST_RATIO = 1_000_000
# Outputs that are computed at once, about: what is held of them takes 16 bytes a sample.
_BLOCK_SAMPLES = 1_000_000


def resample_graph(waveform: tf.Tensor, sample_rate: tf.Tensor, *, to_rate: int) -> tf.Tensor:
    """Resamples a waveform.

    Args:
        waveform: (n_samples,) float32.
        sample_rate: Its sample rate in Hz, scalar int32, positive.
        to_rate: The sample rate of the result in Hz.

    Returns:
        (⌈n_samples · to_rate / sample_rate⌉,) float32.
    """
    same = tf.equal(sample_rate, to_rate)
    return tf.cond(same, lambda: waveform, lambda: _resample(waveform, tf.cast(sample_rate, tf.int64), to_rate))


def _resample(waveform: tf.Tensor, sample_rate: tf.Tensor, to_rate: int) -> tf.Tensor:
    n_in, n_out = ratio_of_rates(sample_rate, tf.constant(to_rate, tf.int64))  # so many samples become so many
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
    n_block = 1 + _BLOCK_SAMPLES // n_group  # groups at once: a long waveform takes little more memory than itself
    n_blocks = (n_groups + n_block - 1) // n_block

    def add(block: tf.Tensor, blocks: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        first, last = block * n_block, tf.minimum((block + 1) * n_block, n_groups)
        samples = tf.cast(padded[first * step : last * step + 2 * reach], tf.float64)
        stretches = tf.signal.frame(samples, tf.cast(width, tf.int32), tf.cast(step, tf.int32))  # (groups, width)
        outputs = tf.cast(tf.linalg.matmul(stretches, filters), tf.float32)  # (groups, n_group)
        return block + 1, blocks.write(tf.cast(block, tf.int32), tf.reshape(outputs, [-1]))

    blocks = tf.TensorArray(tf.float32, tf.cast(n_blocks, tf.int32), element_shape=(None,), infer_shape=False)
    start = (tf.constant(0, tf.int64), blocks)
    _, blocks = tf.while_loop(lambda block, _: block < n_blocks, add, start, parallel_iterations=1)
    length = (n_samples * to_rate + sample_rate - 1) // sample_rate
    resampled = blocks.concat()[:length]
    # An approximated ratio may give a few samples too few.
    return tf.pad(resampled, [[0, length - tf.size(resampled, out_type=tf.int64)]])


def ratio_of_rates(sample_rate: tf.Tensor, to_rate: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The ratio of two rates in lowest terms, numerator and denominator, as scalars of int64.

    Where its terms are too large: the nearest ratio, of those that its continued fraction goes through, that is small enough.
    """

    def following(a: tf.Tensor, b: tf.Tensor, convergents: tf.Tensor) -> tf.Tensor:
        quotient = a // tf.maximum(b, 1)
        return quotient * convergents[0] + convergents[1]  # (numerator, denominator)

    def goes_on(a: tf.Tensor, b: tf.Tensor, convergents: tf.Tensor) -> tf.Tensor:
        return tf.logical_and(b > 0, tf.reduce_prod(following(a, b, convergents)) <= _LARGEST_RATIO)

    def advance(a: tf.Tensor, b: tf.Tensor, convergents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        return b, a % tf.maximum(b, 1), tf.stack([following(a, b, convergents), convergents[0]])

    first = tf.constant([[1, 0], [0, 1]], tf.int64)
    a, b, convergents = tf.while_loop(goes_on, advance, (sample_rate, to_rate, first))
    # The next convergent is too large, but one on the way to it may fit, and is nearer if it is more than half way.
    (h1, k1), (h2, k2) = (tf.unstack(tf.cast(convergent, tf.float64)) for convergent in tf.unstack(convergents))
    half = (h1 * k2 + h2 * k1) / 2
    root = tf.sqrt(half * half - h1 * k1 * (h2 * k2 - _LARGEST_RATIO))
    n_steps = tf.cast((root - half) / tf.maximum(h1 * k1, 1.0), tf.int64)
    nearer = tf.logical_and(b > 0, 2 * n_steps > a // tf.maximum(b, 1))
    ratio = tf.where(nearer, n_steps * convergents[0] + convergents[1], convergents[0])
    return ratio[0], ratio[1]


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
