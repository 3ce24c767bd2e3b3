"""Shards and arrays to batches: their order, where an epoch can be entered, and what is in a batch."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_model.data.split_data import SplitData, load_split
from tfrecords.dataset.folder import read_dataset


def samples_of(split: SplitData, *, seed: int, epoch: int, n_epochs: int = 1) -> list[tuple[float, int]]:
    """The first pixel and the label of each sample, in order."""
    batches = split.training_batches(batch_size=20, n_genres=3, seed=seed, first_epoch=epoch, n_epochs=epoch + n_epochs)
    return [
        (float(log_mel[0, 3, 0]), int(np.argmax(target)))
        for log_mels, targets, _ in batches
        for log_mel, target in zip(log_mels.numpy(), targets.numpy(), strict=True)
    ]


@pytest.fixture(params=[2**30, 0], ids=["cached", "streamed"])
def split(dataset: Path, request: pytest.FixtureRequest) -> SplitData:
    """The train split, of 48 records."""
    opened = load_split(dataset, read_dataset(dataset), "train", cache_bytes=request.param, for_training=True)
    assert (opened.cached is None) == (request.param == 0)
    return opened


def test_order_of_samples_is_a_function_of_seed_and_epoch(split: SplitData) -> None:
    epochs = [samples_of(split, seed=7, epoch=epoch) for epoch in range(3)]
    assert [len(epoch) for epoch in epochs] == [48, 48, 48], "every sample of an epoch is used"
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(epochs[2])
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert samples_of(split, seed=7, epoch=1) == epochs[1]
    assert samples_of(split, seed=8, epoch=0) != epochs[0]


def test_epochs_come_one_after_the_other(split: SplitData) -> None:
    assert split.n_batches(20) == 3
    several = samples_of(split, seed=7, epoch=4, n_epochs=3)
    assert several == [sample for epoch in (4, 5, 6) for sample in samples_of(split, seed=7, epoch=epoch)]


def test_what_augments_sees_epoch_and_step(split: SplitData) -> None:
    def number(epoch: tf.Tensor, step: tf.Tensor, log_mels: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.zeros_like(log_mels) + tf.cast(100 * epoch + step, tf.float32), 0.5 * targets

    batches = list(split.training_batches(batch_size=20, n_genres=3, seed=7, first_epoch=1, n_epochs=3, augment=number))
    assert [np.unique(log_mels).tolist() for log_mels, _, _ in batches] == [[100], [101], [102], [200], [201], [202]]
    assert {float(np.max(targets)) for _, targets, _ in batches} == {0.5}


@pytest.mark.parametrize("n_replicas", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 6, 8])
def test_no_replica_goes_without(n_replicas: int, size: int) -> None:
    """TensorFlow deals equal shares, the last ones smaller; the weights of a batch are 1 in all, each sample's alike."""
    split = SplitData.from_arrays(np.arange(size * 6.0).reshape(size, 2, 3), np.arange(size), ["a"] * size, np.arange(size))
    ((log_mels, targets, weights),) = split.training_batches(
        batch_size=8, n_genres=8, seed=0, n_epochs=1, n_replicas=n_replicas, dtype="float64"
    )
    share = -(-len(targets) // n_replicas)
    assert len(log_mels) == len(targets) == len(weights) > share * (n_replicas - 1), "the last share is not empty"
    assert len(targets) in (size, size * n_replicas)
    np.testing.assert_allclose((targets.numpy() * weights.numpy()[:, np.newaxis]).sum(axis=0)[:size], 1 / size)
    assert weights.dtype == tf.float64


def test_the_tracks_of_a_batch(split: SplitData, dataset: Path) -> None:
    ordered = load_split(dataset, read_dataset(dataset), "train", cache_bytes=2**30)
    assert ordered.cached is not None
    track_of = dict(zip(ordered.cached.numpy()[:, 0, 3, 0].tolist(), ordered.track_ids, strict=True))
    samples = samples_of(split, seed=7, epoch=2)
    for step, size in ((0, 20), (2, 8)):
        tracks = split.tracks_of_batch(batch_size=20, seed=7, epoch=2, step=step)
        assert tracks == list(dict.fromkeys(track_of[pixel] for pixel, _ in samples[20 * step :][:size]))


def test_cached_and_streamed_splits_hold_the_same(dataset: Path) -> None:
    manifest = read_dataset(dataset)
    cached, streamed = (load_split(dataset, manifest, "test", cache_bytes=size) for size in (2**30, 0))
    assert cached.track_ids == streamed.track_ids
    assert cached.labels.tolist() == streamed.labels.tolist()
    for one, other in zip(cached.ordered_batches(batch_size=10), streamed.ordered_batches(batch_size=10), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_split_from_arrays() -> None:
    log_mels = np.random.default_rng(0).normal(size=(5, 3, 4))
    split = SplitData.from_arrays(log_mels, np.array([0, 1, 2, 0, 1]), ["a", "a", "b", "b", "c"], np.arange(5))
    assert (split.shape, split.n_records, split.n_batches(2)) == ((3, 4), 5, 3)
    (batch,) = split.ordered_batches(batch_size=9)
    np.testing.assert_array_equal(batch, log_mels[..., np.newaxis].astype(np.float32))
    ((log_mels_of_batch, targets, weights),) = split.training_batches(batch_size=9, n_genres=4, seed=0, n_epochs=1)
    assert (log_mels_of_batch.shape, targets.shape) == ((5, 3, 4, 1), (5, 4))
    np.testing.assert_allclose(weights, [0.2] * 5)
    with pytest.raises(ValueError, match=r"need a label, a track and a chunk index for each of 5 log-mels, got \(4, 5, 5\)"):
        SplitData.from_arrays(log_mels, np.zeros(4, int), ["a"] * 5, np.arange(5))
