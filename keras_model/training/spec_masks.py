"""SpecAugment's masks, by tensorflow-io's functions, as pure functions of a key."""

from collections.abc import Callable
from types import FunctionType, SimpleNamespace
from typing import Any

import tensorflow as tf

from keras_model.quiet import load_tensorflow_io
from keras_model.training.augmentation import SpecMasks
from tfrecords.log_mel_spec import LogMelSpec

# Each of tensorflow-io's mask functions draws a width and then a start.
_DRAWS_PER_MASK = 2


class _TensorFlowWithDraws:
    """TensorFlow, but `random.uniform` deals out given numbers.

    Args:
        draws: Numbers from all of int32, scalars.
    """

    def __init__(self, draws: list[tf.Tensor]) -> None:
        self.random = SimpleNamespace(uniform=self._uniform)
        self.draws = draws

    def _uniform(self, shape: tuple[()], *, minval: int, maxval: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
        if shape != () or dtype != tf.int32 or not self.draws:
            drawn = f"{dtype.name} of shape {shape}"
            raise RuntimeError(f"expected a mask function to draw {_DRAWS_PER_MASK} scalars of int32, got one more or {drawn}")
        return minval + tf.math.floormod(self.draws.pop(0), maxval - minval)

    def __getattr__(self, name: str) -> Any:
        return getattr(tf, name)


def with_draws(function: FunctionType, draws: tf.Tensor) -> Callable[[tf.Tensor, int], tf.Tensor]:
    """One of tensorflow-io's mask functions, with given numbers for its random ones.

    It takes no seed and draws with `tf.random.uniform`, whose state no resumed training could restore. So it is run as it is,
    with a `tf` of its own: neither TensorFlow nor tensorflow-io is altered, and other threads see nothing of it.

    Args:
        function: `tfio.audio.freq_mask` or `tfio.audio.time_mask`.
        draws: (2,) int32, from the whole range: of width and start, which are their remainders.

    Returns:
        A function of a spectrogram (n_frames, n_bands) and the mask's width limit, which is excluded. It raises a RuntimeError
        if tensorflow-io draws otherwise than it did in version 0.37.
    """
    tensorflow = _TensorFlowWithDraws(tf.unstack(draws))
    own = FunctionType(function.__code__, {**function.__globals__, "tf": tensorflow}, function.__name__, function.__defaults__)

    def masked(spectrogram: tf.Tensor, limit: int) -> tf.Tensor:
        # Without do_not_convert, autograph would look up a conversion of the unaltered function.
        result = tf.autograph.experimental.do_not_convert(own)(spectrogram, limit)
        if tensorflow.draws:
            raise RuntimeError(f"{function.__name__} left {len(tensorflow.draws)} of {_DRAWS_PER_MASK} draws unused")
        return result

    return masked


def spec_masks(n_samples: tf.Tensor, *, masks: SpecMasks, spec: LogMelSpec, key: tf.Tensor) -> tf.Tensor:
    """Which pixels each sample keeps.

    A band mask covers f bands from band f0: f uniform in [0, F], f0 in [0, n_mels − f); a frame mask likewise (Park et al. 2019,
    section 2). Only frames that the STFT has computed are masked. The interval's open end leaves out the last one, so that what
    repeats it, in preset `paper` half of the picture, stays what it repeats.

    Args:
        n_samples: Of the batch, a scalar.
        masks: Widths and numbers.
        spec: Of the log-mels.
        key: (2,) int64; the same key gives the same masks.

    Returns:
        (n_samples, n_mels, n_frames) bool, False where a mask lies.
    """
    tfio = load_tensorflow_io()
    n_computed = spec.n_kept_frames
    n_masks = masks.n_band_masks + masks.n_frame_masks
    draws = tf.random.stateless_uniform((n_samples, n_masks, _DRAWS_PER_MASK), seed=key, minval=None, maxval=None, dtype=tf.int32)

    def kept(sample: tf.Tensor) -> tf.Tensor:
        # The library's order, (time, frequency); a row and a column are enough, and their product is the mask.
        bands, frames = tf.ones((1, spec.n_mels)), tf.ones((n_computed, 1))
        for index in range(masks.n_band_masks):
            bands = with_draws(tfio.audio.freq_mask, sample[index])(bands, masks.max_bands + 1)
        for index in range(masks.n_band_masks, n_masks):
            frames = with_draws(tfio.audio.time_mask, sample[index])(frames, masks.max_frames(spec) + 1)
        repeated = tf.ones((spec.n_frames - n_computed, 1))
        return tf.transpose(tf.concat([frames, repeated], axis=0) * bands) > 0  # (n_mels, n_frames)

    return tf.vectorized_map(kept, draws)
