"""Statistics of log-mels: those of NumPy, and the same in any order."""

import dataclasses
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrecords.front_end.log_mel_spec import PRESETS
from tfrecords.front_end.statistics import STD_FLOOR, LogMelStatistics, merged


@pytest.mark.parametrize(("preset", "axis"), [("schindler", 0), ("full80", (0, 2)), ("paper", None)])
def test_statistics_are_numpys(preset: str, axis: int | tuple[int, ...] | None) -> None:
    spec = dataclasses.replace(PRESETS[preset], n_mels=4, n_frames=6)
    log_mels = (11 + 1.5 * np.random.default_rng(0).standard_normal((30, *spec.shape))).astype(np.float32)
    log_mels[:, 2] = 5.0  # a band that never varies
    parts = [LogMelStatistics(spec), LogMelStatistics(spec), LogMelStatistics(spec)]
    for number, log_mel in enumerate(log_mels):
        parts[number % 2].add(log_mel[np.newaxis])
    merged = LogMelStatistics(spec)
    for part in parts:
        merged.merge(LogMelStatistics.unpack(part.pack(), spec=spec))
    summary, exact = merged.summary(), log_mels.astype(np.float64)
    assert merged.n_records == 30
    assert summary["mean"] == pytest.approx(exact.mean(), abs=1e-9)
    assert summary["std"] == pytest.approx(exact.std(), abs=1e-9)
    assert (summary["min"], summary["max"]) == (exact.min(), exact.max())
    np.testing.assert_allclose(summary["band_mean"], exact.mean(axis=(0, 2)), atol=1e-9)
    np.testing.assert_allclose(summary["band_std"], exact.std(axis=(0, 2)), atol=1e-6)
    standardization = merged.standardization()
    if axis is None:
        assert standardization is None
        return
    assert standardization is not None
    expected_std = np.maximum(exact.std(axis=axis, keepdims=True), STD_FLOOR)[0]
    np.testing.assert_allclose(standardization["mean"], exact.mean(axis=axis, keepdims=True)[0], atol=1e-9)
    np.testing.assert_allclose(standardization["std"], expected_std, atol=1e-9)
    assert np.min(standardization["std"]) == STD_FLOOR


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6), st.randoms())
def test_statistics_are_the_same_in_any_order(sizes: list[int], random: Random) -> None:
    spec = PRESETS["schindler"]
    rng = np.random.default_rng(0)
    packed = []
    for size in sizes:
        statistics = LogMelStatistics(spec)
        if size:
            statistics.add(rng.normal(-5, 3, (size, *spec.shape)).astype(np.float32))
        packed.append(statistics.pack())
    whole = merged(packed)
    random.shuffle(packed)
    middle = random.randint(1, len(packed))
    parts = [merged(part) for part in (packed[:middle], packed[middle:]) if part]
    assert merged(parts) == whole
    assert LogMelStatistics.unpack(whole, spec=spec).n_records == sum(sizes)
