"""The accuracies of a network on a split: raw, maximum probability, majority vote."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_model.evaluation.votes import TrackVotes, vote


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a network made of a split.

    Attributes:
        genres: In the order of their labels.
        cross_entropy: Mean over chunks, in nats, without the penalty on the weights.
        raw_confusion: Chunks by true genre (row) and predicted genre (column), (n_genres, n_genres).
        maximum_confusion: Tracks, by maximum probability.
        majority_confusion: Tracks, by majority vote.
        product_accuracy: Share of tracks that the product of probabilities gets right.
        track_labels: True label per track, in the order of `votes.track_ids`.
        votes: The decisions.
        chunk_tracks: Of each record of the split, in its order: the row of its track in `votes.track_ids`, (n_chunks,).
        chunk_indices: Which of its track's candidate chunks it is, (n_chunks,).
        places: Where its record stands among those of the dataset's tested splits, (n_chunks,).
        chunk_labels: The label that it was taken for, (n_chunks,).
        chunk_probabilities: The softmax of that label, (n_chunks,).
    """

    genres: tuple[str, ...]
    cross_entropy: float
    raw_confusion: NDArray[np.int64]
    maximum_confusion: NDArray[np.int64]
    majority_confusion: NDArray[np.int64]
    product_accuracy: float
    track_labels: NDArray[np.int64]
    votes: TrackVotes
    chunk_tracks: NDArray[np.int64]
    chunk_indices: NDArray[np.int64]
    places: NDArray[np.integer]
    chunk_labels: NDArray[np.int64]
    chunk_probabilities: NDArray[np.floating]

    @property
    def accuracies(self) -> dict[str, float]:
        """Raw, maximum-probability and majority-vote accuracy, in 0..1."""
        return {name: float(np.trace(confusion) / confusion.sum()) for name, confusion in self._confusions.items()}

    @property
    def per_genre(self) -> dict[str, dict[str, float]]:
        """The three accuracies of each genre's own chunks and tracks."""
        return {
            genre: {
                name: float(confusion[label, label] / max(1, confusion[label].sum()))
                for name, confusion in self._confusions.items()
            }
            for label, genre in enumerate(self.genres)
        }

    @property
    def _confusions(self) -> dict[str, NDArray[np.int64]]:
        return {"raw": self.raw_confusion, "maximum": self.maximum_confusion, "majority": self.majority_confusion}

    def to_dict(self) -> dict[str, Any]:
        """What `metrics.json` holds: overall, per genre and per track.

        Of each track the votes are the numbers of its chunks by the genre that they were taken for, and its chunks are columns in
        the order of time: index among the track's candidates, place of the record in the split, predicted label and its
        probability.
        """
        votes = self.votes
        in_time = np.lexsort((self.chunk_indices, self.chunk_tracks))
        records_of = np.split(in_time, np.cumsum(votes.votes.sum(axis=1))[:-1])
        tracks = {
            track_id: {
                "genre": self.genres[self.track_labels[row]],
                "maximum": self.genres[votes.maximum[row]],
                "majority": self.genres[votes.majority[row]],
                "probability": float(votes.probability[row].max()),
                "votes": votes.votes[row].tolist(),
                "chunks": {
                    "index": self.chunk_indices[records].tolist(),
                    "record": self.places[records].tolist(),
                    "label": self.chunk_labels[records].tolist(),
                    "probability": np.round(self.chunk_probabilities[records].astype(np.float64), 4).tolist(),
                },
            }
            for row, (track_id, records) in enumerate(zip(votes.track_ids, records_of, strict=True))
        }
        return {
            **self.accuracies,
            "product": self.product_accuracy,
            "cross_entropy": self.cross_entropy,
            "n_chunks": int(self.raw_confusion.sum()),
            "n_tracks": len(votes.track_ids),
            "per_genre": self.per_genre,
            "raw_confusion": self.raw_confusion.tolist(),
            "maximum_confusion": self.maximum_confusion.tolist(),
            "majority_confusion": self.majority_confusion.tolist(),
            "tracks": tracks,
        }


def evaluate(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.int64],
    track_ids: list[str],
    *,
    chunk_indices: NDArray[np.int64],
    places: NDArray[np.integer],
    genres: tuple[str, ...],
) -> Evaluation:
    """Compares a network's probabilities with the truth.

    Args:
        probabilities: (n_chunks, n_genres), in the order of the split's records.
        labels: True label of each chunk, (n_chunks,).
        track_ids: Track of each chunk.
        chunk_indices: Which of its track's candidates each chunk is, (n_chunks,).
        places: Where each chunk's record stands among those of the dataset's tested splits, (n_chunks,).
        genres: In the order of the labels.
    """
    votes = vote(probabilities, track_ids)
    label_of = dict(zip(track_ids, labels.tolist(), strict=True))
    track_labels = np.asarray([label_of[track_id] for track_id in votes.track_ids])
    predicted = probabilities.argmax(axis=1)
    of_truth = np.maximum(probabilities[np.arange(len(labels)), labels].astype(np.float64), 1e-7)  # as Keras clips it
    return Evaluation(
        genres=genres,
        cross_entropy=float(-np.log(of_truth).mean()),
        raw_confusion=_confusion(labels, predicted, len(genres)),
        maximum_confusion=_confusion(track_labels, votes.maximum, len(genres)),
        majority_confusion=_confusion(track_labels, votes.majority, len(genres)),
        product_accuracy=float(np.mean(votes.product == track_labels)),
        track_labels=track_labels,
        votes=votes,
        chunk_tracks=np.searchsorted(np.asarray(votes.track_ids), np.asarray(track_ids)),
        chunk_indices=chunk_indices,
        places=places,
        chunk_labels=predicted,
        chunk_probabilities=probabilities.max(axis=1),
    )


def _confusion(labels: NDArray[np.int64], predictions: NDArray[np.int64], n_genres: int) -> NDArray[np.int64]:
    counts = np.zeros((n_genres, n_genres), dtype=np.int64)
    np.add.at(counts, (labels, predictions), 1)
    return counts
