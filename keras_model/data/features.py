"""What a frozen network makes of a run's log-mels, computed once, in place of them."""

import dataclasses

import keras
import numpy as np
from numpy.typing import NDArray

from keras_model.data.split_data import SplitData
from keras_model.data.train_and_test import TrainAndTest
from tfrecords.front_end.statistics import STD_FLOOR

_BATCH_SIZE = 64


def features_of(data: TrainAndTest, network: keras.Model) -> TrainAndTest:
    """The same records as features, which are kept in memory.

    Args:
        data: Of a run, with the labels of every record.
        network: From log-mels (batch, n_mels, n_frames, 1) to features (batch, n_features).

    Returns:
        The data with (n_features, 1) for (n_mels, n_frames), and the statistics of its own train split to standardise with.
    """

    def through(split: SplitData) -> SplitData:
        features = outputs_of(split, network)[..., np.newaxis]
        return SplitData.from_arrays(features, split.labels, split.track_ids, split.chunk_indices, places=split.places)

    train = through(data.train)
    features = np.asarray(train.cached)[..., 0]  # (n_records, n_features, 1)
    mean, std = features.mean(axis=0), np.maximum(features.std(axis=0), STD_FLOOR)
    return dataclasses.replace(
        data,
        train=train,
        validation=data.validation and through(data.validation),
        test=through(data.test),
        standardization={"mean": mean, "std": std},
        mean=mean,
    )


def outputs_of(split: SplitData, network: keras.Model) -> NDArray[np.float32]:
    """What a network makes of each record of a split, (n_records, n_values)."""
    outputs: NDArray[np.float32] = network.predict(split.ordered_batches(batch_size=_BATCH_SIZE), verbose=0)
    return outputs
