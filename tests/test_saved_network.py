"""`model.keras` is stock Keras: it loads where nothing but Keras is, on other backends too, and can be trained on there."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_model.networks.fused import implement
from keras_model.networks.pooled_convolution import PooledConvolution
from tests.helpers import records_of
from tests.networks import CASES, build, log_mels, with_random_statistics

# In a fresh process (-I: without this folder on its path), with a module in the way of each of the project's packages.
LOADED = """
import sys
for name in ("keras_model", "tfrecords", "beam_pipeline"):
    sys.modules[name] = None
import keras
import numpy as np

model_path, values_path, folder = sys.argv[1:]
model = keras.models.load_model(model_path)
values = np.load(values_path)
np.save(f"{folder}/probabilities.npy", model.predict(values, verbose=0))
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(
    values,
    np.arange(len(values)) % model.output_shape[1],
    validation_split=0.25,
    epochs=2,
    verbose=0,
    callbacks=[
        keras.callbacks.ModelCheckpoint(f"{folder}/best.keras", save_best_only=True),
        keras.callbacks.EarlyStopping(patience=5),
        keras.callbacks.ReduceLROnPlateau(),
        keras.callbacks.CSVLogger(f"{folder}/log.csv"),
    ],
)
assert np.isfinite(history.history["val_loss"]).all()
keras.models.load_model(f"{folder}/best.keras")
print(keras.backend.backend(), len(history.epoch))
"""


def load_and_fit(model: Path, values: np.ndarray, folder: Path, backend: str) -> np.ndarray:
    """The probabilities that a process without this project gives."""
    np.save(folder / "values.npy", values)
    done = subprocess.run(
        [sys.executable, "-I", "-c", LOADED, model, folder / "values.npy", folder],
        cwd=folder,
        env=os.environ | {"KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [backend, "2"]
    probabilities: np.ndarray = np.load(folder / "probabilities.npy")
    return probabilities


@pytest.mark.parametrize("backend", [pytest.param("tensorflow", marks=pytest.mark.long), "jax"])
def test_a_runs_network_loads_with_keras_alone(run: Path, dataset: Path, tmp_path: Path, backend: str) -> None:
    values = np.stack([record.log_mel for record in records_of(dataset, "test")])[..., np.newaxis]
    expected = implement(keras.models.load_model(run / "model.keras"), "fused").predict(values, verbose=0)
    assert expected.std(axis=0).max() > 1e-3
    np.testing.assert_allclose(load_and_fit(run / "model.keras", values, tmp_path, backend), expected, atol=1e-5)


@pytest.mark.parametrize(("name", "batchnorm"), CASES)
def test_every_network_is_of_keras_own_layers(name: str, batchnorm: bool, tmp_path: Path) -> None:
    """With the fused computation put in, too: it is no part of the network."""
    standardization = {"mean": np.full((40, 1), 11.5), "std": np.full((40, 1), 1.5)}
    model = with_random_statistics(build(name, (40, 60), n_genres=3, batchnorm=batchnorm, standardization=standardization))
    values = log_mels(4, (40, 60))
    stock = model.predict(values, verbose=0)
    implement(model, "fused")
    model.compile("sgd", "mse")
    np.testing.assert_allclose(model.predict(values, verbose=0), stock, atol=1e-5)
    model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as file:
        assert "keras_model" not in file.read("config.json").decode()
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(values, verbose=0), stock, atol=1e-6)


def test_auto_is_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build("shallow", (40, 40), n_genres=3)

    def is_fused() -> bool:
        return implement(model).call != type(model).call.__get__(model)

    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert is_fused()
    monkeypatch.setattr("keras_model.networks.fused.has_gpu", lambda: True)
    assert not is_fused()
    monkeypatch.setattr("keras_model.networks.fused.has_gpu", lambda: False)
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert not is_fused()
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    model.dtype_policy = "mixed_bfloat16"
    for flags, expected in ((set(), True), ({"avx512_bf16"}, False)):
        monkeypatch.setattr("keras_model.networks.fused._cpu_flags", lambda flags=flags: flags)
        assert is_fused() is expected
    assert implement(model, "stock").call == type(model).call.__get__(model)
    with pytest.raises(ValueError, match="implementation must be one of auto, stock, fused, got 'fast'"):
        implement(model, "fast")


@pytest.mark.parametrize(("name", "expected"), [("shallow", (2, 2)), ("deep", (2, 0))])
def test_small_windows_are_fused_in_training_alone(name: str, expected: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keras_model.networks.fused._is_fused_faster", lambda model: True)
    model = implement(build(name, (40, 60), n_genres=3))
    fused = []
    call = PooledConvolution.call

    def noting(layer: PooledConvolution, *arguments: Any, **options: Any) -> Any:
        fused.append(layer.name)
        return call(layer, *arguments, **options)

    monkeypatch.setattr(PooledConvolution, "call", noting)
    for training, n_fused in zip((True, False), expected, strict=True):
        fused.clear()
        model(log_mels(4, (40, 60)), training=training)
        assert len(fused) == n_fused
