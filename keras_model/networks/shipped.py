"""The network that ships: the pre-trained tagger, and a genre layer that was trained on it. `gtzan_head.md` is its card."""

import io
from pathlib import Path

import keras
import numpy as np

from keras_model.networks.probe import tagger_features
from keras_model.run_folder import FrontEnd
from tfrecords.dataset.corpus import CorpusInfo
from tfrecords.dataset.gtzan import GENRES
from tfrecords.front_end.log_mel_spec import PRESETS

HEAD = Path(__file__).with_name("gtzan_head.npz")
CARD = HEAD.with_suffix(".md")


def load_shipped() -> tuple[keras.Model, FrontEnd]:
    """The network from log-mels of preset `musicnn` to GTZAN's genres, and what it hears.

    Raises:
        UsageError: If the tagger's weights are not on this machine, with the command that fetches them.
    """
    spec = PRESETS["musicnn"]
    features = tagger_features(spec.shape)
    layer = keras.layers.Dense(len(GENRES), activation="softmax", name="genre")
    model = keras.Model(features.input, layer(features.output), name="shipped")
    with np.load(HEAD, allow_pickle=False) as arrays:
        layer.set_weights([arrays["kernel"], arrays["bias"]])
    return model, FrontEnd(spec=spec, genres=GENRES, corpus=CorpusInfo(name="381 clips of GTZAN"), fingerprint="")


def head_of(trained: keras.Model) -> bytes:
    """The file of a genre layer: that of a trained `probe`, into which the standardisation of its features goes."""
    normalization, layer = trained.get_layer("standardization"), trained.get_layer("genre")
    mean, std = (np.asarray(values, np.float64).ravel() for values in (normalization.mean, np.sqrt(normalization.variance)))
    kernel, bias = (np.asarray(values, np.float64) for values in layer.get_weights())
    kernel = kernel / std[:, np.newaxis]
    file = io.BytesIO()
    np.savez(file, kernel=kernel.astype(np.float32), bias=(bias - mean @ kernel).astype(np.float32))
    return file.getvalue()
