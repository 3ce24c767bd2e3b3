"""Makes the genre layer of the network that ships, and its card, of a dataset of preset `musicnn`.

    python run_pipeline.py --input gtzan_audio --preset musicnn --min-chunks 1 --chunks-per-track 3 --output DATA
    python -m benchmarks.shipped_head DATA

The card's accuracies are of layers made alike, by cross-validation; the one that ships is trained on all tracks.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from keras_model.data.features import features_of
from keras_model.data.split_data import SplitData
from keras_model.data.train_and_test import TrainAndTest, load_train_and_test
from keras_model.evaluation.intervals import wilson_interval
from keras_model.networks.probe import tagger_features
from keras_model.networks.shipped import CARD, HEAD, head_of
from keras_model.options import TrainOptions
from keras_model.quiet import load_tensorflow
from keras_model.reports.published import PRETRAINED_LICENSE
from keras_model.training.fit import TrainedModel, fit
from tfrecords.dataset.folder import read_dataset
from tfrecords.dataset.manifest import Manifest
from tfrecords.whole_file import write_whole

_N_FOLDS, _SEEDS = 4, (10, 11, 12)  # the number of epochs was chosen by other folds


def options(data: Path, *, seed: int, fold: int) -> TrainOptions:
    """How each layer is trained."""
    return TrainOptions(data=data, model="probe", folds=_N_FOLDS, fold=fold, seed=seed, epochs=50, learning_rate=3e-4)


def trained(options: TrainOptions, data: TrainAndTest, manifest: Manifest) -> TrainedModel:
    """A layer on features."""
    return fit(
        options,
        train=data.train,
        test=data.test,
        genres=manifest.genres,
        standardization=data.standardization,
        test_every_epoch=False,
    )


def cross_validation(data: Path, manifest: Manifest, network: keras.Model) -> np.ndarray:
    """Confusion matrices of tracks by maximum probability, (n_seeds, n_genres, n_genres) int, a row for what a track is."""
    counts = np.zeros((len(_SEEDS), len(manifest.genres), len(manifest.genres)), int)
    for row, seed in enumerate(_SEEDS):
        for fold in range(1, _N_FOLDS + 1):
            asked = options(data, seed=seed, fold=fold)
            evaluation = trained(asked, features_of(load_train_and_test(asked, manifest), network), manifest).evaluation
            counts[row] += evaluation.confusions["maximum"]
        print(f"seed {seed}: {np.trace(counts[row]) / counts[row].sum():.1%}", flush=True)
    return counts


def of_all_tracks(data: Path, manifest: Manifest, network: keras.Model) -> keras.Model:
    """The layer that ships: of the train and the test tracks of a fold together."""
    asked = options(data, seed=0, fold=1)
    fold = load_train_and_test(asked, manifest)
    both = (fold.train, fold.test)
    joined = SplitData.from_arrays(
        np.concatenate([np.asarray(part.cached)[..., 0] for part in both]),
        np.concatenate([part.labels for part in both]),
        [track_id for part in both for track_id in part.track_ids],
        np.concatenate([part.chunk_indices for part in both]),
    )
    return trained(asked, features_of(replace(fold, train=joined), network), manifest).model


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes layer and card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    data = parser.parse_args(arguments).data
    load_tensorflow()
    manifest = read_dataset(data)
    network = tagger_features(manifest.spec.shape)
    counts = cross_validation(data, manifest, network)
    write_whole(HEAD, head_of(of_all_tracks(data, manifest, network)))
    n_tracks = int(counts[0].sum())
    mean = counts.mean(axis=0)

    def row(title: str, right: float, n: int) -> tuple[str, int, float, float, float]:
        low, high = wilson_interval(right / n, n)
        return title, n, 100 * right / n, 100 * low, 100 * high

    environment = Environment(loader=PackageLoader("benchmarks"), undefined=StrictUndefined, trim_blocks=True, autoescape=False)  # noqa: S701 (Markdown of our own numbers)
    card = environment.get_template("gtzan_head.md").render(
        n_bytes=HEAD.stat().st_size,
        license=PRETRAINED_LICENSE,
        n_tracks=n_tracks,
        fingerprint=manifest.fingerprint,
        by_seed=[100 * np.trace(of_seed) / n_tracks for of_seed in counts],
        overall=row("all", float(np.trace(mean)), n_tracks),
        genres=[row(genre, mean[i, i], int(mean[i].sum())) for i, genre in enumerate(manifest.genres)],
        confused=[
            (genre, manifest.genres[other], mean[i, other])
            for i, genre in enumerate(manifest.genres)
            for other in np.argsort(-np.where(np.arange(len(mean)) == i, -1, mean[i]))[:1]
        ],
    )
    write_whole(CARD, f"{card}\n".encode())
    print(card)


if __name__ == "__main__":
    main()
