"""What tests of serving share: a reloaded model, WAV bytes, and what the pipeline's front end gives for them."""

import functools
import io
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import tensorflow as tf
from numpy.typing import NDArray

from keras_model.networks.classifiers import load_model
from keras_model.prediction.track import Prediction, chosen_chunks
from keras_model.run_folder import FrontEnd
from tests.conftest import SAMPLE_RATE
from tfrecords.audio import decode_audio
from tfrecords.front_end.log_mel import cut_chunks, log_mel


def version_of(run: Path) -> Path:
    """The SavedModel of the session's finished run."""
    return run / "export" / "genres" / "1"


def front_end_of(run: Path) -> FrontEnd:
    return FrontEnd.from_json((run / "front_end.json").read_text(encoding="utf-8"))


def wav(waveform: NDArray[Any], sample_rate: int = SAMPLE_RATE, *, subtype: str = "PCM_16") -> bytes:
    """A WAV file of (n_samples,) or (n_samples, n_channels)."""
    file = io.BytesIO()
    soundfile.write(file, waveform, sample_rate, format="WAV", subtype=subtype)
    return file.getvalue()


load_model_once = functools.cache(load_model)


def by_pipeline(run: Path, data: bytes, *, n_wanted: int | None = None) -> Prediction:
    """What the run's Keras model says of a file, with the pipeline's own decoding, resampling and front end."""
    front_end = front_end_of(run)
    spec = front_end.spec
    waveform = decode_audio(data, sample_rate=spec.sample_rate).waveform
    starts = chosen_chunks(spec.n_candidate_chunks(len(waveform)), n_wanted) * spec.chunk_step
    features = log_mel(cut_chunks(waveform, starts, spec=spec), spec=spec)
    probabilities = np.asarray(load_model_once(run / "model.keras")(features[..., np.newaxis], training=False))
    return Prediction(
        genres=front_end.genres,
        chunk_probabilities=probabilities,
        chunk_start_seconds=starts / spec.sample_rate,
        seconds=len(waveform) / spec.sample_rate,
    )


def rows(answer: dict[str, tf.Tensor]) -> list[dict[str, Any]]:
    """A signature's answer item by item, strings as str."""
    values = {name: tensor.numpy().tolist() for name, tensor in answer.items()}

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(one) for one in value]
        return value.decode() if isinstance(value, bytes) else value

    return [{name: plain(value[row]) for name, value in values.items()} for row in range(len(values["genre"]))]
