"""Neural model reprogramming (Hung, Yang, Chen and Lerch 2023, arXiv:2211.01317) of the pre-trained tagger.

The tagger stays as it is. What is trained stands before it and changes what it hears, and its tags are mapped to genres, several
to one. The paper leaves open, or has for other networks, what is here:

- what the transformation is when the training begins: that which changes nothing, so that it begins with what the mapping gives;
- how many values its layers have: as many as there are bands, and three frames for the convolutions (64,800 parameters);
- which tags stand for a genre: the paper deals them out in their own order, and here the train tracks decide (`TagMapping`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import keras
import numpy as np
from numpy.typing import NDArray

from keras_model.networks.blocks import Size
from keras_model.networks.hearing import tagger_input, tagger_up_to
from keras_model.networks.settings import NetworkSettings
from keras_model.pretrained.musicnn import LOGITS

_SILENCE = -4.0  # the log-mel of nothing: the transformations count from there, as the tagger's own logarithm does
_TRANSFORMATION = ("transformed_bands", "first_convolution", "second_convolution")
_N_FRAMES = 3  # of a convolution
_SHARPNESS = 2.5  # of the softmax over standardised scores: of the least cross-entropy before anything is trained
_LEAST = 1e-6  # of a deviation, and of a weight


@dataclass(frozen=True, kw_only=True, eq=False)
class TagMapping:
    """Which tags stand for which genre, and what their logits are like.

    Attributes:
        genre_of_tag: (n_tags,) int.
        mean: Of each tag's logit over the train tracks, (n_tags,).
        std: Its standard deviation, (n_tags,).
        kernel: From standardised logits to the scores of the genres, (n_tags, n_genres), 0 but for each tag's own genre.
        bias: Of the scores, (n_genres,).
    """

    genre_of_tag: NDArray[np.int64]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]

    @classmethod
    def of(cls, logits: NDArray[np.float32], *, labels: NDArray[np.int64], track_ids: Sequence[str], n_genres: int) -> Self:
        """Gives each tag to the genre whose train tracks activate it most, and each genre at least one.

        Activation is the mean over a genre's tracks of a track's mean logit, standardised over all tracks. A genre that is no
        tag's first takes the one that it activates most among those of genres that keep another.

        The score of a genre sums its tags' standardised logits, each weighted by how much more its genre activates it than the
        next one does; brought to mean 0 and one deviation over the train tracks, so that no genre is favoured for its tags.

        Args:
            logits: Of the tags for each train record, (n_records, n_tags).
            labels: (n_records,).
            track_ids: (n_records,).
            n_genres: At most as many as there are tags.
        """
        tracks, first, of_record = np.unique(np.asarray(track_ids), return_index=True, return_inverse=True)
        sums = np.zeros((len(tracks), logits.shape[1]))
        np.add.at(sums, of_record, logits)
        standardized, mean, std = _standardized(sums / np.bincount(of_record)[:, np.newaxis])
        genres = labels[first]
        activation = np.stack([standardized[genres == genre].mean(axis=0) for genre in range(n_genres)])  # (n_genres, n_tags)
        genre_of_tag = activation.argmax(axis=0)
        for genre in range(n_genres):
            n_tags = np.bincount(genre_of_tag, minlength=n_genres)
            if not n_tags[genre]:
                genre_of_tag[np.where(n_tags[genre_of_tag] > 1, activation[genre], -np.inf).argmax()] = genre
        next_best, best = np.sort(activation, axis=0)[-2:]
        weights = np.maximum(best - next_best, _LEAST)[:, np.newaxis] * (genre_of_tag[:, np.newaxis] == np.arange(n_genres))
        _, score_mean, score_std = _standardized(standardized @ weights)
        return cls(
            genre_of_tag=genre_of_tag,
            mean=mean.astype(np.float32),
            std=std.astype(np.float32),
            kernel=(_SHARPNESS * weights / score_std).astype(np.float32),
            bias=(-_SHARPNESS * score_mean / score_std).astype(np.float32),
        )


def _standardized(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Columns to mean 0 and deviation 1, with what they had."""
    mean, std = values.mean(axis=0), np.maximum(values.std(axis=0), _LEAST)
    return (values - mean) / std, mean, std


