"""A served model that is asked for the genres of files: `Predictor` from afar, with its decoding, resampling and refusals."""

import dataclasses
import functools
import json
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from keras_model.prediction.blocks import LogMelBlock, classify
from keras_model.prediction.track import Prediction
from keras_model.run_folder import FrontEnd
from keras_model.serving_client.protocol import (
    Outputs,
    ServingError,
    UnusableServerError,
    answered_probabilities,
    answered_text,
    ask_patiently,
)
from tfrecords.errors import printable


class Server(Protocol):
    """A served model, over REST or gRPC."""

    def ask(self, waveforms: NDArray[np.float32], n_samples: NDArray[np.int32], sample_rate: int) -> Outputs:
        """The outputs of `classify_waveform` for waveforms (n, samples), whose own lengths are (n,), at a rate in Hz."""


class RemotePredictor:
    """A model at a server. It is asked for half a minute at a time, whatever a file's length: neither side holds more of it."""

    def __init__(self, server: Server, *, n_retries: int) -> None:
        self._server = server
        self._n_retries = n_retries
        self._description = ""  # what the model says of itself

    def predict(self, file: BinaryIO) -> Prediction:
        """Classifies a file, open for reading, of any format that the pipeline reads.

        Raises:
            UnusableAudioError: As `Predictor.predict`.
            ServingError: If the server has no answer.
            UnusableServerError: If no file would fare better.
        """
        if not self._description:
            one_sample = (np.zeros((1, 1), np.float32), np.ones(1, np.int32), 22050)  # too short for a genre, long enough to ask
            self._description = answered_text(self._ask(*one_sample), "front_end")
        try:
            front_end = FrontEnd.from_json(self._description)
            front_end = dataclasses.replace(front_end, genres=tuple(map(printable, front_end.genres)))
            n_chunks = json.loads(self._description)["chunks"]
            if n_chunks is not None and (type(n_chunks) is not int or n_chunks < 1):
                raise ValueError(f"chunks must be null or a positive integer, got {n_chunks!r}")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnusableServerError(f"the model describes itself otherwise than train.py exports it: {error}") from error
        n_genres = len(front_end.genres)
        return classify(file, lambda block: self._probabilities(block, n_genres), front_end=front_end, n_chunks=n_chunks)

    def _probabilities(self, block: LogMelBlock, n_genres: int) -> NDArray[np.float32]:
        """The softmax of a block's chunks, (n_chunks, n_genres).

        Each run of neighbouring chunks is sent as one waveform, in which the model finds them again.
        """
        spec = block.spec
        runs = np.split(block.starts - block.first, np.flatnonzero(np.diff(block.starts) != spec.chunk_step) + 1)
        n_samples = np.array([run[-1] - run[0] + spec.chunk_samples for run in runs], np.int32)
        waveforms = np.zeros((len(runs), n_samples.max()), np.float32)
        for waveform, run, n in zip(waveforms, runs, n_samples, strict=True):
            waveform[:n] = block.waveform[run[0] : run[0] + n]
        outputs = self._ask(waveforms, n_samples, spec.sample_rate)
        if answered_text(outputs, "front_end") != self._description:
            self._description = ""
            raise ServingError("the server changed to another version of the model within the file")
        return answered_probabilities(outputs, shape=(len(block.starts), n_genres))

    def _ask(self, *inputs: Any) -> Outputs:
        return ask_patiently(functools.partial(self._server.ask, *inputs), n_retries=self._n_retries)
