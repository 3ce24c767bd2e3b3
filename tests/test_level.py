"""The same music at other levels."""

import dataclasses

import keras
import numpy as np
import pytest

from keras_model.data.split_data import SplitData
from keras_model.evaluation.accuracies import Evaluation
from keras_model.evaluation.level import level_changes
from keras_model.level import at_level
from tests.conftest import synthetic_track
from tfrecords.front_end.log_mel import log_mel
from tfrecords.front_end.log_mel_spec import PRESETS, LogMelSpec


@pytest.mark.parametrize("preset", list(PRESETS))
@pytest.mark.parametrize("decibels", [-12, 6])
def test_log_mels_are_those_of_the_amplified_waveform(preset: str, decibels: float) -> None:
    spec = PRESETS[preset]
    track = synthetic_track("ticks", 3, seconds=spec.chunk_samples / 22050 + 0.1)
    chunks = 0.3 * track[np.newaxis, : spec.chunk_samples]
    expected = log_mel(chunks * np.float32(10 ** (decibels / 20)), spec=spec)
    np.testing.assert_allclose(at_level(log_mel(chunks, spec=spec), decibels=decibels, spec=spec), expected, atol=2e-3)
    assert np.abs(expected - log_mel(chunks, spec=spec)).max() > 0.25


def test_tracks_that_get_another_genre_are_counted() -> None:
    """A network that takes what is louder than a threshold for the second genre, and one that hears no level."""
    spec = dataclasses.replace(LogMelSpec(), n_mels=2, n_frames=3)
    levels = np.array([-1.0, 0.5, 2.0, 4.0])  # natural logarithms; 12 dB are 1.4
    log_mels = np.repeat(levels.astype(np.float32), 6).reshape(4, 2, 3)
    split = SplitData.from_arrays(log_mels, np.array([0, 1, 1, 1]), ["a", "b", "c", "d"], np.zeros(4, np.int64))
    inputs = keras.Input((2, 3, 1))
    mean = keras.ops.mean(inputs, axis=(1, 2))
    by_level = keras.Model(inputs, keras.ops.softmax(keras.ops.concatenate([-mean, mean], axis=1)))
    evaluation = Evaluation.of(by_level, split, ("soft", "loud"))
    assert evaluation.accuracies["maximum"] == 1.0
    assert level_changes(by_level, split, evaluation, spec=spec) == {
        "-12": {"maximum": 0.75, "changed": 0.25},
        "6": {"maximum": 1.0, "changed": 0.0},
    }
    deaf = keras.Model(inputs, keras.ops.softmax(keras.ops.concatenate([0 * mean, 0 * mean + 1], axis=1)))
    evaluation = Evaluation.of(deaf, split, ("soft", "loud"))
    assert [values["changed"] for values in level_changes(deaf, split, evaluation, spec=spec).values()] == [0.0, 0.0]
