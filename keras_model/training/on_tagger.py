"""What a network with the pre-trained tagger in it is trained on, begins with, and is saved as."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_model.data.features import features_of, outputs_of
from keras_model.data.train_and_test import TrainAndTest
from keras_model.evaluation.accuracies import Evaluation
from keras_model.networks.hearing import tagger_input, tagger_up_to
from keras_model.networks.probe import probe, tagger_features, with_tagger
from keras_model.networks.reprogrammed import TagMapping, reprogrammed
from keras_model.options import TrainOptions
from keras_model.pretrained.musicnn import LOGITS, TAGS
from keras_model.training.fit import build_model, fit
from tfrecords.errors import UsageError
from tfrecords.front_end.log_mel_spec import LogMelSpec

# The training, of seconds, of what a fine-tuned network begins as; it has no validation split.
_PROBE: dict[str, Any] = {
    "model": "probe",
    "epochs": 50,
    "learning_rate": 3e-4,
    "learning_rate_warmup": 0,
    "ema": 0.0,
    "keep": "last",
    "early_stopping": 0,
}


class Preparation(NamedTuple):
    """What stands between a run's data and its training."""

    data: TrainAndTest  # what is trained on and tested on
    build: Callable[..., keras.Model]  # makes the network, for `fit`
    whole: Callable[[keras.Model], keras.Model]  # of what was trained, the network from log-mels to genres


def prepare(options: TrainOptions, data: TrainAndTest, genres: tuple[str, ...], spec: LogMelSpec) -> Preparation:
    """Computes what the network needs of its data before it is trained; of a network without tagger, nothing.

    Args:
        options: Of the run.
        data: For a network on the tagger, log-mels of preset `musicnn`.
        genres: In the order of the labels.
        spec: Of the log-mels.

    Raises:
        UsageError: If the tagger's weights are not on this machine.
        KeyboardInterrupt: At Ctrl-C.
    """
    if options.model == "reprogrammed":
        return Preparation(data, _reprogrammed(options, data, genres), _itself)
    if not options.on_tagger:
        return Preparation(data, functools.partial(build_model, robust_spec=spec if options.robust else None), _itself)
    shape = data.train.shape
    print("Tagger   features of every record, computed once", flush=True)
    features = features_of(data, tagger_features(shape))
    if options.model == "probe":
        return Preparation(features, build_model, lambda trained: with_tagger(trained, shape))
    return Preparation(data, _finetuned(options, features, shape, genres), _itself)


def _itself(trained: keras.Model) -> keras.Model:
    return trained


def _reprogrammed(options: TrainOptions, data: TrainAndTest, genres: tuple[str, ...]) -> Callable[..., keras.Model]:
    """Chooses the mapping of the tags by the train split; tells it, and what it gives with nothing trained."""
    lacking = [name for genre, name in enumerate(genres) if genre not in data.train.labels]
    if lacking or not 2 <= len(genres) <= len(TAGS["MSD_musicnn"]):
        reason = f"and {lacking[0]} has none" if lacking else f"for 2 to {len(TAGS['MSD_musicnn'])} genres, got {len(genres)}"
        raise UsageError(f"--model reprogrammed needs train tracks of every genre, {reason}")
    inputs, x = tagger_input(data.train.shape)
    logits = outputs_of(data.train, keras.Model(inputs, tagger_up_to(LOGITS)(x)))
    mapping = TagMapping.of(logits, labels=data.train.labels, track_ids=data.train.track_ids, n_genres=len(genres))

    def build(options: TrainOptions, *, shape: tuple[int, int], n_genres: int, **_: Any) -> keras.Model:
        return reprogrammed(
            shape, mapping=mapping, n_genres=n_genres, reprogramming=str(options.reprogramming), settings=options.network
        )

    untrained = build(options, shape=data.train.shape, n_genres=len(genres))
    accuracies = Evaluation.of(untrained, data.test, genres).accuracies
    for genre, name in enumerate(genres):
        tags = [TAGS["MSD_musicnn"][tag] for tag in np.flatnonzero(mapping.genre_of_tag == genre)]
        print(f"Tags     {name}: {', '.join(tags)}", flush=True)
    print(f"Mapping  {accuracies['maximum']:.1%} of the test tracks right with nothing trained", flush=True)
    return build


def _finetuned(
    options: TrainOptions, features: TrainAndTest, shape: tuple[int, int], genres: tuple[str, ...]
) -> Callable[..., keras.Model]:
    """Trains the probe, which the fine-tuned network begins as.

    From any other genre layer the first steps would spoil the features that they are trained through (Kumar et al. 2022,
    "Fine-tuning can distort pretrained features", arXiv:2202.10054).
    """
    trained = fit(
        dataclasses.replace(options, **_PROBE),
        train=features.train,
        test=features.test,
        genres=genres,
        standardization=features.standardization,
        test_every_epoch=False,
    )
    if trained.interrupted:  # before the training that it is for has begun
        raise KeyboardInterrupt
    start = trained.model.get_weights()

    def build(options: TrainOptions, *, synchronized: bool, n_genres: int, **_: Any) -> keras.Model:
        head = probe(
            features.train.shape,
            n_genres=n_genres,
            settings=options.network,
            standardization=features.standardization,
            synchronized=synchronized,
        )
        head.set_weights(start)
        return with_tagger(head, shape, name="finetuned", trainable=True)

    return build
