"""Augmented batches of noise, for the tests of augmentation."""

import functools
import hashlib

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from keras_model.augmentation import Augmentation, SpecMasks
from keras_model.data.split_data import Augment
from keras_model.training.batch_augmentation import augmenter
from tfrecords.front_end.log_mel_spec import LogMelSpec

# 13 computed frames; the seven after them repeat the last.
SPEC = LogMelSpec(n_mels=11, n_frames=20, chunk_samples=12 * 512)
N_GENRES = 4
# The last batch of the epoch is a single sample.
SIZES = (6, 6, 6, 6, 1)
SETTINGS = {
    "masks": Augmentation(masks=SpecMasks(max_bands=5, max_frame_share=0.4, n_band_masks=2)),
    "mixup": Augmentation(mixup=0.4),
    "crop": Augmentation(random_crop=3),
    "shift": Augmentation(band_shift=2),
    "all": Augmentation(masks=SpecMasks(max_bands=5, max_frame_share=0.4), mixup=0.4, random_crop=3, band_shift=2),
}
Batch = tuple[NDArray[np.float32], NDArray[np.float32]]


def log_mels_of(spec: LogMelSpec, n: int, seed: int = 0) -> NDArray[np.float32]:
    """Noise that ends as the pipeline ends its log-mels, (n, n_mels, n_frames, 1) float32."""
    log_mels = np.random.default_rng(seed).normal(11.0, 2.0, (n, *spec.shape, 1)).astype(np.float32)
    log_mels[:, :, spec.n_kept_frames :] = log_mels[:, :, spec.n_kept_frames - 1 : spec.n_kept_frames]
    return log_mels


def batches_from(first_step: int) -> tf.data.Dataset:
    """The batches of an epoch, from a step on."""
    n = sum(SIZES)
    genres = np.random.default_rng(1).integers(0, N_GENRES, n)
    samples = (log_mels_of(SPEC, n), np.eye(N_GENRES, dtype=np.float32)[genres])
    return tf.data.Dataset.from_tensor_slices(samples).batch(SIZES[0]).skip(first_step)


@functools.cache
def augment_of(augmentation: Augmentation, *, seed: int = 7) -> Augment:
    augment = augmenter(augmentation, seed=seed, spec=SPEC, fill=-99.0)
    assert augment is not None
    return augment


def applied(augment: Augment, batches: tf.data.Dataset, *, epoch: int, first_step: int = 0) -> tf.data.Dataset:
    """What augmentation makes of the batches of an epoch from a step on."""

    def of_step(step: tf.Tensor, batch: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        return augment(tf.constant(epoch, tf.int64), step, *batch)

    return batches.enumerate(start=first_step).map(of_step, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def augmented(name: str, *, seed: int = 7, epoch: int = 0, first_step: int = 0, n_threads: int | None = None) -> list[Batch]:
    batches = applied(augment_of(SETTINGS[name], seed=seed), batches_from(first_step), epoch=epoch, first_step=first_step)
    if n_threads:
        options = tf.data.Options()
        options.threading.private_threadpool_size = n_threads
        batches = batches.with_options(options)
    return [(log_mels.numpy(), targets.numpy()) for log_mels, targets in batches]


def digest(batches: list[Batch]) -> str:
    return hashlib.sha256(b"".join(array.tobytes() for batch in batches for array in batch)).hexdigest()


def key(*numbers: int) -> tf.Tensor:
    return tf.constant(numbers, tf.int64)
