"""Builds a network by its name, and loads a saved one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from keras_model.networks.bbnn import bbnn
from keras_model.networks.deep import deep
from keras_model.networks.fused import implement
from keras_model.networks.probe import probe
from keras_model.networks.settings import network_settings
from keras_model.networks.shallow import shallow
from tfrecords.command_line.programs import program
from tfrecords.errors import UsageError, first_line
from tfrecords.front_end.log_mel_spec import LogMelSpec

_BUILDERS = {"shallow": shallow, "deep": deep, "bbnn": bbnn, "probe": probe}


def build_classifier(
    name: str,
    shape: tuple[int, int],
    *,
    n_genres: int,
    batchnorm: bool = False,
    l1: float | None = None,
    dropout: float | None = None,
    robust_spec: LogMelSpec | None = None,
    standardization: Mapping[str, Any] | None = None,
    synchronized: bool = True,
) -> keras.Model:
    """The network of a name, not compiled.

    Args:
        name: One of `NETWORKS`; those that begin with what the tagger makes of their data are built by `prepare`.
        shape: (n_mels, n_frames) of the input; for `probe` (n_features, 1).
        n_genres: Number of classes.
        batchnorm: Whether batch normalisation is added; not to `bbnn` and `probe`, which always have it.
        l1: L1 penalty on every kernel; None for the network's own.
        dropout: Rate before the genre layer; None for the network's own.
        robust_spec: Of the log-mels, for a network that hears neither their level nor what codecs take away; None for not.
        standardization: `mean` and `std` of the dataset's manifest, (n_mels, 1) or (n_mels, n_frames); None for none.
        synchronized: Whether batch normalisation takes its statistics from all replicas together.

    Returns:
        Model from (batch, n_mels, n_frames, 1) float32 to probabilities (batch, n_genres).

    Raises:
        UsageError: If there is no such network, the shape is too small for it, or it cannot be built as asked.
    """
    settings = network_settings(name, batchnorm=batchnorm, l1=l1, dropout=dropout, robust_spec=robust_spec)
    if name not in _BUILDERS:
        raise UsageError(f"the network {name} is made of its train split: {program('train')} --model {name}")
    return _BUILDERS[name](
        shape, n_genres=n_genres, settings=settings, standardization=standardization, synchronized=synchronized
    )


def load_model(path: Path, convolution: str = "auto") -> Any:
    """Loads a network that a run saved; for inference, so without optimiser.

    Args:
        path: Of the file.
        convolution: How its first convolutions are computed, as for `implement`.

    Raises:
        UsageError: If it cannot be loaded.
    """
    try:
        return implement(keras.models.load_model(path, compile=False), convolution)
    except MemoryError:
        raise
    except Exception as error:  # Keras, zipfile and h5py have errors of every kind
        raise UsageError(f"{path} is damaged: {first_line(error)}") from error
