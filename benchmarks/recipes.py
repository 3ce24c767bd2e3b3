"""Recipes of training beside each other, on GTZAN's spectrogram pictures. What this measures is not GTZAN accuracy.

Recipes are chosen on two fifths of the tracks and reported on the others, each by stratified folds over tracks. Every finished
fold goes into a file of results, so that a comparison that was interrupted goes on where it was.

    python -m benchmarks.recipes choose train.npz --results results.jsonl       # every variant, one seed
    python -m benchmarks.recipes report train.npz --results results.jsonl       # tuned beside paper with batch norm, three seeds
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.gtzan_images import N_CHUNKS, SPEC, Pictures, chunks, folds, read_pictures, selection_tracks
from keras_model.options import TrainOptions
from keras_model.quiet import load_tensorflow
from keras_model.recipes import RECIPES

if TYPE_CHECKING:
    from keras_model.training.dataset import SplitData

_DECAYED = {"batchnorm": True, "learning_rate": 3e-4, "learning_rate_decay": "cosine"}
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "paper, batch norm": {"batchnorm": True},
    "rate 3e-4": {"batchnorm": True, "learning_rate": 3e-4},
    "rate 3e-4, cosine": _DECAYED,
    "rate 1e-3, cosine": _DECAYED | {"learning_rate": 1e-3},
    "… mixup 0.3": _DECAYED | {"mixup": 0.3},
    "… label smoothing 0.1": _DECAYED | {"label_smoothing": 0.1},
    "… random crop 16": _DECAYED | {"random_crop": 16},
    "… SpecAugment": _DECAYED | {"augment": "spec"},
    "… dropout 0.5": _DECAYED | {"dropout": 0.5},
    "… no L1": _DECAYED | {"l1": 0.0},
    "… EMA 0.995": _DECAYED | {"ema": 0.995},
    "… mixup 0.3, random crop 16": _DECAYED | {"mixup": 0.3, "random_crop": 16},
    "tuned": RECIPES["tuned"],
}
_DECISIONS = ("maximum", "majority")
_RESAMPLES = 10_000


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A comparison: of which variants, by how many folds and seeds."""

    variants: tuple[str, ...]
    n_folds: int
    n_seeds: int


STAGES = {
    "choose": Stage(variants=tuple(VARIANTS), n_folds=3, n_seeds=1),
    "report": Stage(variants=("paper, batch norm", "tuned"), n_folds=4, n_seeds=3),
}


def run_fold(
    pictures: Pictures, variant: str, *, fold_of: Mapping[str, int], fold: int, seed: int, epochs: int
) -> dict[str, Any]:
    """Trains a variant on all folds but one and tests it on that one: which of its tracks are right."""
    from keras_model.training.augmented_batches import augmenter
    from keras_model.training.fit import fit

    options = TrainOptions(epochs=epochs, seed=seed, **VARIANTS[variant])
    test = [track_id for track_id, number in fold_of.items() if number == fold]
    train = [track_id for track_id, number in fold_of.items() if number != fold]
    row_of = {track_id: row for row, track_id in enumerate(pictures.track_ids)}
    mean = pictures.log_mels[[row_of[track_id] for track_id in train]].mean(axis=(0, 2))[:, np.newaxis]
    trained = fit(
        options,
        train=_split(pictures, train),
        test=_split(pictures, test),
        genres=pictures.genres,
        augment=augmenter(options.augmentation, seed=seed, spec=SPEC, fill=mean),
        show_progress=False,
    )
    evaluation = trained.evaluation
    right = {decision: (getattr(evaluation.votes, decision) == evaluation.track_labels).tolist() for decision in _DECISIONS}
    return {"tracks": evaluation.votes.track_ids, "raw": evaluation.accuracies["raw"], "seconds": trained.seconds} | right


def _split(pictures: Pictures, track_ids: Sequence[str]) -> "SplitData":
    from keras_model.training.dataset import SplitData

    row_of = {track_id: row for row, track_id in enumerate(pictures.track_ids)}
    rows = [row_of[track_id] for track_id in track_ids]
    return SplitData.from_arrays(
        np.concatenate([chunks(pictures.log_mels[row]) for row in rows]),
        np.repeat(pictures.labels[rows], N_CHUNKS),
        [track_id for track_id in track_ids for _ in range(N_CHUNKS)],
        np.tile(np.arange(N_CHUNKS), len(rows)),
    )


