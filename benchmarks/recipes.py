"""Recipes of training beside each other, by stratified folds over the tracks of datasets of real music.

A recipe is chosen on the folds of one seed, and reported on those of others. Every finished fold goes into a file of results, so
that a comparison that was interrupted goes on where it was.

    python -m benchmarks.recipes choose DATA        # variants, one seed
    python -m benchmarks.recipes report DATA        # tuned beside paper with batch norm, three seeds
    python -m benchmarks.recipes report             # the tables of the folds that there are, without training
"""

import argparse
import dataclasses
import functools
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.recipe_table import DECISIONS, Compared, print_table
from keras_model.options import RECIPES, TrainOptions
from keras_model.quiet import load_tensorflow
from tfrecords.dataset.folder import read_manifest
from tfrecords.dataset.manifest import Manifest
from tfrecords.front_end.log_mel_spec import PRESETS

RESULTS = Path(__file__).with_name("recipes.jsonl")
N_FOLDS = 4
_PAPER = "paper, batch norm"
_ON_PICTURES = {
    "batchnorm": True,
    "standardize": "per_band",
    "learning_rate": 3e-4,
    "learning_rate_warmup": 100,
    "learning_rate_decay": "cosine",
    "mixup": 0.3,
    "random_crop": 16,
}
_ROBUST = _ON_PICTURES | {"robust": True, "learning_rate": 1e-3}
_SHIFTED = _ROBUST | {"band_shift": 4}
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    _PAPER: {"batchnorm": True},
    "paper, batch norm, robust": {"batchnorm": True, "robust": True},
    "chosen on pictures": _ON_PICTURES,
    "robust, 1e-3": _ROBUST,
    "robust, 1e-3, band shift 4": _SHIFTED,
    "… band shift 8": _SHIFTED | {"band_shift": 8},
    "… 3e-4": _SHIFTED | {"learning_rate": 3e-4},
    "… no mixup": _SHIFTED | {"mixup": 0.0},
    "… no crop": _SHIFTED | {"random_crop": 0},
    "… dropout 0.5": _SHIFTED | {"dropout": 0.5},
    "… label smoothing 0.1": _SHIFTED | {"label_smoothing": 0.1},
    "… five times the L1": _SHIFTED | {"l1": 5e-4},
    "tuned": RECIPES["tuned"],
}


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A comparison: of which variants, with which seeds, for how many epochs."""

    variants: tuple[str, ...]
    seeds: tuple[int, ...]
    epochs: int


STAGES = {
    "choose": Stage(variants=tuple(name for name in VARIANTS if name != "tuned"), seeds=(100,), epochs=60),
    "report": Stage(variants=(_PAPER, "tuned"), seeds=(0, 1, 2), epochs=100),
}


def run_fold(options: TrainOptions, manifest: Manifest) -> dict[str, Any]:
    """Trains on all folds but one and tests on that one: which of its tracks are right, in the order of their ids."""
    from keras_model.data.train_and_test import load_train_and_test
    from keras_model.training.batch_augmentation import augmenter
    from keras_model.training.fit import build_model, fit

    data = load_train_and_test(options, manifest)
    trained = fit(
        options,
        train=data.train,
        test=data.test,
        genres=manifest.genres,
        build=functools.partial(build_model, robust_spec=manifest.spec if options.robust else None),
        standardization=data.standardization,
        augment=augmenter(options.augmentation, seed=options.seed, spec=manifest.spec, fill=data.mean),
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


@dataclass(frozen=True, kw_only=True)
class Fold:
    """One training of a comparison: what its result is kept under."""

    stage: str
    preset: str
    variant: str
    epochs: int
    seed: int
    fold: int

    @property
    def key(self) -> dict[str, Any]:
        """All that decides the result; with the options, for a variant that was changed is another one."""
        options = dict(sorted(VARIANTS[self.variant].items()))
        return {key: value for key, value in vars(self).items() if key != "variant"} | {"options": options}

    def train(self, data: Path) -> dict[str, Any]:
        """Runs it."""
        options = TrainOptions(data=data, epochs=self.epochs, seed=self.seed, folds=N_FOLDS, fold=self.fold)
        options = dataclasses.replace(options, **VARIANTS[self.variant])
        return run_fold(options, read_manifest(options.dataset))


def all_folds(stage: str, preset: str, variants: Sequence[str], *, epochs: int) -> list[Fold]:
    """A stage's trainings, seed by seed and fold by fold, so that what was done by some point compares variants."""
    return [
        Fold(stage=stage, preset=preset, variant=variant, epochs=epochs, seed=seed, fold=fold)
        for seed in STAGES[stage].seeds
        for fold in range(1, N_FOLDS + 1)
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


def _run(trainings: Sequence[Fold], results: Results, data: Path) -> Iterator[tuple[Fold, dict[str, Any]]]:
    for training in trainings:
        if results.get(training) is None:
            result = training.train(data)
            results.add(training, result)
            yield training, result


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs what is missing of a stage, and prints its tables, one a preset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=tuple(STAGES))
    parser.add_argument("data", type=Path, nargs="?", help="folder of a dataset; where not given, nothing is trained")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of results; is read and added to")
    parser.add_argument("--epochs", type=int, help="where not given, the stage's")
    parser.add_argument("--only", nargs="+", choices=tuple(VARIANTS), metavar="VARIANT", help="of the stage's variants")
    options = parser.parse_args(arguments)
    results, stage = Results(options.results), STAGES[options.stage]
    variants = [name for name in stage.variants if not options.only or name in options.only]
    presets = list(PRESETS)
    if options.data is not None:
        load_tensorflow()
        presets = [read_manifest(options.data).preset]
    for preset in presets:
        trainings = all_folds(options.stage, preset, variants, epochs=options.epochs or stage.epochs)
        for training, result in _run(trainings, results, options.data) if options.data else ():
            maximum = np.mean(result["maximum"])
            print(f"{training.variant}, seed {training.seed}, fold {training.fold}: {maximum:.1%}", flush=True)
        if compared := comparable(trainings, results):
            n_folds = len({(training.seed, training.fold) for training in trainings})
            done = ", ".join(f"seed {seed} fold {fold}" for seed, fold in compared)
            print(f"{preset}: {len(compared)} of {n_folds} folds: {done}")
            print_table(compared)


if __name__ == "__main__":
    main()
