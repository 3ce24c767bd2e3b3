"""How many decisions of a network change when the same music is softer or louder."""

import functools
from typing import TYPE_CHECKING

from keras_model.evaluation.accuracies import Evaluation
from keras_model.level import at_level
from tfrecords.front_end.log_mel_spec import LogMelSpec

if TYPE_CHECKING:
    import keras

    from keras_model.data.split_data import SplitData

_DECIBELS = (-12, 6)


def level_changes(
    model: "keras.Model", split: "SplitData", evaluation: Evaluation, *, spec: LogMelSpec
) -> dict[str, dict[str, float]]:
    """What becomes of a split's tracks, by maximum probability, at other levels.

    Args:
        model: From log-mels (batch, n_mels, n_frames, 1) to probabilities.
        split: Its log-mels.
        evaluation: Of the network on the split as it is.
        spec: Of the log-mels.

    Returns:
        By decibels, "-12" and "6", the accuracy at that level, `maximum`, and the share of the tracks that get another genre,
        `changed`.
    """
    results = {}
    for decibels in _DECIBELS:
        change = functools.partial(at_level, decibels=decibels, spec=spec)
        found = Evaluation.of(model, split, evaluation.genres, change=change)
        changed = float((found.votes.maximum != evaluation.votes.maximum).mean())
        results[str(decibels)] = {"maximum": found.accuracies["maximum"], "changed": changed}
    return results
