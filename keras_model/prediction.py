"""An exported model and audio files to genres."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from keras_model.front_end import FrontEnd
from keras_model.run_folder import FRONT_END_FILE, METRICS_FILE
from keras_model.voting import TrackVotes, vote
from tfrecords.audio import UnusableAudioError, decode_audio
from tfrecords.errors import UsageError
from tfrecords.log_mel import cut_chunks, log_mel

_BATCH = 64


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """A file's genre.

    Attributes:
        genres: In the order of the probabilities.
        votes: The decisions, for one track.
    """

    genres: tuple[str, ...]
    votes: TrackVotes

    @property
    def genre(self) -> str:
        """The genre by maximum probability."""
        return self.genres[self.votes.maximum[0]]

    @property
    def ranked(self) -> list[tuple[str, float]]:
        """Genres and their mean probability over the file's chunks, the most probable first."""
        order = np.argsort(-self.votes.probability[0], kind="stable")
        return [(self.genres[label], float(self.votes.probability[0, label])) for label in order]

    def to_dict(self) -> dict[str, Any]:
        """Both decisions, the probabilities and the number of chunks."""
        return {
            "genre": self.genre,
            "genre_majority": self.genres[self.votes.majority[0]],
            "n_chunks": int(self.votes.votes[0].sum()),
            "probabilities": dict(self.ranked),
        }


def find_saved_model(path: Path) -> Path:
    """The SavedModel that a path means: a run's folder, a folder of versions (then the newest), or a version itself.

    A run's `metrics.json` names the folder that it was exported to.

    Raises:
        UsageError: If there is none.
    """
    if (path / "saved_model.pb").is_file():
        return path
    folders = [path / "export", path]
    if (path / METRICS_FILE).is_file():
        folders.append(Path(json.loads((path / METRICS_FILE).read_text(encoding="utf-8"))["options"]["export"]))
    for folder in folders:
        versions = [child for child in folder.glob("*") if child.name.isdecimal() and (child / "saved_model.pb").is_file()]
        if versions:
            return max(versions, key=lambda child: int(child.name))
    raise UsageError(f"there is no exported model in {path}; give a run's folder or one that train.py --export wrote to")


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
            reason = str(error).splitlines()[0]
            raise UsageError(f"{saved_model} is no whole model that train.py exported: {reason}") from error

    def predict(self, data: bytes) -> Prediction:
        """Classifies a file by all of its candidate chunks.

        Args:
            data: The bytes of a file in any format that the pipeline reads.

        Raises:
            UnusableAudioError: If it does not decode or is shorter than one chunk.
        """
        spec = self.front_end.spec
        waveform = decode_audio(data, sample_rate=spec.sample_rate).waveform
        n_chunks = spec.n_candidate_chunks(len(waveform))
        if not n_chunks:
            seconds = len(waveform) / spec.sample_rate
            raise UnusableAudioError("too short", f"too short: {seconds:.2f} s, need {spec.min_seconds(1):.2f} s")
        starts = np.arange(n_chunks) * spec.chunk_step
        batches = [cut_chunks(waveform, starts[first : first + _BATCH], spec=spec) for first in range(0, n_chunks, _BATCH)]
        probabilities = np.concatenate([self._probabilities(log_mel(chunks, spec=spec)) for chunks in batches])
        return Prediction(genres=self.front_end.genres, votes=vote(probabilities, ["file"] * n_chunks))

    def _probabilities(self, log_mels: NDArray[np.float32]) -> NDArray[np.float32]:
        import tensorflow as tf

        probabilities: NDArray[np.float32] = self._signature(log_mel=tf.constant(log_mels))["probabilities"].numpy()
        return probabilities
