"""What a run trains with: by which statistics its network standardises, and what masks are filled with."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_model.data.train_and_test import load_train_and_test
from keras_model.options import TrainOptions
from keras_model.robust import heard
from tests.tiny_dataset import SPEC, TinyDataset
from tfrecords.front_end.statistics import STD_FLOOR


@pytest.mark.parametrize("folds", [{}, {"folds": 2, "fold": 1}], ids=["split", "fold"])
@pytest.mark.parametrize("preset", ["none", "per_band", "per_pixel"])
@pytest.mark.parametrize("standardize", [None, "per_band"])
@pytest.mark.parametrize("robust", [False, True])
def test_a_network_standardizes_by_what_it_is_trained_on(
    preset: Any, standardize: str | None, robust: bool, folds: dict[str, Any], tmp_path: Path
) -> None:
    tiny = TinyDataset(tmp_path / "tiny", spec=dataclasses.replace(SPEC, standardization=preset))
    for records in tiny.shards.values():
        for record in records:
            record.log_mel[2] = 7.0  # a band that never varies
    tiny.write()
    options = TrainOptions(data=tiny.folder, standardize=standardize, robust=robust, **folds)
    data = load_train_and_test(options, tiny.manifest)
    assert data.train.cached is not None
    log_mels = data.train.cached.numpy()[..., 0]
    if robust:  # what masks show is put in before the network hears it
        np.testing.assert_allclose(data.mean, log_mels.mean(axis=(0, 2), dtype=np.float64)[:, np.newaxis], rtol=1e-6)
        log_mels = heard(data.train.cached, spec=tiny.spec).numpy()[..., 0]
    kind = standardize or preset
    mean = log_mels.mean(axis=0 if kind == "per_pixel" else (0, 2), dtype=np.float64).reshape(SPEC.n_mels, -1)
    std = log_mels.std(axis=0 if kind == "per_pixel" else (0, 2), dtype=np.float64).reshape(SPEC.n_mels, -1)
    if not robust:
        np.testing.assert_allclose(data.mean, mean, rtol=1e-6)
    if kind == "none":
        assert data.standardization is None
        return
    assert data.standardization is not None
    np.testing.assert_allclose(data.standardization["mean"], mean, rtol=1e-9)
    np.testing.assert_allclose(data.standardization["std"], np.maximum(std, STD_FLOOR), rtol=1e-6)
    assert np.min(data.standardization["std"]) == STD_FLOOR
