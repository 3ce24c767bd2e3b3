"""What is decided of a track: which of its chunks are classified, and the genre that they give it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_model.evaluation.votes import TrackVotes, vote

# A waveform in ±1 of which no sample reaches half a step of 16-bit PCM is silent: written as 16 bits, it would be zeros.
SILENCE = 0.5 / 32768


def chosen_chunks(n_candidates: int, n_wanted: int | None = None) -> NDArray[np.int64]:
    """Indices of the candidate chunks that are classified, (n_chunks,) rising.

    All of them, or the middles of `n_wanted` equal parts; a track that has fewer gives all it has.
    """
    n_chunks = n_candidates if n_wanted is None else min(n_candidates, n_wanted)
    return (2 * np.arange(n_chunks, dtype=np.int64) + 1) * n_candidates // max(1, 2 * n_chunks)


@dataclass(frozen=True, kw_only=True, eq=False)
class Prediction:
    """A track's genre, decided from its chunks.

    Attributes:
        genres: In the order of the probabilities.
        chunk_probabilities: Softmax of each chunk, in the order of time, (n_chunks, n_genres).
        chunk_start_seconds: Where each begins in the track, (n_chunks,).
        seconds: Duration of the track.
    """

    genres: Sequence[str]
    chunk_probabilities: NDArray[np.float32]
    chunk_start_seconds: NDArray[np.float64]
    seconds: float

    def __post_init__(self) -> None:
        shape = (len(self.chunk_start_seconds), len(self.genres))
        if not self.n_chunks:
            raise ValueError("a track is decided from at least one chunk")
        if self.chunk_probabilities.shape != shape:
            found = self.chunk_probabilities.shape
            raise ValueError(f"chunk_probabilities must have the shape (n_chunks, n_genres) = {shape}, got {found}")

    def __repr__(self) -> str:
        return f"<Prediction: {self.genre} {self.confidence:.1%}, {self.n_chunks} chunks of {self.seconds:.1f} s>"

    @cached_property
    def _decision(self) -> TrackVotes:
        return vote(self.chunk_probabilities, ["track"] * self.n_chunks)

    @property
    def n_chunks(self) -> int:
        """Number of chunks that were classified."""
        return len(self.chunk_probabilities)

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """Mean of the softmax over the chunks, (n_genres,)."""
        return self._decision.probability[0]

    @property
    def votes(self) -> NDArray[np.int64]:
        """Number of chunks that were taken for each genre, (n_genres,)."""
        return self._decision.votes[0]

    @property
    def genre(self) -> str:
        """The genre by maximum probability."""
        return self.genres[self._decision.maximum[0]]

    @property
    def confidence(self) -> float:
        """The mean probability of `genre`, in 0..1."""
        return float(self.probabilities[self._decision.maximum[0]])

    @property
    def genre_majority(self) -> str:
        """The genre that most chunks were taken for; of tied genres, the one of higher summed probability."""
        return self.genres[self._decision.majority[0]]

    @property
    def ranked(self) -> list[tuple[str, float]]:
        """Genres and their mean probability, the most probable first."""
        order = np.argsort(-self.probabilities, kind="stable")
        return [(self.genres[label], float(self.probabilities[label])) for label in order]

    def to_dict(self, *, top: int | None = None) -> dict[str, Any]:
        """Both decisions, the `top` most probable genres with their probabilities (None for all), how much was listened to."""
        return {
            "genre": self.genre,
            "confidence": self.confidence,
            "genre_majority": self.genre_majority,
            "n_chunks": self.n_chunks,
            "seconds": self.seconds,
            "probabilities": dict(self.ranked[:top]),
        }
