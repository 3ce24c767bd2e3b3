"""An exported model that finds a file's genre."""

import io
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from keras_model.front_end import FrontEnd
from keras_model.prediction.chunk_stream import LogMelBlock, log_mel_blocks
from keras_model.prediction.find_model import find_saved_model
from keras_model.run_folder import FRONT_END_FILE
from keras_model.track_prediction import Prediction
from tfrecords.audio import UnusableAudioError
from tfrecords.errors import UsageError

# Chunks that the network takes at once.
BATCH_CHUNKS = 64


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

        from keras_model.serving.saved_model import load_saved_model

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
