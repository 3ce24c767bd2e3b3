"""A network with its front end, asked for the genres of files."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from keras_model.prediction.blocks import LogMelBlock, Progress, classify
from keras_model.prediction.files import AudioFile
from keras_model.prediction.finding import find_model
from keras_model.prediction.runtimes import Network, of_tensorflow, open_network, saved_network
from keras_model.prediction.track import Prediction
from keras_model.run_folder import FrontEnd
from tfrecords.audio import AudioSource, UnusableAudioError, as_file
from tfrecords.errors import UsageError

Outcome = Prediction | UnusableAudioError | OSError
SHIPPED = (
    "the network that ships: the tagger MSD_musicnn with a genre layer made for the ten genres of GTZAN, music of before 2002"
)
_MOST_THREADS = 4  # each holds a block of a file
# Chunks that a network is asked for at once, where there are so many: more are no faster each, and fewer are slower.
_CHUNKS = (16, 32)


class Predictor:
    """A network and its front end; `front_end` tells spec, genres and corpus of what it was trained on.

    Args:
        network: From log-mels (n_chunks, n_mels, n_frames) float32 to the softmax of each, (n_chunks, n_genres); called from
            several threads.
        front_end: Of the network.
    """

    def __init__(self, network: Network, front_end: FrontEnd) -> None:
        self._network = network
        self._n_cores = os.cpu_count() or 1
        self._cores = ThreadPoolExecutor(self._n_cores)
        self.front_end = front_end

    @classmethod
    def shipped(cls) -> Self:
        """The network that ships, for which nothing was trained here.

        Raises:
            UsageError: If its weights are not on this machine, with the command that fetches them.
        """
        from keras_model.networks.shipped import load_shipped

        return cls.of_network(*load_shipped())

    @classmethod
    def of_network(cls, model: Any, front_end: FrontEnd) -> Self:
        """A Keras model, from (n_chunks, n_mels, n_frames, 1) to the softmax of each chunk.

        Raises:
            UsageError: If Keras computes with another backend than TensorFlow.
        """
        import keras
        import tensorflow as tf

        if (backend := keras.backend.backend()) != "tensorflow":
            raise UsageError(f"a network of Keras is asked on its TensorFlow backend, not on {backend}: unset KERAS_BACKEND")

        signature = [tf.TensorSpec((None, *front_end.spec.shape), tf.float32)]
        graph = tf.function(lambda log_mels: model(log_mels[..., tf.newaxis]), input_signature=signature)
        return cls(of_tensorflow(graph), front_end)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Loads the model that `find_model` finds: a SavedModel with TensorFlow, an ONNX or LiteRT file without it.

        Raises:
            UsageError: If there is none, or it is not one that train.py exported.
        """
        return cls(*open_network(find_model(path)))

    @classmethod
    def of_saved_model(cls, saved_model: Any, front_end: FrontEnd) -> Self:
        """A SavedModel that was loaded, by its signature for log-mels."""
        return cls(saved_network(saved_model), front_end)

    def __repr__(self) -> str:
        n_genres, corpus = len(self.front_end.genres), self.front_end.corpus.title
        return f"<Predictor: {self.front_end.spec.shape} log-mels to {n_genres} genres, trained on {corpus}>"

    def predict(self, audio: AudioSource, *, n_chunks: int | None = None, progress: Progress | None = None) -> Prediction:
        """Classifies audio by its candidate chunks, or by `n_chunks`, spread evenly.

        Args:
            audio: A file of any format that the pipeline reads: its path, the open file or its bytes; or a pair of samples,
                (n_samples,) or (n_samples, n_channels), and their rate in Hz.
            n_chunks: None for all.
            progress: Told now and then how far it has come.

        Raises:
            UnusableAudioError: If it does not decode, is shorter than one chunk or silent, or the network is damaged; with the
                path, where one is given.
            UsageError: If samples or their rate are none.
            OSError: If the file cannot be read.
        """
        with as_file(audio) as file:
            return classify(file, self._of_block, front_end=self.front_end, n_chunks=n_chunks, progress=progress)

    def probabilities(self, log_mels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Log-mels (n_chunks, n_mels, n_frames) float32 to the softmax of each chunk, (n_chunks, n_genres) float32."""
        return self._network(log_mels)

    def _of_block(self, block: LogMelBlock) -> NDArray[np.float32]:
        """The softmax of a block's chunks, (n_chunks, n_genres), in parts: log-mels of one while the network has another."""
        most_parts, fewest_parts = (-(-len(block.starts) // n) for n in _CHUNKS)
        parts = block.split(max(fewest_parts, min(most_parts, self._n_cores)))
        return np.concatenate(list(self._cores.map(lambda part: self.probabilities(part.log_mels), parts)))

    def predict_files(
        self, files: Sequence[AudioFile], *, n_chunks: int | None = None, progress: Progress | None = None
    ) -> Iterator[Outcome]:
        """Classifies files, some at a time.

        Args:
            files: Any number of them.
            n_chunks: Of each file; None for all.
            progress: Told now and then how far a file has come, whichever that is.

        Yields:
            For each file in turn, as soon as it and those before it are done, its genre, or the error why there is none.
        """

        def outcome(file: AudioFile) -> Outcome:
            try:
                with file.opened() as opened:
                    return self.predict(opened, n_chunks=n_chunks, progress=progress)
            except (UnusableAudioError, OSError) as error:
                return error

        if not files:
            return
        # Its threads are daemons: one that waits for standard input does not keep the program from ending.
        with ThreadPool(min(len(files), _MOST_THREADS, os.cpu_count() or 1)) as threads:
            yield from threads.imap(outcome, files)
