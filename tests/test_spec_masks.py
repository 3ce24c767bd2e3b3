"""SpecAugment's masks: where they lie, that they are tensorflow-io's, and what they show."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_model.augmentation import SpecMasks
from keras_model.data.train_and_test import train_mean
from keras_model.training.batch_augmentation import _kept, augmenter, spec_masks
from tests.augmented import SETTINGS, SIZES, SPEC, applied, batches_from, key
from tests.helpers import records_of
from tfrecords.dataset.folder import read_dataset
from tfrecords.front_end.log_mel_spec import PRESETS, LogMelSpec


@settings(max_examples=12)
@given(st.data())
def test_masks_are_bands_and_frames_within_their_limits(data: st.DataObject) -> None:
    n_mels, n_computed = data.draw(st.integers(3, 17)), data.draw(st.integers(4, 19))
    n_frames = n_computed + data.draw(st.integers(0, 5))
    spec = LogMelSpec(n_mels=n_mels, n_frames=n_frames, chunk_samples=512 * (n_computed - 1))
    assert spec.n_kept_frames == n_computed
    masks = SpecMasks(
        max_bands=data.draw(st.integers(1, n_mels - 1)),
        max_frame_share=data.draw(st.floats(1.01 / n_computed, 0.99)),
        n_band_masks=data.draw(st.integers(1, 2)),
        n_frame_masks=data.draw(st.integers(1, 2)),
    )
    kept = spec_masks(tf.constant(40), masks=masks, spec=spec, key=key(3, data.draw(st.integers(0, 2**40)))).numpy()
    assert kept.shape == (40, n_mels, n_frames)
    bands, frames = kept.any(axis=2), kept.any(axis=1)
    np.testing.assert_array_equal(kept, bands[:, :, np.newaxis] & frames[:, np.newaxis, :])
    assert frames[:, n_computed - 1 :].all(), "the last computed frame, and those that repeat it"
    for axis, n_masks, widest in (
        (bands, masks.n_band_masks, masks.max_bands),
        (frames, masks.n_frame_masks, masks.max_frames(spec)),
    ):
        assert ((~axis).sum(axis=1) <= n_masks * widest).all()
        n_runs = (np.diff(axis.astype(int), axis=1, prepend=1) == -1).sum(axis=1)
        assert (n_runs <= n_masks).all()


def test_widths_and_starts_are_uniform() -> None:
    """As the paper has them: f from 0 to F, f0 from 0 to ν − f − 1."""
    spec, masks, n = PRESETS["paper"], SpecMasks(), 20_000
    kept = spec_masks(tf.constant(n), masks=masks, spec=spec, key=key(5, 6)).numpy()
    assert masks.max_frames(spec) == 8
    for axis, size, widest in ((kept.any(axis=2), 80, 27), (kept.any(axis=1), 41, 8)):
        widths = (~axis).sum(axis=1)
        counts = np.bincount(widths, minlength=widest + 1)
        assert len(counts) == widest + 1
        assert scipy.stats.chisquare(counts).pvalue > 1e-4
        for width in range(1, widest + 1):
            starts = np.bincount(axis[widths == width].argmin(axis=1), minlength=size - width)
            assert len(starts) == size - width
            assert scipy.stats.chisquare(starts).pvalue > 1e-5
    both = np.corrcoef((~kept.any(axis=2)).sum(axis=1), (~kept.any(axis=1)).sum(axis=1))[0, 1]
    assert abs(both) < 4 / np.sqrt(n), "band masks tell nothing of frame masks"


@pytest.mark.parametrize("name", ["freq_mask", "time_mask"])
def test_masks_are_distributed_as_those_of_tensorflow_io(name: str) -> None:
    """Its functions draw one mask from a generator without a seed: many of its masks beside many of ours."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"tensorflow_io(\.|$)")  # its native library does not load, and is not needed
        import tensorflow_io
    n, size, widest = 1500, 12, 4
    mask = getattr(tensorflow_io.audio, name)
    line = tf.ones((1, size) if name == "freq_mask" else (size, 1))  # (frames, bands)
    theirs = (
        tf.map_fn(lambda _: tf.reshape(mask(line, widest + 1), [size]), tf.range(n), fn_output_signature=tf.float32).numpy() > 0
    )
    ours = _kept(tf.constant(n), 1, widest, size=size, key=key(7, 8)).numpy()
    assert theirs.all(axis=1).any(), "a mask may have no width"
    widths, starts = ([(~kept).sum(axis=1) for kept in (theirs, ours)], [kept.argmin(axis=1) for kept in (theirs, ours)])
    for both in (widths, starts):
        counts = np.stack([np.bincount(values, minlength=size) for values in both])
        counts = counts[:, counts.sum(axis=0) > 0]
        assert scipy.stats.chi2_contingency(counts).pvalue > 1e-4


@pytest.mark.parametrize("shape", [(), (11, 1), (11, 20)])
def test_masks_show_the_fill_and_leave_the_rest(shape: tuple[int, ...]) -> None:
    fill = np.random.default_rng(2).normal(-50.0, 1.0, shape).astype(np.float32)
    augment = augmenter(SETTINGS["masks"], seed=0, spec=SPEC, fill=fill)
    assert augment is not None
    n_masked = 0
    for (log_mels, targets), (before, targets_before) in zip(
        applied(augment, batches_from(0), epoch=0), batches_from(0), strict=True
    ):
        masked = log_mels.numpy() != before.numpy()
        filled = np.broadcast_to(fill, SPEC.shape)[np.newaxis, ..., np.newaxis]
        np.testing.assert_array_equal(log_mels, np.where(masked, filled, before))
        np.testing.assert_array_equal(targets, targets_before)
        n_masked += masked.sum()
    assert 0.05 < n_masked / (sum(SIZES) * 11 * 20) < 0.9


def test_the_fill_is_the_mean_of_the_train_split(dataset: Path) -> None:
    manifest = read_dataset(dataset)
    log_mels = np.stack([record.log_mel for record in records_of(dataset, "train")])
    np.testing.assert_allclose(
        train_mean(None, manifest.splits["train"].statistics), log_mels.mean(axis=(0, 2))[:, np.newaxis], rtol=1e-5
    )
    per_pixel = log_mels.mean(axis=0)
    np.testing.assert_array_equal(train_mean({"mean": per_pixel.tolist(), "std": np.ones((80, 80)).tolist()}, {}), per_pixel)
