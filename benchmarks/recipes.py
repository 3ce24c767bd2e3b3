"""Recipes of training beside each other, on GTZAN's spectrogram pictures. What this measures is not GTZAN accuracy.

Recipes are chosen on two fifths of the tracks, at half the size, and reported on the others, each by stratified folds over
tracks. Every finished fold goes into a file of results, so that a comparison that was interrupted goes on where it was.

    python -m benchmarks.recipes choose train.npz       # variants, one seed
    python -m benchmarks.recipes report train.npz       # tuned beside paper with batch norm, three seeds
    python -m benchmarks.recipes report                 # the table of the folds that there are, without training
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import half_size
from benchmarks.gtzan_images import N_CHUNKS, SPEC, Pictures, chunks, folds, read_pictures, selection_tracks
from benchmarks.recipe_table import DECISIONS, Compared, print_table
from keras_model.options import RECIPES, TrainOptions
from keras_model.quiet import load_tensorflow
from tfrecords.statistics import LogMelStatistics, band_standardization

if TYPE_CHECKING:
    from keras_model.data.split_data import SplitData

RESULTS = Path(__file__).with_name("recipes.jsonl")
_PAPER = "paper, batch norm"
_STANDARDISED = {"batchnorm": True, "standardize": "per_band"}
_DECAYED = _STANDARDISED | {"learning_rate": 3e-4, "learning_rate_warmup": 100, "learning_rate_decay": "cosine"}
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    _PAPER: {"batchnorm": True},
    "rate 3e-4": {"batchnorm": True, "learning_rate": 3e-4},
    "standardised": _STANDARDISED,
    "standardised, 3e-4, warm-up, cosine": _DECAYED,
    "… 1e-3 instead of 3e-4": _DECAYED | {"learning_rate": 1e-3},
    "… mixup 0.3": _DECAYED | {"mixup": 0.3},
    "… random crop 16": _DECAYED | {"random_crop": 16},
    "… mixup 0.3, random crop 16": _DECAYED | {"mixup": 0.3, "random_crop": 16},
    "… 1e-3, mixup 0.3, random crop 16": _DECAYED | {"learning_rate": 1e-3, "mixup": 0.3, "random_crop": 16},
    "… 3e-3, mixup 0.3, random crop 16": _DECAYED | {"learning_rate": 3e-3, "mixup": 0.3, "random_crop": 16},
    "… label smoothing 0.1": _DECAYED | {"label_smoothing": 0.1},
    "… SpecAugment": _DECAYED | {"augment": "spec"},
    "… dropout 0.5": _DECAYED | {"dropout": 0.5},
    "… no L1": _DECAYED | {"l1": 0.0},
    "… five times the L1": _DECAYED | {"l1": 5e-4},
    "… EMA 0.995": _DECAYED | {"ema": 0.995},
    "tuned": RECIPES["tuned"],
}


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A comparison: of which variants, by how many folds and seeds, and whether at half the size."""

    variants: tuple[str, ...]
    n_folds: int
    n_seeds: int
    halved: bool


STAGES = {
    "choose": Stage(variants=tuple(name for name in VARIANTS if name != "tuned"), n_folds=3, n_seeds=1, halved=True),
    "report": Stage(variants=(_PAPER, "tuned"), n_folds=2, n_seeds=3, halved=False),
}


def run_fold(pictures: Pictures, options: TrainOptions, *, fold_of: Mapping[str, int], fold: int, halved: bool) -> dict[str, Any]:
    """Trains on all folds but one and tests on that one: which of its tracks are right, in the order of their ids."""
    from keras_model.data.train_and_test import train_mean
    from keras_model.training.batch_augmentation import augmenter
    from keras_model.training.fit import build_model, fit

    spec, build, augmentation = SPEC, build_model, options.augmentation
    if halved:
        spec, build, augmentation = half_size.SPEC, half_size.shallow, half_size.augmentation(augmentation)
    train, test = ([track_id for track_id, number in fold_of.items() if (number == fold) == tested] for tested in (False, True))
    log_mels = _log_mels(pictures, train, halved=halved)
    statistics = LogMelStatistics(spec)
    statistics.add(log_mels)
    standardization = band_standardization(statistics.summary()) if options.standardize else None
    fill = train_mean(standardization, statistics.summary())
    trained = fit(
        options,
        train=_split(pictures, train, log_mels),
        test=_split(pictures, test, _log_mels(pictures, test, halved=halved)),
        genres=pictures.genres,
        build=build,
        standardization=standardization,
        augment=augmenter(augmentation, seed=options.seed, spec=spec, fill=fill),
        test_every_epoch=False,
    )
    evaluation = trained.evaluation
    right = {decision: (getattr(evaluation.votes, decision) == evaluation.track_labels) for decision in DECISIONS}
    return {
        "raw": evaluation.accuracies["raw"],
        "seconds": round(trained.seconds),
        "tracks": evaluation.votes.track_ids,
        **{decision: of_tracks.astype(int).tolist() for decision, of_tracks in right.items()},
    }


