"""The table of a comparison of recipes, with how sure its differences are."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

DECISIONS = ("maximum", "majority")
_RESAMPLES = 10_000

# By seed and fold, and there by variant: `raw`, `seconds`, `tracks`, and for each decision which of the tracks are right.
Compared = Mapping[tuple[int, int], Mapping[str, Mapping[str, Any]]]


def print_table(compared: Compared) -> None:
    """Prints a row per variant: its accuracies, and how far its track accuracy is from the first variant's.

    Args:
        compared: Every variant on the same folds with the same seeds.
    """
    variants = list(next(iter(compared.values())))
    width = max(map(len, variants))
    print(f"{'':{width}}{'raw %':>7}{'maximum %':>11}{'majority %':>12}   maximum beside the first's, 95 % interval, by seed")
    for variant in variants:
        results = [found[variant] for found in compared.values()]
        maximum, majority = (100 * np.mean([row[decision] for row in _right(results).values()]) for decision in range(2))
        raw = 100 * np.average([result["raw"] for result in results], weights=[len(result["tracks"]) for result in results])
        difference = differences(list(compared.values()), variant, variants[0])
        low, high = interval(difference)
        by_seed = [
            differences([found for (seed, _), found in compared.items() if seed == wanted], variant, variants[0]).mean()
            for wanted in sorted({seed for seed, _ in compared})
        ]
        print(
            f"{variant:{width}}{raw:7.1f}{maximum:11.1f}{majority:12.1f}   "
            f"{difference.mean():+.1f} ({low:+.1f} to {high:+.1f}), {' '.join(f'{value:+.1f}' for value in by_seed)}; "
            f"{np.mean([result['seconds'] for result in results]):.0f} s a fold"
        )


def differences(compared: Collection[Mapping[str, Mapping[str, Any]]], variant: str, other: str) -> NDArray[np.floating]:
    """For each track how much more often it was right by maximum probability than with another variant, in points."""
    right, others = (_right([found[name] for found in compared]) for name in (variant, other))
    return 100 * np.asarray([right[track][0] - others[track][0] for track in others])


def interval(differences: NDArray[np.floating]) -> tuple[float, float]:
    """95 % of the means of as many tracks drawn with replacement (percentile bootstrap)."""
    rng = np.random.default_rng(0)
    means = rng.choice(differences, (_RESAMPLES, len(differences))).mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def _right(results: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """For each track how often it was right over the seeds, by each decision."""
    rows: dict[str, list[list[bool]]] = defaultdict(list)
    for result in results:
        for track, *decisions in zip(result["tracks"], *(result[decision] for decision in DECISIONS), strict=True):
            rows[track].append(decisions)
    return {track: np.mean(values, axis=0).tolist() for track, values in rows.items()}
