"""Many audio files to genres: threads decode while the network computes, in batches that are filled from several files."""

import os
import queue
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from keras_model.prediction.audio_files import AudioFile
from keras_model.prediction.chunk_stream import LogMelBlock, log_mel_blocks
from keras_model.prediction.predictor import BATCH_CHUNKS, PartialPrediction, Predictor
from keras_model.track_prediction import Prediction
from tfrecords.audio import UnusableAudioError
from tfrecords.log_mel_spec import LogMelSpec

Outcome = Prediction | UnusableAudioError | OSError
# What a thread says of a file: a block of it, why it cannot be used, or, with None, that it is at its end.
_News = LogMelBlock | UnusableAudioError | OSError | None

_MOST_THREADS = 4
_QUEUE_BLOCKS = 8
_WAKE_SECONDS = 0.1


class _Decoders:
    """Threads that decode files, each a whole one at a time, into a bounded queue."""

    def __init__(self, files: Sequence[AudioFile], *, spec: LogMelSpec, n_chunks: int | None) -> None:
        self._files = files
        self._spec = spec
        self._n_chunks = n_chunks
        self._turns = iter(range(len(files)))
        self._lock = threading.Lock()
        self._queue: queue.Queue[tuple[int, _News] | BaseException] = queue.Queue(_QUEUE_BLOCKS)
        self._stopped = threading.Event()
        n_threads = min(len(files), _MOST_THREADS, os.cpu_count() or 1)
        # Daemons: one that waits for standard input must not keep the program from ending.
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(n_threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()

    def __iter__(self) -> Iterator[tuple[int, _News] | None]:
        """The number of a file and what is new of it, until all files are at their end; None where nothing is for a moment."""
        n_left = len(self._files)
        while n_left:
            try:
                news = self._queue.get(timeout=_WAKE_SECONDS)
            except queue.Empty:
                yield None
                continue
            if isinstance(news, BaseException):
                raise news
            yield news
            n_left -= not isinstance(news[1], LogMelBlock)

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                with self._lock:
                    number = next(self._turns, None)
                if number is None:
                    return
                self._decode(number)
        except BaseException as error:  # is raised where the news are read
            self._put(error)

    def _decode(self, number: int) -> None:
        end: _News = None
        try:
            with self._files[number].opened() as file:
                for block in log_mel_blocks(file, spec=self._spec, n_chunks=self._n_chunks):
                    self._put((number, block))
                    if self._stopped.is_set():
                        return
        except (UnusableAudioError, OSError) as error:
            end = error
        self._put((number, end))

    def _put(self, news: Any) -> None:
        while not self._stopped.is_set():
            try:
                self._queue.put(news, timeout=_WAKE_SECONDS)
            except queue.Full:
                continue
            return


class _Batches:
    """Chunks of several files on their way through the network."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._waiting: deque[tuple[PartialPrediction, NDArray[np.float32]]] = deque()
        self._n_waiting = 0

    def add(self, partial: PartialPrediction, log_mels: NDArray[np.float32]) -> None:
        """Classifies chunks (n_chunks, n_mels, n_frames) as soon as they fill a batch."""
        self._waiting.append((partial, log_mels))
        self._n_waiting += len(log_mels)
        while self._n_waiting >= BATCH_CHUNKS:
            self._classify()

    def finish(self) -> None:
        """Classifies what is left."""
        while self._n_waiting:
            self._classify()

    def _classify(self) -> None:
        batch: list[tuple[PartialPrediction, NDArray[np.float32]]] = []
        n_free = BATCH_CHUNKS
        while n_free and self._waiting:
            partial, log_mels = self._waiting.popleft()
            if len(log_mels) > n_free:
                self._waiting.appendleft((partial, log_mels[n_free:]))
            batch.append((partial, log_mels[:n_free]))
            n_free -= len(batch[-1][1])
        rows = self._predictor.probabilities(np.concatenate([log_mels for _, log_mels in batch]))
        self._n_waiting -= len(rows)
        for partial, log_mels in batch:
            partial.add(rows[: len(log_mels)])
            rows = rows[len(log_mels) :]


def predict_files(predictor: Predictor, files: Sequence[AudioFile], *, n_chunks: int | None = None) -> Iterator[Outcome]:
    """Classifies files.

    Args:
        predictor: The model.
        files: What to classify.
        n_chunks: How many chunks of each file are asked for, spread evenly; None for all.

    Yields:
        For each file in turn, as soon as it and those before it are done, its genre, or the error why there is none.
    """
    partials: dict[int, PartialPrediction] = {}
    ends: dict[int, UnusableAudioError | OSError | None] = {}  # of files that are decoded and not yielded
    batches = _Batches(predictor)
    n_decoded = n_yielded = 0
    with _Decoders(files, spec=predictor.front_end.spec, n_chunks=n_chunks) as decoders:
        for told in decoders:
            if told:
                number, news = told
                if isinstance(news, LogMelBlock):
                    if news.is_first:
                        partials[number] = PartialPrediction()
                    partials[number].expect(news)
                    batches.add(partials[number], news.log_mels)
                else:
                    ends[number] = news
                    n_decoded += 1
            # A file that is decoded does not wait for others to fill its batch where they are long in coming.
            if n_decoded == len(files) or (told is None and n_yielded in ends):
                batches.finish()
            while n_yielded in ends and (ends[n_yielded] or partials[n_yielded].is_whole):
                yield ends.pop(n_yielded) or _decided(partials[n_yielded], predictor)
                partials.pop(n_yielded, None)
                n_yielded += 1


def _decided(partial: PartialPrediction, predictor: Predictor) -> Outcome:
    try:
        return partial.decide(predictor.front_end)
    except UnusableAudioError as damaged:
        return damaged
