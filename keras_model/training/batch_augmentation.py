"""Augmentation of training batches in tf.data, each a pure function of (seed, epoch, step).

So a training that goes on from any epoch sees the batches that it would have seen.
"""

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from keras_model.augmentation import Augmentation, SpecMasks
from keras_model.data.split_data import Augment
from tfrecords.front_end.log_mel_spec import LogMelSpec


def augmenter(augmentation: Augmentation, *, seed: int, spec: LogMelSpec, fill: ArrayLike) -> Augment | None:
    """The function that augments a batch; None if there is nothing to do.

    Equal seed, epoch and step give an equal batch from equal input, whatever the number of threads and whichever batches came
    before. The draws of crop, shift, masks and mixup are independent of each other.

    Args:
        augmentation: What is done.
        seed: Of all draws.
        spec: Of the log-mels.
        fill: What masks show, (n_mels, n_frames) or what broadcasts to it, in the log-mels' unit.

    Raises:
        UsageError: If the settings do not fit the spec.
        ValueError: If `fill` has no such shape.
    """
    augmentation.check(spec)
    if not augmentation:
        return None
    # An array, not a tensor: it becomes a constant of the graph, on whichever device tf.data runs.
    filling = np.broadcast_to(np.asarray(fill, dtype=np.float32), spec.shape)[..., np.newaxis]

    def augment(epoch: tf.Tensor, step: tf.Tensor, log_mels: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        def key(purpose: str) -> tf.Tensor:
            return batch_key(seed, purpose, epoch=epoch, step=step)

        if augmentation.random_crop:
            log_mels = random_crop(log_mels, padding=augmentation.random_crop, spec=spec, key=key("crop"))
        if augmentation.band_shift:
            log_mels = band_shift(log_mels, most=augmentation.band_shift, key=key("bands"))
        if augmentation.masks:
            kept = spec_masks(tf.shape(log_mels)[0], masks=augmentation.masks, spec=spec, key=key("masks"))
            log_mels = tf.where(kept[..., tf.newaxis], log_mels, filling)
        if augmentation.mixup:
            log_mels, targets = mixup(log_mels, targets, alpha=augmentation.mixup, key=key("mixup"))
        return log_mels, targets

    return augment


def batch_key(seed: int, purpose: str, *, epoch: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
    """The key of one purpose's draws for one batch, (2,) int64."""
    key = tf.constant([seed, int.from_bytes(purpose.encode("ascii"))], tf.int64)
    for number in (epoch, step):
        key = tf.random.fold_in(key, number)
    return key


def random_crop(log_mels: tf.Tensor, *, padding: int, spec: LogMelSpec, key: tf.Tensor) -> tf.Tensor:
    """Shifts each sample in time: pads it at both ends by repeating its edge frames, and crops it to its length at random.

    What is padded and cropped is the computed frames; those after them repeat the last one again, as the pipeline fills.

    Args:
        log_mels: (n, n_mels, n_frames, 1) float32.
        padding: Frames at each end; the crop's start is uniform from 0 to twice this.
        spec: Of the log-mels.
        key: (2,) int64; the same key gives the same crops.

    Returns:
        Of the same shape.
    """
    start = tf.random.stateless_uniform((tf.shape(log_mels)[0], 1), seed=key, minval=0, maxval=2 * padding + 1, dtype=tf.int32)
    last = spec.n_kept_frames - 1
    frame = tf.minimum(tf.range(spec.n_frames), last)  # of the crop; repeated ones count as the last computed
    source = tf.clip_by_value(frame + start - padding, 0, last)  # (n, n_frames)
    # Frames first: gathering rows is four times as fast as gathering columns.
    rows = tf.transpose(log_mels[..., 0], (0, 2, 1))
    return tf.transpose(tf.gather(rows, source, axis=1, batch_dims=1), (0, 2, 1))[..., tf.newaxis]


def band_shift(log_mels: tf.Tensor, *, most: int, key: tf.Tensor) -> tf.Tensor:
    """Shifts each sample up or down by whole mel bands, as another pitch would, and repeats its edge band.

    Args:
        log_mels: (n, n_mels, n_frames, 1) float32.
        most: Bands; the shift is uniform from −`most` to `most`.
        key: (2,) int64; the same key gives the same shifts.

    Returns:
        Of the same shape.
    """
    shift = tf.random.stateless_uniform((tf.shape(log_mels)[0], 1), seed=key, minval=-most, maxval=most + 1, dtype=tf.int32)
    n_mels = log_mels.shape[1]
    return tf.gather(log_mels, tf.clip_by_value(tf.range(n_mels) + shift, 0, n_mels - 1), axis=1, batch_dims=1)


def spec_masks(n_samples: tf.Tensor, *, masks: SpecMasks, spec: LogMelSpec, key: tf.Tensor) -> tf.Tensor:
    """Which pixels each sample keeps.

    A band mask covers f bands from band f0: f uniform in [0, F], f0 in [0, n_mels − f); a frame mask likewise (Park et al. 2019,
    section 2). Only frames that the STFT has computed are masked, and of them not the last, so that what repeats it, in preset
    `paper` half of the picture, stays what it repeats. `tfio.audio.freq_mask` and `time_mask` draw alike, but take no seed.

    Args:
        n_samples: Of the batch, a scalar.
        masks: Widths and numbers.
        spec: Of the log-mels.
        key: (2,) int64; the same key gives the same masks.

    Returns:
        (n_samples, n_mels, n_frames) bool, False where a mask lies.
    """
    band_key, frame_key = tf.unstack(tf.random.split(key, 2))
    bands = _kept(n_samples, masks.n_band_masks, masks.max_bands, size=spec.n_mels, key=band_key)
    frames = _kept(n_samples, masks.n_frame_masks, masks.max_frames(spec), size=spec.n_kept_frames, key=frame_key)
    repeated = tf.ones((n_samples, spec.n_frames - spec.n_kept_frames), tf.bool)
    return bands[:, :, tf.newaxis] & tf.concat([frames, repeated], axis=1)[:, tf.newaxis, :]


def _kept(n_samples: tf.Tensor, n_masks: int, max_width: int, *, size: int, key: tf.Tensor) -> tf.Tensor:
    """Which of `size` bands or frames no mask covers, (n_samples, size) bool."""
    draws = tf.random.stateless_uniform((2, n_samples, n_masks, 1), seed=key, dtype=tf.float64)
    width = tf.floor(draws[0] * (max_width + 1))
    start = tf.floor(draws[1] * (size - width))
    index = tf.range(size, dtype=tf.float64)
    return tf.reduce_all((index < start) | (index >= start + width), axis=1)


def mixup(log_mels: tf.Tensor, targets: tf.Tensor, *, alpha: float, key: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Mixes each sample with another of its batch: λ·(x, y) + (1 − λ)·(x', y') with λ ~ Beta(α, α).

    As Zhang et al. (2018): x' is of a permutation of the batch (section 2: as good as two batches, and half the reading). Each
    pair has a λ of its own, as in their equation; their listing draws one a batch, and with a small α a batch would then be mixed
    as a whole or hardly at all.

    Args:
        log_mels: (n, n_mels, n_frames, 1) float32.
        targets: (n, n_genres) float32.
        alpha: α, positive.
        key: (2,) int64; the same key gives the same mixture.

    Returns:
        Log-mels and targets of the same shapes.
    """
    order_key, weight_key = tf.unstack(tf.random.split(key, 2))
    n_samples = tf.shape(log_mels)[0]
    partner = tf.random.experimental.stateless_shuffle(tf.range(n_samples), seed=order_key)
    # 1 − λ, which is distributed as λ is.
    weight = tf.cast(beta_draws(n_samples, alpha=alpha, key=weight_key), log_mels.dtype)

    def mixed(values: tf.Tensor) -> tf.Tensor:
        # x + (1 − λ)·(x' − x): exact where a sample is its own partner, as the only one of a batch is.
        weights = tf.reshape(weight, [-1] + [1] * (len(values.shape) - 1))
        return values + weights * (tf.gather(values, partner) - values)

    return mixed(log_mels), mixed(targets)


def beta_draws(n_samples: tf.Tensor, *, alpha: float, key: tf.Tensor) -> tf.Tensor:
    """Draws from Beta(α, α), (n_samples,) float64.

    Beta(α, α) is G / (G + G') of two Gamma(α). For a small α both can underflow to 0, so they stay logarithms:
    Gamma(α) is Gamma(α + 1)·U^(1/α) (Marsaglia and Tsang 2000, "A simple method for
    generating gamma variables").
    """
    gamma_key, uniform_key = tf.unstack(tf.random.split(key, 2))
    gamma = tf.random.stateless_gamma((2, n_samples), seed=gamma_key, alpha=tf.constant(alpha + 1, tf.float64), dtype=tf.float64)
    uniform = 1 - tf.random.stateless_uniform((2, n_samples), seed=uniform_key, dtype=tf.float64)  # (0, 1]
    logarithm = tf.math.log(gamma) + tf.math.log(uniform) / alpha
    return tf.sigmoid(logarithm[0] - logarithm[1])
