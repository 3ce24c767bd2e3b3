"""A network on a split: its probabilities for every chunk, and the accuracies that follow."""

import keras
import numpy as np

from keras_model.data.split_data import SplitData
from keras_model.evaluation.accuracies import Evaluation

_BATCH_SIZE = 256


def evaluate_model(model: keras.Model, split: SplitData, genres: tuple[str, ...]) -> Evaluation:
    """Runs a network over a split, on all devices that it was made for, and compares its probabilities with the truth."""
    return Evaluation(
        genres=genres,
        probabilities=np.asarray(model.predict(split.ordered_batches(batch_size=_BATCH_SIZE), verbose=0)),
        labels=split.labels,
        track_ids=split.track_ids,
        chunk_indices=split.chunk_indices,
        places=split.places,
    )
