"""Writes the SavedModel in TF Serving's layout, `<folder>/<version>/`, and checks it before it gets its name."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from keras_model.front_end import FrontEnd
from keras_model.run_folder import FRONT_END_FILE, TrainingError
from keras_model.saved_model import load_saved_model
from keras_model.served_model import ServedModel
from tfrecords.log_mel import log_mel
from tfrecords.log_mel_spec import LogMelSpec

FEATURE_TOLERANCE = 1e-4
PROBABILITY_TOLERANCE = 1e-5


class ExportError(TrainingError):
    """A SavedModel that was not published: it cannot be written, or does not compute what pipeline and network compute."""


def export_model(model: keras.Model, front_end: FrontEnd, *, folder: Path) -> Path:
    """Exports a network with its front end as the folder's next version.

    Args:
        model: From (batch, n_mels, n_frames, 1) to probabilities.
        front_end: Of the dataset that the network was trained on.
        folder: Holds the versions; made where it is missing. A version is never overwritten.

    Returns:
        The version's folder.

    Raises:
        ExportError: If the reloaded model's features differ from the pipeline's, or its probabilities from the network's.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"the export folder {folder} cannot be made: {error.strerror}") from error
    version = 1 + max((int(path.name) for path in folder.iterdir() if path.name.isdecimal()), default=0)
    with _unpublished(folder) as unpublished:
        asset = unpublished / FRONT_END_FILE
        asset.write_text(front_end.to_json(), encoding="utf-8")
        served = ServedModel(model, front_end, asset)
        saved = unpublished / "saved_model"
        tf.saved_model.save(served, str(saved), signatures=served.signatures())
        with tf.device("CPU:0"):  # a GPU may round to TensorFloat-32, on both sides but not alike
            _check(saved, model, front_end.spec)
        # Last and at once: TF Serving polls the folder for versions.
        saved.rename(folder / str(version))
    return folder / str(version)


@contextmanager
def _unpublished(folder: Path) -> Iterator[Path]:
    """A temporary folder in `folder`, whose name TF Serving passes over."""
    path = Path(tempfile.mkdtemp(prefix=".export-", dir=folder))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def _check(saved: Path, model: keras.Model, spec: LogMelSpec) -> None:
    reloaded = load_saved_model(saved)
    chunks = check_signals(spec)
    expected = log_mel(chunks, spec=spec)
    features = reloaded.log_mel(tf.constant(chunks)).numpy()
    difference = float(np.abs(features - expected).max())
    if not difference <= FEATURE_TOLERANCE:
        raise ExportError(
            f"the served log-mels differ from the pipeline's by {difference:.2g}, more than {FEATURE_TOLERANCE:.0e}"
        )
    probabilities = model.predict(expected[..., np.newaxis], verbose=0)  # as a graph, with the fusions of the served one
    served = reloaded.signatures["serving_default"](log_mel=tf.constant(expected))["probabilities"].numpy()
    difference = float(np.abs(served - probabilities).max())
    if not difference <= PROBABILITY_TOLERANCE:
        raise ExportError(
            f"the served probabilities differ from the network's by {difference:.2g}, more than {PROBABILITY_TOLERANCE:.0e}"
        )


def check_signals(spec: LogMelSpec) -> NDArray[np.float32]:
    """Chunks that show a front end's differences, (5, chunk_samples): a tone, a sweep, noise loud and faint, silence."""
    time = np.arange(spec.chunk_samples) / spec.sample_rate
    noise = np.random.default_rng(0).standard_normal(time.size)
    sweep = np.sin(2 * np.pi * (50.0 * time + 0.45 * (spec.fmax_hz - 50.0) * time**2 / time[-1]))
    signals = (0.9 * np.sin(2 * np.pi * 440.0 * time), 0.5 * sweep, 0.2 * noise, 1e-4 * noise, np.zeros_like(time))
    return np.stack(signals).astype(np.float32)