def results(
    path: Path, pictures: Pictures, *, name: str, epochs: int, only: Sequence[str] | None = None
) -> Iterator[dict[str, Any]]:
    """Yields the result of each variant, seed and fold of a stage: from the file, or computed and added to it."""
    stage = STAGES[name]
    chosen = selection_tracks(pictures)
    tracks = chosen if name == "choose" else set(pictures.track_ids) - chosen
    fold_of = folds(pictures, tracks, n_folds=stage.n_folds)
    known = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            result = json.loads(line)
            known[json.dumps(result["key"])] = result
    for seed in range(stage.n_seeds):
        for variant in only or stage.variants:
            for fold in range(stage.n_folds):
                # With the options themselves: a variant that was changed is another one.
                key = [name, variant, dict(sorted(VARIANTS[variant].items())), epochs, seed, fold]
                if json.dumps(key) not in known:
                    result = {"key": key} | run_fold(pictures, variant, fold_of=fold_of, fold=fold, seed=seed, epochs=epochs)
                    with path.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(result) + "\n")
                    known[json.dumps(key)] = result
                yield known[json.dumps(key)] | {"variant": variant}


def print_table(found: Sequence[Mapping[str, Any]]) -> None:
    """Prints a row per variant: its accuracies, and how far its track accuracy is from the first variant's."""
    by_variant: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for result in found:
        by_variant[result["variant"]].append(result)
    first = _right(next(iter(by_variant.values())))
    print(f"{'':32}{'raw %':>8}{'maximum %':>11}{'majority %':>12}   tracks more right than the first, 95 % interval   s/fold")
    for variant, of_variant in by_variant.items():
        right = _right(of_variant)
        maximum, majority = (100 * np.mean([row[decision] for row in right.values()]) for decision in range(2))
        raw = 100 * np.average([result["raw"] for result in of_variant], weights=[len(result["tracks"]) for result in of_variant])
        seconds = np.mean([result["seconds"] for result in of_variant])
        difference = 100 * np.asarray([right[track][0] - first[track][0] for track in first])
        low, high = _interval(difference)
        print(
            f"{variant:32}{raw:8.1f}{maximum:11.1f}{majority:12.1f}   "
            f"{difference.mean():+6.1f} ({low:+.1f} to {high:+.1f}){'':22}{seconds:9.0f}"
        )


def _right(found: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """For each track how often it was right over the seeds, by each decision."""
    rows: dict[str, list[list[bool]]] = defaultdict(list)
    for result in found:
        for track, *decisions in zip(result["tracks"], *(result[decision] for decision in _DECISIONS), strict=True):
            rows[track].append(decisions)
    return {track: np.mean(values, axis=0).tolist() for track, values in rows.items()}


def _interval(differences: np.ndarray) -> tuple[float, float]:
    """95 % of the means of as many tracks drawn with replacement (percentile bootstrap)."""
    rng = np.random.default_rng(0)
    means = rng.choice(differences, (_RESAMPLES, len(differences))).mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def main() -> None:
    """Runs what is missing of a stage, and prints its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=tuple(STAGES))
    parser.add_argument("pictures", type=Path, help=".npz file")
    parser.add_argument("--results", type=Path, required=True, help="file of results; is read and added to")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--only", nargs="+", choices=tuple(VARIANTS), metavar="VARIANT", help="of the stage's variants")
    options = parser.parse_args()
    load_tensorflow()
    found = []
    pictures = read_pictures(options.pictures)
    for result in results(options.results, pictures, name=options.stage, epochs=options.epochs, only=options.only):
        found.append(result)
        _, variant, _, _, seed, fold = result["key"]
        print(f"{variant}, seed {seed}, fold {fold}: {np.mean(result['maximum']):.1%}", flush=True)
    print_table(found)


if __name__ == "__main__":
    main()
