"""Shards and arrays to batches: their order, where an epoch can be entered, and what is in a batch."""

from pathlib import Path

import numpy as np
import pytest

from keras_model.training.dataset import SplitData, load_split
from tfrecords.manifest import read_dataset


def samples_of(split: SplitData, *, seed: int, epoch: int, first_step: int = 0, batch_size: int = 20) -> list[tuple[float, int]]:
    """The first pixel and the label of each sample, in order."""
    batches = split.training_batches(batch_size=batch_size, n_genres=3, seed=seed, epoch=epoch, first_step=first_step)
    return [
        (float(log_mel[0, 3, 0]), int(np.argmax(target)))
        for log_mels, targets in batches
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


def test_an_epoch_can_be_entered_at_any_step(split: SplitData) -> None:
    whole = samples_of(split, seed=7, epoch=4)
    assert split.n_batches(20) == 3
    for first_step in range(4):
        assert samples_of(split, seed=7, epoch=4, first_step=first_step) == whole[20 * first_step :]


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
    ((log_mels_of_batch, targets),) = split.training_batches(batch_size=9, n_genres=4, seed=0, epoch=0)
    assert (log_mels_of_batch.shape, targets.shape) == ((5, 3, 4, 1), (5, 4))
    with pytest.raises(ValueError, match=r"need a label, a track and a chunk index for each of 5 log-mels, got \(4, 5, 5\)"):
        SplitData.from_arrays(log_mels, np.zeros(4, int), ["a"] * 5, np.arange(5))