def _split(pictures: Pictures, track_ids: Sequence[str], log_mels: NDArray[np.float32]) -> "SplitData":
    from keras_model.data.split_data import SplitData

    return SplitData.from_arrays(
        log_mels,
        np.repeat(pictures.labels[_rows(pictures, track_ids)], N_CHUNKS),
        [track_id for track_id in track_ids for _ in range(N_CHUNKS)],
        np.tile(np.arange(N_CHUNKS), len(track_ids)),
    )


def _log_mels(pictures: Pictures, track_ids: Sequence[str], *, halved: bool) -> NDArray[np.float32]:
    """All chunks of some tracks, (n_chunks, 80, 80) or (n_chunks, 40, 40)."""
    log_mels = np.concatenate([chunks(pictures.log_mels[row]) for row in _rows(pictures, track_ids)])
    return half_size.log_mels(log_mels) if halved else log_mels


def _rows(pictures: Pictures, track_ids: Sequence[str]) -> list[int]:
    row_of = {track_id: row for row, track_id in enumerate(pictures.track_ids)}
    return [row_of[track_id] for track_id in track_ids]


@dataclass(frozen=True, kw_only=True)
class Fold:
    """One training of a comparison: what its result is kept under."""

    stage: str
    variant: str
    epochs: int
    seed: int
    fold: int

    @property
    def key(self) -> dict[str, Any]:
        """All that decides the result; with the options, for a variant that was changed is another one."""
        options = dict(sorted(VARIANTS[self.variant].items()))
        return {"stage": self.stage, "options": options, "epochs": self.epochs, "seed": self.seed, "fold": self.fold}

    def train(self, pictures: Pictures) -> dict[str, Any]:
        """Runs it."""
        stage, selection = STAGES[self.stage], selection_tracks(pictures)
        tracks = selection if self.stage == "choose" else set(pictures.track_ids) - selection
        fold_of = folds(pictures, tracks, n_folds=stage.n_folds)
        options = TrainOptions(epochs=self.epochs, seed=self.seed, **VARIANTS[self.variant])
        return run_fold(pictures, options, fold_of=fold_of, fold=self.fold, halved=stage.halved)


def all_folds(stage: str, variants: Sequence[str], *, epochs: int) -> list[Fold]:
    """A stage's trainings, seed by seed and fold by fold, so that what was done by some point compares variants."""
    return [
        Fold(stage=stage, variant=variant, epochs=epochs, seed=seed, fold=fold)
        for seed in range(STAGES[stage].n_seeds)
        for fold in range(STAGES[stage].n_folds)
        for variant in variants
    ]


class Results:
    """The file of results: a line of JSON for each fold, added when it ends."""

    def __init__(self, path: Path) -> None:
        """Reads what there is."""
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self._by_key = {json.dumps(result["key"]): result for result in map(json.loads, lines)}

    def get(self, fold: Fold) -> dict[str, Any] | None:
        """The result of a fold; None where it was not run."""
        return self._by_key.get(json.dumps(fold.key))

    def add(self, fold: Fold, result: Mapping[str, Any]) -> None:
        """Adds one, on disk too."""
        self._by_key[json.dumps(fold.key)] = line = {"key": fold.key, **result}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, separators=(",", ":")) + "\n")


def comparable(trainings: Sequence[Fold], results: Results) -> Compared:
    """The results that there are, less those of folds that are not done for every variant yet."""
    found: dict[tuple[int, int], dict[str, dict[str, Any]]] = defaultdict(dict)
    for training in trainings:
        if (result := results.get(training)) is not None:
            found[training.seed, training.fold][training.variant] = result
    n_variants = len({training.variant for training in trainings})
    return {place: of_variants for place, of_variants in sorted(found.items()) if len(of_variants) == n_variants}


def _run(trainings: Sequence[Fold], results: Results, pictures: Pictures) -> Iterator[tuple[Fold, dict[str, Any]]]:
    for training in trainings:
        if results.get(training) is None:
            result = training.train(pictures)
            results.add(training, result)
            yield training, result


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs what is missing of a stage, and prints its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=tuple(STAGES))
    parser.add_argument("pictures", type=Path, nargs="?", help=".npz file; where not given, nothing is trained")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of results; is read and added to")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--only", nargs="+", choices=tuple(VARIANTS), metavar="VARIANT", help="of the stage's variants")
    options = parser.parse_args(arguments)
    results = Results(options.results)
    variants = [name for name in STAGES[options.stage].variants if not options.only or name in options.only]
    trainings = all_folds(options.stage, variants, epochs=options.epochs)
    if options.pictures is not None:
        load_tensorflow()
        for training, result in _run(trainings, results, read_pictures(options.pictures)):
            maximum = np.mean(result["maximum"])
            print(f"{training.variant}, seed {training.seed}, fold {training.fold}: {maximum:.1%}", flush=True)
    compared = comparable(trainings, results)
    done = ", ".join(f"seed {seed} fold {fold}" for seed, fold in compared)
    print(f"{len(compared)} of {len({(training.seed, training.fold) for training in trainings})} folds: {done or 'none'}")
    if compared:
        print_table(compared)


if __name__ == "__main__":
    main()
