"""The probe: a linear classifier on the features of a frozen network that was pre-trained on music."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_model.networks.blocks import Size, genre_probabilities, log_mel_input
from keras_model.networks.settings import NetworkSettings
from keras_model.pretrained.musicnn import FEATURES, load_tagger


def probe(
    shape: Size,
    *,
    n_genres: int,
    settings: NetworkSettings,
    standardization: Mapping[str, Any] | None = None,
    synchronized: bool = True,
) -> keras.Model:
    """The part of the probe that is trained: the softmax of a linear layer, 2,010 parameters for 200 features and 10 genres.

    Features stand where other networks have log-mels, as 200 bands of one frame: they are standardised as those are.
    `with_tagger` puts what computes them before it.

    Arguments and result are those of `build_classifier`.
    """
    inputs, x = log_mel_input(shape, standardization)
    x = keras.layers.Flatten(name="flat")(x)
    # Its loss is convex: from zeros it gets to the same weights, and sooner than from any others.
    outputs = genre_probabilities(x, n_genres, l1=settings.l1, dropout=settings.dropout, initializer="zeros")
    return keras.Model(inputs, outputs, name="probe")


def tagger_features() -> keras.Model:
    """From log-mels of preset `musicnn`, (batch, 96, n_frames, 1), to the 200 features of the pre-trained tagger, (batch, 200).

    Raises:
        UsageError: If its weights are not on this machine.
    """
    tagger = load_tagger()
    return keras.Model(tagger.input, tagger.get_layer(FEATURES).output, name=tagger.name)


def with_tagger(trained: keras.Model) -> keras.Model:
    """The whole probe, from log-mels of preset `musicnn` to probabilities, with the weights of its trained part."""
    features = tagger_features()
    x = keras.layers.Reshape(trained.input_shape[1:], name="bands")(features.output)
    for layer in trained.layers[1:]:  # after its input
        x = layer(x)
    return keras.Model(features.input, x, name=trained.name)
