"""A network that the page asks, and what its own test says of the genres that it names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_model.prediction.model import Predictor
from keras_model.run_folder import METRICS_FILE
from tfrecords.errors import UsageError, quoted

_SHOWN_GENRES = 3


@dataclass(frozen=True, kw_only=True)
class Model:
    """A network with its title.

    Attributes:
        title: What the page calls it.
        predictor: The network.
        tested: For each genre, in words, what the tracks of the run's test were that it took for it; None where none is known.
    """

    title: str
    predictor: Predictor
    tested: Mapping[str, str] | None = None


def taken_for(confusion: Sequence[Sequence[int]], genres: Sequence[str]) -> dict[str, str]:
    """What the tracks really were that were taken for each genre: "23 blues, 4 jazz", the most frequent first.

    Args:
        confusion: Tracks by true genre (row) and predicted genre (column), (n_genres, n_genres).
        genres: In the order of both.
    """
    words = {}
    for genre, counts in zip(genres, np.asarray(confusion).T, strict=True):
        order = np.argsort(-counts, kind="stable")
        shown = [f"{counts[label]} {genres[label]}" for label in order[:_SHOWN_GENRES] if counts[label]]
        n_others = counts.sum() - counts[order[:_SHOWN_GENRES]].sum()
        words[genre] = ", ".join(shown + [f"{n_others} more"] * bool(n_others)) or "none"
    return words


def tested(metrics: Mapping[str, Any]) -> dict[str, str]:
    """`taken_for` of a run, by the maximum probability; of what `metrics.json` holds.

    Raises:
        UsageError: If that is damaged, or of another version.
    """
    try:
        return taken_for(metrics["final"]["maximum_confusion"], metrics["dataset"]["genres"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UsageError(f"{METRICS_FILE} is damaged, or of another version: {quoted(error)}") from error
