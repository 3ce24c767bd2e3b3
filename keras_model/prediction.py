"""A file's genre, and an exported model that finds it."""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from keras_model.chunk_stream import LogMelBlock, log_mel_blocks
from keras_model.front_end import FrontEnd
from keras_model.run_folder import FRONT_END_FILE, METRICS_FILE
from keras_model.voting import TrackVotes, vote
from tfrecords.audio import UnusableAudioError
from tfrecords.errors import UsageError, quoted

# Chunks that the network takes at once.
BATCH_CHUNKS = 64


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


class PartialPrediction:
    """A file of which some chunks are classified."""

    def __init__(self) -> None:
        self._starts: list[NDArray[np.int64]] = []
        self._probabilities: list[NDArray[np.float32]] = []
        self._n_waiting = 0
        self._n_samples = 0

    def expect(self, block: LogMelBlock) -> None:
        """Notes the next block, whose chunks are to be classified."""
        self._starts.append(block.starts)
        self._n_waiting += len(block.starts)
        self._n_samples = block.n_samples

    def add(self, probabilities: NDArray[np.float32]) -> None:
        """Takes the softmax of the chunks that come next, (n_chunks, n_genres)."""
        self._probabilities.append(probabilities)
        self._n_waiting -= len(probabilities)

    @property
    def is_whole(self) -> bool:
        """Whether every chunk that is expected so far is classified."""
        return not self._n_waiting

    def decide(self, front_end: FrontEnd) -> Prediction:
        """The file's genre.

        Raises:
            UnusableAudioError: If the network is damaged.
        """
        probabilities = np.concatenate(self._probabilities)
        if not np.isfinite(probabilities).all():
            raise UnusableAudioError("no numbers", "the network gave no numbers")
        sample_rate = front_end.spec.sample_rate
        starts = np.concatenate(self._starts) / sample_rate
        return Prediction.from_chunks(front_end.genres, probabilities, starts, self._n_samples / sample_rate)


def find_saved_model(path: Path) -> Path:
    """The SavedModel that a path means: a run's folder, an export folder, a folder of versions, or a version itself.

    An export folder holds a folder per model's name, which holds the versions; the newest one is taken. A run's `metrics.json`
    names the folder that it was exported to.

    Raises:
        UsageError: If there is none, or an export folder holds several models.
    """
    if _is_version(path):
        return path
    for folder in (path / "export", path, *_export_option(path)):
        if version := _newest_version(folder):
            return version
        named = {child.name: version for child in _children(folder) if (version := _newest_version(child))}
        if len(named) > 1:
            raise UsageError(f"{folder} holds several models, {', '.join(sorted(named))}: give the folder of one")
        if named:
            return next(iter(named.values()))
    raise UsageError(f"there is no exported model in {path}; give a run's folder or one that train.py --export wrote to")


def _is_version(folder: Path) -> bool:
    return (folder / "saved_model.pb").is_file()


def _children(folder: Path) -> Iterator[Path]:
    """What lies in a folder and is not hidden, as unfinished exports are."""
    try:
        yield from (child for child in folder.iterdir() if not child.name.startswith("."))
    except OSError:
        return


def _newest_version(folder: Path) -> Path | None:
    versions = [child for child in _children(folder) if child.name.isdecimal() and _is_version(child)]
    return max(versions, key=lambda child: int(child.name), default=None)


def _export_option(run: Path) -> list[Path]:
    """The folder that a run was exported to, by its metrics; none if it has no metrics or was not exported.

    Raises:
        UsageError: If the metrics are damaged.
    """
    try:
        folder = json.loads((run / METRICS_FILE).read_text(encoding="utf-8"))["options"]["export"]
        return [Path(folder)] if folder else []
    except OSError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{run / METRICS_FILE} is damaged: {quoted(error)}") from error


class Predictor:
    """An exported model, loaded.

    Attributes:
        front_end: Spec, genres and corpus of the data that it was trained on.
    """

    def __init__(self, saved_model: Any, front_end: FrontEnd) -> None:
        self._signature = saved_model.signatures["serving_default"]
        self._saved_model = saved_model  # its variables live as long as it does
        self.front_end = front_end

    @classmethod
    def load(cls, path: Path) -> Self:
        """Loads the model that `find_saved_model` finds.

        Raises:
            UsageError: If there is none, or it is not one that train.py exported.
        """
        import tensorflow as tf  # heavy; a command line looks at its arguments first

        from keras_model.saved_model import load_saved_model

        saved_model = find_saved_model(path)
        try:
            front_end = FrontEnd.from_json((saved_model / "assets" / FRONT_END_FILE).read_text(encoding="utf-8"))
            return cls(load_saved_model(saved_model), front_end)
        except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise UsageError(f"{saved_model} is no whole model that train.py exported: {reason}") from error

    def predict(self, file: bytes | BinaryIO, *, n_chunks: int | None = None) -> Prediction:
        """Classifies a file.

        Args:
            file: Of any format that the pipeline reads: its bytes, or open for reading.
            n_chunks: How many of its candidate chunks are asked for, spread evenly; None for all.

        Raises:
            UnusableAudioError: If it does not decode, is shorter than one chunk, or silent.
        """
        stream = io.BytesIO(file) if isinstance(file, bytes) else file
        partial = PartialPrediction()
        for block in log_mel_blocks(stream, spec=self.front_end.spec, n_chunks=n_chunks):
            if block.is_first:
                partial = PartialPrediction()
            partial.expect(block)
            for first in range(0, len(block.log_mels), BATCH_CHUNKS):
                partial.add(self.probabilities(block.log_mels[first : first + BATCH_CHUNKS]))
        return partial.decide(self.front_end)

    def probabilities(self, log_mels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Log-mels (n_chunks, n_mels, n_frames) float32 to the softmax of each chunk, (n_chunks, n_genres) float32."""
        import tensorflow as tf

        probabilities: NDArray[np.float32] = self._signature(log_mel=tf.constant(log_mels))["probabilities"].numpy()
        return probabilities