def reprogrammed(
    shape: Size, *, mapping: TagMapping, n_genres: int, reprogramming: str, settings: NetworkSettings
) -> keras.Model:
    """The frozen tagger with a trained transformation before it and a fixed mapping after it.

    Args:
        shape: (n_mels, n_frames) of preset `musicnn`'s log-mels.
        mapping: Of the tags to genres.
        n_genres: Number of classes.
        reprogramming: One of REPROGRAMMINGS. `noise` adds one pattern to every input (the paper's II-NMR; n_mels · n_frames
            parameters); `input` puts a transformation of each input in its place (ID-NMR): a linear layer over the bands, and two
            convolutions over time with a ReLU between; `skip` adds that transformation to the input (IDS-NMR).
        settings: Of these, `l1` is on the transformation, and `dropout` drops tags.

    Returns:
        Model from (batch, n_mels, n_frames, 1) float32 to probabilities (batch, n_genres).

    Raises:
        UsageError: If the tagger's weights are not on this machine.
    """
    inputs, x = tagger_input(shape)
    x = x - _SILENCE
    x = _WAYS[reprogramming](x, shape, keras.regularizers.L1(settings.l1)) + _SILENCE
    x = tagger_up_to(LOGITS)(x)
    x = keras.layers.Normalization(mean=mapping.mean, variance=mapping.std**2, name="standardized_tags")(x)
    x = keras.layers.Dropout(settings.dropout, name="dropout")(x)
    outputs = keras.layers.Dense(n_genres, activation="softmax", trainable=False, name="genre")(x)
    model = keras.Model(inputs, outputs, name="reprogrammed")
    model.get_layer("genre").set_weights([mapping.kernel, mapping.bias])
    if reprogramming == "input":
        _begin_with_the_input(model)
    return model


def _with_noise(x: Any, shape: Size, l1: keras.regularizers.Regularizer) -> Any:
    """One pattern for all inputs: as the embedding of the one word that there is. At first it is zero."""
    word = keras.ops.cast(keras.ops.zeros_like(x[:, 0, 0, 0]), "int32")
    pattern = keras.layers.Embedding(
        1, shape[0] * shape[1], embeddings_initializer="zeros", embeddings_regularizer=l1, name="noise"
    )(word)
    return x + keras.layers.Reshape((*shape, 1), name="pattern")(pattern)


def _with_transformation(x: Any, shape: Size, l1: keras.regularizers.Regularizer) -> Any:
    """At first the last layer gives nothing."""
    return x + _transformation(x, shape, l1, last="zeros")


def _transformation(x: Any, shape: Size, l1: keras.regularizers.Regularizer, last: str = "he_normal") -> Any:
    n_mels, n_frames = shape
    kernels = {"kernel_initializer": "he_normal", "kernel_regularizer": l1}
    x = keras.layers.Permute((2, 1), name="frames")(keras.layers.Reshape(shape, name="bands")(x))
    x = keras.layers.Dense(n_mels, **kernels, name=_TRANSFORMATION[0])(x)
    x = keras.layers.Conv1D(n_mels, _N_FRAMES, padding="same", activation="relu", **kernels, name=_TRANSFORMATION[1])(x)
    kernels["kernel_initializer"] = last
    x = keras.layers.Conv1D(n_mels, _N_FRAMES, padding="same", **kernels, name=_TRANSFORMATION[2])(x)
    return keras.layers.Reshape((n_mels, n_frames, 1), name="log_mels")(keras.layers.Permute((2, 1), name="mels")(x))


def _begin_with_the_input(model: keras.Model) -> None:
    """Has the transformation give what it gets: the ReLU lets it pass, for it is not negative."""
    for name in _TRANSFORMATION:
        kernel, bias = map(np.zeros_like, model.get_layer(name).get_weights())
        band = np.arange(kernel.shape[-1])
        kernel[(*([_N_FRAMES // 2] * (kernel.ndim - 2)), band, band)] = 1.0
        model.get_layer(name).set_weights([kernel, bias])


_WAYS = {"noise": _with_noise, "input": _transformation, "skip": _with_transformation}
