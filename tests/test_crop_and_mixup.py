"""Random crop and band shift against references in NumPy, and mixup's mixtures and weights."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from keras_model.training.batch_augmentation import band_shift, beta_draws, mixup, random_crop
from tests.augmented import SIZES, SPEC, augmented, batches_from, key, log_mels_of
from tfrecords.front_end.log_mel_spec import LogMelSpec


@pytest.mark.parametrize("spec", [SPEC, LogMelSpec(n_mels=3, n_frames=9, chunk_samples=512 * 8)], ids=["repeated", "computed"])
@pytest.mark.parametrize("padding", [1, 4])
def test_a_crop_is_that_of_the_padded_log_mel(spec: LogMelSpec, padding: int) -> None:
    """In NumPy: the computed frames padded, cropped to their number and filled as the pipeline fills."""
    n, n_computed = 200, spec.n_kept_frames
    before = log_mels_of(spec, n)
    after = random_crop(tf.constant(before), padding=padding, spec=spec, key=key(8, 9)).numpy()
    padded = np.pad(before[:, :, :n_computed], ((0, 0), (0, 0), (padding, padding), (0, 0)), mode="edge")
    candidates = np.stack([padded[:, :, start : start + n_computed] for start in range(2 * padding + 1)])
    n_repeated = spec.n_frames - n_computed
    candidates = np.pad(candidates, ((0, 0), (0, 0), (0, 0), (0, n_repeated), (0, 0)), mode="edge")
    equal = (candidates == after).all(axis=(2, 3, 4))  # (starts, n)
    np.testing.assert_array_equal(equal.sum(axis=0), 1)
    assert scipy.stats.chisquare(equal.sum(axis=1)).pvalue > 1e-4, "each start as often"


def test_a_shift_is_by_whole_bands_each_as_often() -> None:
    n, most = 300, 2
    before = log_mels_of(SPEC, n)
    after = band_shift(tf.constant(before), most=most, key=key(8, 9)).numpy()
    padded = np.pad(before, ((0, 0), (most, most), (0, 0), (0, 0)), mode="edge")
    candidates = np.stack([padded[:, start : start + SPEC.n_mels] for start in range(2 * most + 1)])
    equal = (candidates == after).all(axis=(2, 3, 4))  # (starts, n)
    np.testing.assert_array_equal(equal.sum(axis=0), 1)
    assert scipy.stats.chisquare(equal.sum(axis=1)).pvalue > 1e-4


def mixture(n: int, *, alpha: float, number: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Log-mels before and after mixup, and the weights of each sample in each mixture: every sample is of its own genre."""
    log_mels = np.random.default_rng(n).normal(11.0, 2.0, (n, 3, 2, 1)).astype(np.float32)
    after, weights = mixup(tf.constant(log_mels), tf.eye(n), alpha=alpha, key=key(number, 4))
    return log_mels, after.numpy(), weights.numpy()


@settings(max_examples=20)
@given(n=st.integers(1, 30), alpha=st.floats(1e-4, 1e3), number=st.integers(0, 2**62))
def test_mixtures_are_convex_combinations_of_two_samples(n: int, alpha: float, number: int) -> None:
    before, after, weights = mixture(n, alpha=alpha, number=number)
    assert (weights >= 0).all()
    assert (np.count_nonzero(weights, axis=1) <= 2).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(after, np.tensordot(weights, before, axes=1), rtol=0, atol=1e-5)
    # No sample is the partner of two.
    assert (np.count_nonzero(weights - np.diag(np.diag(weights)), axis=0) <= 1).all()


@pytest.mark.parametrize("alpha", [0.05, 0.2, 1.0, 8.0])
def test_weights_are_beta_distributed(alpha: float) -> None:
    n = 20_000
    weights = beta_draws(tf.constant(n), alpha=alpha, key=key(2, 3)).numpy()
    # The lower half alone: in the upper one, of a small α, many weights round to 1.
    low = weights[weights < 0.5]
    assert abs(len(low) / n - 0.5) < 4 * 0.5 / np.sqrt(n)
    assert scipy.stats.kstest(low, lambda values: 2 * scipy.stats.beta(alpha, alpha).cdf(values)).pvalue > 1e-3


def test_weights_of_a_tiny_alpha_are_numbers() -> None:
    """Where both gamma variables are below the smallest number."""
    weights = beta_draws(tf.constant(1000), alpha=1e-4, key=key(2, 3)).numpy()
    assert np.isfinite(weights).all()
    assert 0.4 < (weights < 0.5).mean() < 0.6


def test_the_only_sample_of_a_batch_stays_itself() -> None:
    last = next(iter(batches_from(len(SIZES) - 1)))
    log_mels, targets = augmented("mixup", first_step=len(SIZES) - 1)[0]
    np.testing.assert_array_equal(log_mels, last[0])
    np.testing.assert_array_equal(targets, last[1])
