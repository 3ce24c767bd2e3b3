"""The probe: a linear classifier on the features of a frozen network that was pre-trained on music."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_model.networks.blocks import Size, genre_probabilities, log_mel_input
from keras_model.networks.hearing import tagger_input, tagger_up_to
from keras_model.networks.settings import NetworkSettings
from keras_model.pretrained.musicnn import FEATURES, POOLED


def probe(
    shape: Size,
    *,
    n_genres: int,
    settings: NetworkSettings,
    standardization: Mapping[str, Any] | None = None,
    synchronized: bool = True,
) -> keras.Model:
    """The part of the probe that is trained: the softmax of a linear layer, 7,130 parameters for 712 features and 10 genres.

    Features stand where other networks have log-mels, as bands of one frame: they are standardised as those are.
    `with_tagger` puts what computes them before it.

    Arguments and result are those of `build_classifier`.
    """
    inputs, x = log_mel_input(shape, standardization)
    x = keras.layers.Flatten(name="flat")(x)
    # Its loss is convex: from zeros it gets to the same weights, and sooner than from any others.
    outputs = genre_probabilities(x, n_genres, l1=settings.l1, dropout=settings.dropout, initializer="zeros")
    return keras.Model(inputs, outputs, name="probe")


def tagger_features(shape: Size) -> keras.Model:
    """From log-mels of preset `musicnn`, (batch, *shape, 1), to the tagger's features, (batch, 712).

    They are the 200 that its tags are made of, and the maxima and means over time of its convolutions, 512, that those 200 are
    made of: with both, the probe is right more often than with either.

    Raises:
        UsageError: If its weights are not on this machine.
    """
    inputs, leveled = tagger_input(shape)
    return keras.Model(inputs, tagger_up_to(POOLED, FEATURES)(leveled))


def with_tagger(trained: keras.Model, shape: Size, *, name: str = "probe", trainable: bool = False) -> keras.Model:
    """The whole network, from log-mels of preset `musicnn` to probabilities, with the weights of its trained part.

    Args:
        trained: A `probe`.
        shape: (n_mels, n_frames) of the log-mels.
        name: Of the network.
        trainable: Whether the tagger's kernels can be trained; its batch normalisation stays as it is.
    """
    features = tagger_features(shape)
    if trainable:
        tagger = features.layers[-1]
        tagger.trainable = True
        for layer in tagger.layers:
            layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    x = keras.layers.Reshape(trained.input_shape[1:], name="bands")(features.output)
    for layer in trained.layers[1:]:  # after its input
        x = layer(x)
    return keras.Model(features.input, x, name=name)
