"""Chunk probabilities to a track's genre."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SMALLEST_PROBABILITY = 1e-30


@dataclass(frozen=True, kw_only=True)
class TrackVotes:
    """Decisions per track, in the order of the track ids.

    Attributes:
        track_ids: The tracks.
        probability: Mean of the softmax over a track's chunks, (n_tracks, n_genres).
        votes: Number of chunks that were classified as each genre, (n_tracks, n_genres).
        maximum: Genre of the highest summed probability, (n_tracks,); the paper's "maximum probability".
        majority: Genre that most chunks were classified as, (n_tracks,); of tied genres, the one of higher summed probability.
        product: Genre of the highest product of probabilities, (n_tracks,), which the author's code computes as a sum of
            log-softmax.
    """

    track_ids: tuple[str, ...]
    probability: NDArray[np.float64]
    votes: NDArray[np.int64]
    maximum: NDArray[np.int64]
    majority: NDArray[np.int64]
    product: NDArray[np.int64]


def vote(probabilities: NDArray[np.floating], track_ids: Sequence[str]) -> TrackVotes:
    """Decides every track's genre from the probabilities of its chunks.

    Args:
        probabilities: (n_chunks, n_genres), the rows in any order.
        track_ids: The track of each row.

    Raises:
        ValueError: If there is no chunk, or the two differ in length.
    """
    if len(probabilities) != len(track_ids) or not len(track_ids):
        raise ValueError(f"need one track id for each of at least one chunk, got {len(probabilities)} and {len(track_ids)}")
    tracks, track_of = np.unique(np.asarray(track_ids), return_inverse=True)
    n_genres = probabilities.shape[1]
    # Sorted by track and then by value, so that the sums do not depend on the order of the rows.
    rows = probabilities.astype(np.float64)
    order = np.lexsort((*rows.T, track_of))
    rows, track_of = rows[order], track_of[order]

    summed, log_summed = np.zeros((2, len(tracks), n_genres))
    votes = np.zeros((len(tracks), n_genres), dtype=np.int64)
    np.add.at(summed, track_of, rows)
    np.add.at(log_summed, track_of, np.log(np.maximum(rows, _SMALLEST_PROBABILITY)))
    np.add.at(votes, (track_of, rows.argmax(axis=1)), 1)
    n_chunks = votes.sum(axis=1, keepdims=True)
    return TrackVotes(
        track_ids=tuple(tracks.tolist()),
        probability=summed / n_chunks,
        votes=votes,
        maximum=summed.argmax(axis=1),
        majority=np.where(votes == votes.max(axis=1, keepdims=True), summed, -1.0).argmax(axis=1),
        product=log_summed.argmax(axis=1),
    )
