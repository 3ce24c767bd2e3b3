"""How sure an accuracy of tracks is, and what is reached without listening."""

import math
from collections.abc import Sequence

import numpy as np

_Z = 1.959964  # of the normal distribution, for 95 %


def wilson_interval(share: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a share of `n` tracks that are right, by Wilson's score.

    E. B. Wilson: "Probable inference, the law of succession, and statistical inference", 1927. Of a handful of tracks, and near 0
    and 1, it still holds, where share ± 1.96 standard errors leaves 0..1 or has no width. It tells what other tracks of the same
    kind would change, not what other seeds would. Chunks have none: those of one track are right or wrong together.

    Args:
        share: In 0..1; a mean over several runs on the same tracks as well, of which it is then rather too wide.
        n: Different tracks, at least one.

    Returns:
        Both ends, in 0..1.
    """
    centre, z_squared = share + _Z**2 / (2 * n), _Z**2 / n
    half = _Z * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return max(0.0, (centre - half) / (1 + z_squared)), min(1.0, (centre + half) / (1 + z_squared))


def chance_level(confusion: Sequence[Sequence[int]]) -> float:
    """The accuracy of always answering the genre that most tracks are of, in 0..1: 1 / n_genres where all have as many.

    Args:
        confusion: By true genre (row) and predicted genre (column), (n_genres, n_genres).
    """
    n_of_genre = np.asarray(confusion).sum(axis=1)
    return float(n_of_genre.max() / n_of_genre.sum())
