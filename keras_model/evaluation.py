"""The accuracies of a network on a split: raw, maximum probability, majority vote."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_model.voting import TrackVotes, vote


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
    """

    genres: tuple[str, ...]
    cross_entropy: float
    raw_confusion: NDArray[np.int64]
    maximum_confusion: NDArray[np.int64]
    majority_confusion: NDArray[np.int64]
    product_accuracy: float
    track_labels: NDArray[np.int64]
    votes: TrackVotes

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
        """What `metrics.json` holds: overall, per genre and per track."""
        votes = self.votes
        tracks = {
            track_id: {
                "genre": self.genres[self.track_labels[row]],
                "maximum": self.genres[votes.maximum[row]],
                "majority": self.genres[votes.majority[row]],
                "probability": float(votes.probability[row].max()),
            }
            for row, track_id in enumerate(votes.track_ids)
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
    probabilities: NDArray[np.floating], labels: NDArray[np.int64], track_ids: list[str], *, genres: tuple[str, ...]
) -> Evaluation:
    """Compares a network's probabilities with the truth.

    Args:
        probabilities: (n_chunks, n_genres).
        labels: True label of each chunk, (n_chunks,).
        track_ids: Track of each chunk.
        genres: In the order of the labels.
    """
    votes = vote(probabilities, track_ids)
    label_of = dict(zip(track_ids, labels.tolist(), strict=True))
    track_labels = np.asarray([label_of[track_id] for track_id in votes.track_ids])
    of_truth = np.maximum(probabilities[np.arange(len(labels)), labels].astype(np.float64), 1e-7)  # as Keras clips it
    return Evaluation(
        genres=genres,
        cross_entropy=float(-np.log(of_truth).mean()),
        raw_confusion=_confusion(labels, probabilities.argmax(axis=1), len(genres)),
        maximum_confusion=_confusion(track_labels, votes.maximum, len(genres)),
        majority_confusion=_confusion(track_labels, votes.majority, len(genres)),
        product_accuracy=float(np.mean(votes.product == track_labels)),
        track_labels=track_labels,
        votes=votes,
    )


def _confusion(labels: NDArray[np.int64], predictions: NDArray[np.int64], n_genres: int) -> NDArray[np.int64]:
    counts = np.zeros((n_genres, n_genres), dtype=np.int64)
    np.add.at(counts, (labels, predictions), 1)
    return counts
