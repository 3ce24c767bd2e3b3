"""Networks that hear neither how loud a chunk is nor what codecs take away of it."""

import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_model.level import at_level
from keras_model.networks.fused import implement
from keras_model.robust import heard
from tests.networks import build, with_random_statistics
from tfrecords.front_end.log_mel import log_mel
from tfrecords.front_end.log_mel_spec import PRESETS, LogMelSpec
from tfrecords.front_end.mel_filter_bank import band_edges_hz


def chunks(spec: LogMelSpec, *, n: int = 3) -> np.ndarray:
    """Log-mels of noise at the level of music, (n, n_mels, n_frames, 1)."""
    waveforms = np.random.default_rng(4).normal(0, 0.1, (n, spec.chunk_samples)).astype(np.float32)
    return log_mel(waveforms, spec=spec)[..., np.newaxis]


def numpy_of(values: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(values)


@pytest.mark.parametrize("preset", list(PRESETS))
@pytest.mark.parametrize("decibels", [-12, 6])
def test_level_is_not_heard(preset: str, decibels: float) -> None:
    spec = PRESETS[preset]
    log_mels = chunks(spec)
    expected = numpy_of(heard(log_mels, spec=spec))
    changed = at_level(log_mels, decibels=decibels, spec=spec)
    np.testing.assert_allclose(heard(changed, spec=spec), expected, atol=2e-4)
    assert np.abs(changed - log_mels).max() > 0.25


@pytest.mark.parametrize("preset", list(PRESETS))
def test_what_lies_above_10_khz_is_not_heard(preset: str) -> None:
    spec = PRESETS[preset]
    above = band_edges_hz(spec)[2:] > 10_000
    assert above.any() == (spec.fmax_hz > 10_000)
    log_mels = chunks(spec)
    cut_off = log_mels.copy()
    cut_off[:, above] -= 2.0
    np.testing.assert_array_equal(heard(cut_off, spec=spec), heard(log_mels, spec=spec))


@pytest.mark.parametrize("preset", list(PRESETS))
def test_what_is_far_below_a_chunks_mean_is_hardly_heard(preset: str) -> None:
    spec = PRESETS[preset]
    log_mels = chunks(spec)
    soft, softer = log_mels.copy(), log_mels.copy()
    soft[:, 10] = at_level(log_mels[:, 10], decibels=-20, spec=spec)
    softer[:, 10] = at_level(log_mels[:, 10], decibels=-60, spec=spec)
    decibels = 20 / spec.power / np.log(10) * (np.log(10) if spec.log_base == "10" else 1.0)
    floor = numpy_of(heard(softer, spec=spec))[:, 10]
    assert ((numpy_of(heard(log_mels, spec=spec))[:, 10] - floor) * decibels).mean() > 20, "at its level, far above the floor"
    assert ((numpy_of(heard(soft, spec=spec))[:, 10] - floor) * decibels).mean() > 10, "20 dB softer, still heard"
    gone = softer.copy()
    gone[:, 10] = np.log(spec.log_offset) / (np.log(10) if spec.log_base == "10" else 1.0)
    assert np.abs((numpy_of(heard(gone, spec=spec))[:, 10] - floor) * decibels).max() < 3


@pytest.mark.parametrize("preset", list(PRESETS))
def test_silence_stays_silent(preset: str) -> None:
    spec = PRESETS[preset]
    silence = log_mel(np.zeros((1, spec.chunk_samples), np.float32), spec=spec)[..., np.newaxis]
    np.testing.assert_allclose(heard(silence, spec=spec), silence, atol=1e-2)


@pytest.mark.parametrize("name", ["shallow", "deep", "bbnn"])
def test_every_network_can_be_robust(name: str) -> None:
    spec = PRESETS["paper"]
    robust, plain = (build(name, spec.shape, n_genres=3, robust_spec=robust_spec) for robust_spec in (spec, None))
    log_mels = chunks(spec)
    np.testing.assert_allclose(robust(log_mels), plain(heard(log_mels, spec=spec)), atol=1e-5)


def test_a_robust_network_is_of_keras_own_operations(tmp_path: Path) -> None:
    spec = PRESETS["paper"]
    model = with_random_statistics(build("shallow", spec.shape, n_genres=3, batchnorm=True, robust_spec=spec))
    log_mels = chunks(spec)
    stock = model(log_mels, training=False)
    model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as file:
        assert "keras_model" not in file.read("config.json").decode()
    loaded = implement(keras.models.load_model(tmp_path / "model.keras"), "fused")
    np.testing.assert_allclose(loaded(log_mels, training=False), stock, atol=1e-5)
