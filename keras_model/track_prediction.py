"""A file's genre."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from keras_model.evaluation.votes import TrackVotes, vote


@dataclass(frozen=True, kw_only=True, eq=False)
class Prediction:
    """A file's genre.

    Attributes:
        genres: In the order of the probabilities.
        probabilities: Mean of the softmax over the file's chunks, (n_genres,) float64.
        votes: Number of chunks that were taken for each genre, (n_genres,) int64.
        chunk_probabilities: Softmax of each chunk, in the order of time, (n_chunks, n_genres) float32.
        chunk_start_seconds: Where each chunk begins in the file, (n_chunks,) float64.
        seconds: Duration of the file; None where it is not known.
    """

    genres: tuple[str, ...]
    probabilities: NDArray[np.float64]
    votes: NDArray[np.int64]
    chunk_probabilities: NDArray[np.float32]
    chunk_start_seconds: NDArray[np.float64]
    seconds: float | None

    @classmethod
    def from_chunks(
        cls,
        genres: Sequence[str],
        chunk_probabilities: NDArray[np.float32],
        chunk_start_seconds: NDArray[np.float64],
        seconds: float | None,
    ) -> Self:
        """Decides from the probabilities of a file's chunks; the arguments are the attributes of the same names.

        Raises:
            ValueError: If there is no chunk, or the shapes do not fit together.
        """
        shape = (len(chunk_start_seconds), len(genres))
        if chunk_probabilities.shape != shape:
            raise ValueError(
                f"chunk_probabilities must have the shape (n_chunks, n_genres) = {shape}, got {chunk_probabilities.shape}"
            )
        decision = _decide(chunk_probabilities)
        return cls(
            genres=tuple(genres),
            probabilities=decision.probability[0],
            votes=decision.votes[0],
            chunk_probabilities=chunk_probabilities,
            chunk_start_seconds=chunk_start_seconds,
            seconds=seconds,
        )

    @cached_property
    def _decision(self) -> TrackVotes:
        return _decide(self.chunk_probabilities)

    @property
    def genre_index(self) -> int:
        """The genre by maximum probability, as an index of `genres`."""
        return int(self._decision.maximum[0])

    @property
    def genre(self) -> str:
        """The genre by maximum probability."""
        return self.genres[self.genre_index]

    @property
    def confidence(self) -> float:
        """The mean probability of `genre`, in 0..1."""
        return float(self.probabilities[self.genre_index])

    @property
    def genre_majority(self) -> str:
        """The genre that most chunks were taken for; of tied genres, the one of higher summed probability."""
        return self.genres[self._decision.majority[0]]

    @property
    def n_chunks(self) -> int:
        """Number of chunks that were classified."""
        return len(self.chunk_probabilities)

    @property
    def ranked(self) -> list[tuple[str, float]]:
        """Genres and their mean probability over the file's chunks, the most probable first."""
        order = np.argsort(-self.probabilities, kind="stable")
        return [(self.genres[label], float(self.probabilities[label])) for label in order]

    def to_dict(self) -> dict[str, Any]:
        """Both decisions, the ranked probabilities, and how much was listened to."""
        return {
            "genre": self.genre,
            "confidence": self.confidence,
            "genre_majority": self.genre_majority,
            "n_chunks": self.n_chunks,
            "seconds": self.seconds,
            "probabilities": dict(self.ranked),
        }


def _decide(chunk_probabilities: NDArray[np.float32]) -> TrackVotes:
    return vote(chunk_probabilities, ["file"] * len(chunk_probabilities))
