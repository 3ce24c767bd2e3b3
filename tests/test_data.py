"""Shards to batches: their order, and what replicas get."""

from pathlib import Path

import numpy as np
import pytest

from keras_model.dataset import SplitData, load_split
from tfrecords.manifest import read_dataset


def epochs_of(split: SplitData, *, seed: int, n_epochs: int) -> list[list[tuple[float, int]]]:
    """Per epoch the first pixel and the label of each sample, in order."""
    return [
        [
            (float(log_mel[0, 3, 0]), int(target.argmax()))
            for log_mels, targets in split.training_batches(batch_size=16, n_genres=3, seed=seed, epoch=epoch)
            for log_mel, target in zip(log_mels.numpy(), targets.numpy(), strict=True)
        ]
        for epoch in range(n_epochs)
    ]


@pytest.mark.parametrize("cache_bytes", [2**30, 0])
def test_order_of_samples_is_a_function_of_seed_and_epoch(dataset: Path, cache_bytes: int) -> None:
    manifest = read_dataset(dataset)
    split = load_split(dataset, manifest, "train", cache_bytes=cache_bytes, for_training=True)
    assert (split.cached is None) == (cache_bytes == 0)
    epochs = epochs_of(split, seed=7, n_epochs=3)
    assert [len(epoch) for epoch in epochs] == [48, 48, 48]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(epochs[2])
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert epochs_of(split, seed=7, n_epochs=2) == epochs[:2]
    assert epochs_of(split, seed=8, n_epochs=1) != epochs[:1]


def test_cached_and_streamed_splits_hold_the_same(dataset: Path) -> None:
    manifest = read_dataset(dataset)
    cached, streamed = (load_split(dataset, manifest, "test", cache_bytes=size) for size in (2**30, 0))
    assert cached.track_ids == streamed.track_ids
    assert cached.labels.tolist() == streamed.labels.tolist()
    for one, other in zip(cached.ordered_batches(batch_size=10), streamed.ordered_batches(batch_size=10), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("cache_bytes", [2**30, 0])
def test_an_epoch_goes_on_at_any_step(dataset: Path, cache_bytes: int) -> None:
    split = load_split(dataset, read_dataset(dataset), "train", cache_bytes=cache_bytes, for_training=True)

    def batches(first_step: int) -> list[np.ndarray]:
        epoch = split.training_batches(batch_size=20, n_genres=3, seed=4, epoch=1, first_step=first_step)
        return [log_mels.numpy() for log_mels, _ in epoch]

    whole = batches(0)
    assert [len(batch) for batch in whole] == [20, 20, 8]
    assert split.n_batches(20) == 3
    for first_step in range(3):
        for one, other in zip(batches(first_step), whole[first_step:], strict=True):
            np.testing.assert_array_equal(one, other)
