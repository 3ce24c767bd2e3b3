"""What a linear classifier makes of the mean and deviation of each band: what a network has to beat to be worth its training."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from keras_model.evaluation.intervals import wilson_interval
from tfrecords.records import schema
from tfrecords.records.shard_records import made_ahead

if TYPE_CHECKING:
    from keras_model.data.split_data import SplitData

# Inverse strength of the L2 penalty: the best of eight by cross-validation within the train tracks of 381 clips of GTZAN, where
# those from 0.03 to 10 are within five points. Fixed, for a baseline that is tuned to the data is a method of its own.
_C = 0.1
_MOST_ITERATIONS = 1000
# Of the train split, so that a dataset of a million tracks costs seconds too. GTZAN has 11,250, with --augment 29,250.
_MOST_RECORDS = 32_768
_BLOCK = 256

# Log-mels (n, n_mels, n_frames), their labels and the ids of their tracks.
_Block = tuple[NDArray[np.float32], list[int], list[str]]


def band_statistics_baseline(train: "SplitData", test: "SplitData", *, n_frames: int) -> dict[str, Any] | None:
    """A logistic regression on the means and standard deviations of a track's bands, over the frames of all of its chunks.

    Args:
        train: What it is fit on, as far as its first 32,768 records go; features are standardised by these. Deformed chunks
            count as their tracks' own.
        test: What it is tested on, all of it.
        n_frames: Frames of a log-mel that repeat no other.

    Returns:
        What `metrics.json` holds: `accuracy` of tracks in 0..1, its 95 % `interval`, `n_tracks` tested on, `n_train_tracks` and
        `n_train_records` fit on. None where there is nothing to fit: one genre alone, or log-mels that are not finite.
    """
    n_records = min(train.n_records, _MOST_RECORDS)
    features, labels = _band_statistics(_blocks(train, n_records), n_frames)
    tested, truth = _band_statistics(_blocks(test, test.n_records), n_frames)
    if len(np.unique(labels)) < 2 or not (np.isfinite(features).all() and np.isfinite(tested).all()):
        return None
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=_C, max_iter=_MOST_ITERATIONS))
    accuracy = float(classifier.fit(features, labels).score(tested, truth))
    return {
        "accuracy": accuracy,
        "interval": wilson_interval(accuracy, len(truth)),
        "n_tracks": len(truth),
        "n_train_tracks": len(labels),
        "n_train_records": n_records,
    }


def _blocks(split: "SplitData", n_records: int) -> Iterator[_Block]:
    """A split's first records, from memory, or from its shards: of a train split that is streamed nothing was read yet."""
    if split.cached is None:
        for serialized in made_ahead(split.records.in_order().take(n_records).batch(_BLOCK)):
            record = schema.parse_batch(serialized, shape=split.shape)
            log_mels, labels, track_ids = (record[key].numpy() for key in (schema.LOG_MEL, schema.LABEL, schema.TRACK_ID))
            yield log_mels, labels.tolist(), [track_id.decode() for track_id in track_ids]
        return
    for first in range(0, n_records, _BLOCK):
        rows = slice(first, min(first + _BLOCK, n_records))
        yield split.cached[rows, ..., 0].numpy(), split.labels[rows].tolist(), split.track_ids[rows]


def _band_statistics(blocks: Iterator[_Block], n_frames: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Mean and standard deviation of each band of each track, (n_tracks, 2 · n_mels), and the tracks' labels, (n_tracks,)."""
    sums: dict[str, Any] = defaultdict(float)  # of the values and of their squares, a mean over the frames of each chunk
    n_chunks: Counter[str] = Counter()
    label_of: dict[str, int] = {}
    for log_mels, labels, track_ids in blocks:
        values = log_mels[..., :n_frames].astype(np.float64)
        for track_id, label, *moments in zip(track_ids, labels, values.mean(axis=2), (values**2).mean(axis=2), strict=True):
            sums[track_id] += np.stack(moments)
            n_chunks[track_id] += 1
            label_of[track_id] = label
    mean, squares = np.stack([sums[track_id] / n_chunks[track_id] for track_id in label_of], axis=1)
    std = np.sqrt(np.maximum(squares - mean**2, 0.0))
    return np.concatenate([mean, std], axis=1), np.asarray(list(label_of.values()))
