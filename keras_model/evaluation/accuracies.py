"""The accuracies of a network on a split: raw, maximum probability, majority vote."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from keras_model.evaluation.intervals import chance_level, wilson_interval
from keras_model.evaluation.votes import TrackVotes, vote

if TYPE_CHECKING:  # reports need neither
    import keras
    import tensorflow as tf

    from keras_model.data.split_data import SplitData

_BATCH_SIZE = 256
_LEAST = 1e-7  # of a probability, as Keras clips it


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a network made of a split.

    Attributes:
        genres: In the order of their labels.
        probabilities: Softmax of each chunk, (n_chunks, n_genres).
        labels: True label of each chunk, (n_chunks,).
        track_ids: Track of each chunk.
        chunk_indices: Which of its track's candidates each chunk is, (n_chunks,).
        places: Where each chunk's record stands among those of the dataset's tested splits, (n_chunks,).
    """

    genres: tuple[str, ...]
    probabilities: NDArray[np.floating]
    labels: NDArray[np.int64]
    track_ids: list[str]
    chunk_indices: NDArray[np.int64]
    places: NDArray[np.integer]

    @classmethod
    def of(
        cls,
        model: "keras.Model",
        split: "SplitData",
        genres: tuple[str, ...],
        *,
        change: Callable[["tf.Tensor"], "tf.Tensor"] | None = None,
    ) -> Self:
        """Runs a network over a split, on all devices that it was made for, and compares its probabilities with the truth.

        Args:
            model: From log-mels (batch, n_mels, n_frames, 1) to probabilities.
            split: What it is tested on.
            genres: In the order of the labels.
            change: What is done to each batch of log-mels first; None for nothing.
        """
        batches = split.ordered_batches(batch_size=_BATCH_SIZE)
        if change is not None:
            batches = batches.map(change)
        return cls(
            genres=genres,
            probabilities=np.asarray(model.predict(batches, verbose=0)),
            labels=split.labels,
            track_ids=split.track_ids,
            chunk_indices=split.chunk_indices,
            places=split.places,
        )

    @cached_property
    def votes(self) -> TrackVotes:
        """The decisions of the tracks."""
        return vote(self.probabilities, self.track_ids)

    @cached_property
    def track_labels(self) -> NDArray[np.int64]:
        """True label per track, in the order of `votes.track_ids`."""
        label_of = dict(zip(self.track_ids, self.labels.tolist(), strict=True))
        return np.asarray([label_of[track_id] for track_id in self.votes.track_ids])

    @cached_property
    def confusions(self) -> dict[str, NDArray[np.int64]]:
        """By decision, the chunks or tracks by true genre (row) and predicted genre (column), (n_genres, n_genres)."""
        counts = {name: np.zeros((len(self.genres),) * 2, np.int64) for name in ("raw", "maximum", "majority")}
        np.add.at(counts["raw"], (self.labels, self.probabilities.argmax(axis=1)), 1)
        np.add.at(counts["maximum"], (self.track_labels, self.votes.maximum), 1)
        np.add.at(counts["majority"], (self.track_labels, self.votes.majority), 1)
        return counts

    @property
    def accuracies(self) -> dict[str, float]:
        """Raw, maximum-probability and majority-vote accuracy, in 0..1."""
        return {name: float(np.trace(counts) / counts.sum()) for name, counts in self.confusions.items()}

    @property
    def cross_entropy(self) -> float:
        """Mean over chunks, in nats, without the penalty on the weights."""
        of_truth = self.probabilities[np.arange(len(self.labels)), self.labels].astype(np.float64)
        return float(-np.log(np.maximum(of_truth, _LEAST)).mean())

    def to_dict(self) -> dict[str, Any]:
        """What `metrics.json` holds: overall, per genre and per track.

        The `intervals` are the 95 % intervals of the accuracies of tracks; `chance` is the accuracy of always answering the genre
        that most tracks are of. Of each track the votes are the numbers of its chunks by their predicted genre,
        and its chunks are columns in the order of time: index among the track's candidates, place of the record in the split,
        predicted label and its probability.
        """
        votes, predicted, sureness = self.votes, self.probabilities.argmax(axis=1), self.probabilities.max(axis=1)
        row_of_chunk = np.searchsorted(np.asarray(votes.track_ids), np.asarray(self.track_ids))
        in_time = np.lexsort((self.chunk_indices, row_of_chunk))
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
                    "label": predicted[records].tolist(),
                    "probability": np.round(sureness[records].astype(np.float64), 4).tolist(),
                },
            }
            for row, (track_id, records) in enumerate(zip(votes.track_ids, records_of, strict=True))
        }
        accuracies, n_tracks = self.accuracies, len(votes.track_ids)
        return {
            **accuracies,
            "intervals": {name: list(wilson_interval(accuracies[name], n_tracks)) for name in ("maximum", "majority")},
            "chance": chance_level(self.confusions["maximum"].tolist()),
            "product": float(np.mean(votes.product == self.track_labels)),
            "cross_entropy": self.cross_entropy,
            "n_chunks": len(self.labels),
            "n_tracks": n_tracks,
            "per_genre": {
                genre: {name: float(counts[row, row] / max(1, counts[row].sum())) for name, counts in self.confusions.items()}
                for row, genre in enumerate(self.genres)
            },
            **{f"{name}_confusion": counts.tolist() for name, counts in self.confusions.items()},
            "tracks": tracks,
        }


def accuracy_lines(final: Mapping[str, Any], baseline: Mapping[str, Any] | None = None) -> list[str]:
    """The accuracies for the screen, those of tracks with their 95 % intervals.

    Args:
        final: As `Evaluation.to_dict` gives them.
        baseline: As `band_statistics_baseline` gives it; None for none.
    """
    of_tracks = {
        "maximum probability": (final["maximum"], final["intervals"]["maximum"]),
        "majority vote": (final["majority"], final["intervals"]["majority"]),
    }
    if baseline is not None:
        of_tracks["band statistics"] = (baseline["accuracy"], baseline["interval"])
    return [
        f"  {'raw':20} {final['raw']:7.2%}   chunks",
        *(
            f"  {title:20} {share:7.2%}   tracks, 95 % interval {100 * low:.1f} to {100 * high:.1f}"
            for title, (share, (low, high)) in of_tracks.items()
        ),
        f"  {'chance':20} {final['chance']:7.2%}   tracks",
    ]
