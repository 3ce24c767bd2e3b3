"""A file's log-mels, block by block, and the genre that a network gives it from them; wherever the network is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from keras_model.prediction.track import SILENCE, Prediction, chosen_chunks
from keras_model.run_folder import FrontEnd
from tfrecords.audio import UnusableAudioError, announced_samples, waveform_blocks
from tfrecords.front_end.log_mel_spec import LogMelSpec

# Told the seconds of a file that were heard so far, and those that it has by its header; 0 where that tells no length.
Progress = Callable[[float, float], object]
_ATTEMPTS = 3  # at a file that has another length each time, for it is being written
_SOFTMAX_TOLERANCE = 1e-2  # of a sum, for networks that were converted to half precision


@dataclass(frozen=True, kw_only=True, eq=False)
class LogMelBlock:
    """Neighbouring chunks of a file; there may be none."""

    spec: LogMelSpec
    waveform: NDArray[np.float32]  # (n,), the stretch of the file that they lie in
    first: int  # where in the file it begins, in samples
    starts: NDArray[np.int64]  # (n_chunks,), where the chunks begin in the file, in samples
    n_samples: int  # length of the file as far as it is decoded

    def split(self, n_parts: int) -> list["LogMelBlock"]:
        """The block in parts of about as many of its chunks each."""
        return [replace(self, starts=starts) for starts in np.array_split(self.starts, n_parts)]

    @property
    def log_mels(self) -> NDArray[np.float32]:
        """(n_chunks, n_mels, n_frames), computed each time."""
        from tfrecords.front_end.log_mel import cut_chunks, log_mel  # SciPy, which a server's clients do without

        if not len(self.starts):
            return np.empty((0, *self.spec.shape), np.float32)
        return log_mel(cut_chunks(self.waveform, self.starts - self.first, spec=self.spec), spec=self.spec)


def classify(
    file: BinaryIO,
    probabilities: Callable[[LogMelBlock], NDArray[np.float32]],
    *,
    front_end: FrontEnd,
    n_chunks: int | None = None,
    progress: Progress | None = None,
) -> Prediction:
    """Classifies a file by its candidate chunks, or by `n_chunks`, spread evenly; wherever the network is.

    Args:
        file: Open for reading, with a descriptor.
        probabilities: The softmax of a block's chunks, (n_chunks, n_genres); what is none is refused.
        front_end: What the network was trained on.
        n_chunks: None for all.
        progress: Told after each block; None for nobody.

    Raises:
        UnusableAudioError: As `Predictor.predict`.
    """
    spec = front_end.spec
    # Which chunks are spread evenly over a file depends on its length. Its header is believed, until the end turns out to be
    # elsewhere: then the file is read again.
    announced = (announced_samples(file, sample_rate=spec.sample_rate) or 0) if n_chunks or progress else 0
    n_samples = announced
    for attempt in count(1):
        n_candidates = spec.n_candidate_chunks(n_samples)
        wanted = chosen_chunks(n_candidates, n_chunks) if n_chunks else None
        starts, rows = [], []
        for block in log_mel_blocks(file, spec=spec, wanted=wanted):
            n_samples = block.n_samples
            if len(block.starts):
                starts.append(block.starts)
                rows.append(probabilities(block))
            if progress:
                progress(n_samples / spec.sample_rate, announced / spec.sample_rate)
        if wanted is None or spec.n_candidate_chunks(n_samples) == n_candidates or attempt == _ATTEMPTS:
            break
    if not rows:
        raise UnusableAudioError("changes", "changes while it is read")
    chunk_probabilities = np.concatenate(rows)
    sums = chunk_probabilities.sum(axis=1)
    if not ((chunk_probabilities >= 0).all() and np.allclose(sums, 1.0, atol=_SOFTMAX_TOLERANCE)):  # so NaN is none, too
        raise UnusableAudioError("no probabilities", "the network gave no probabilities")
    return Prediction(
        genres=front_end.genres,
        chunk_probabilities=chunk_probabilities,
        chunk_start_seconds=np.concatenate(starts) / spec.sample_rate,
        seconds=n_samples / spec.sample_rate,
    )


def log_mel_blocks(file: BinaryIO, *, spec: LogMelSpec, wanted: NDArray[np.int64] | None = None) -> Iterator[LogMelBlock]:
    """Decodes a file to log-mels of all candidate chunks, or of those whose rising indices are `wanted`.

    Yields:
        Blocks in the order of time; the last one tells the file's length.

    Raises:
        UnusableAudioError: Where `decode_audio` would, or if the file is silent, or shorter than one chunk. Some of its blocks
            may have come by then.
    """
    held = np.empty(0, np.float32)  # what chunks to come need, (n_samples,)
    held_from = n_seen = 0  # samples of the file before it; candidate chunks so far
    loudest = np.float32(0.0)
    for block in waveform_blocks(file, sample_rate=spec.sample_rate):
        loudest = np.abs(block).max(initial=loudest)
        held = np.concatenate([held, block])
        n_samples = held_from + len(held)
        n_candidates = spec.n_candidate_chunks(n_samples)
        indices = np.arange(n_seen, n_candidates) if wanted is None else wanted[(wanted >= n_seen) & (wanted < n_candidates)]
        starts = indices * spec.chunk_step
        yield LogMelBlock(spec=spec, waveform=held, first=held_from, starts=starts, n_samples=n_samples)
        n_seen = n_candidates
        n_done = min(n_seen * spec.chunk_step - held_from, len(held))
        held, held_from = held[n_done:], held_from + n_done
    if loudest < SILENCE:
        raise UnusableAudioError("silent", "is silent: no sample reaches half a step of 16 bits")
    if not n_seen:
        seconds = n_samples / spec.sample_rate
        raise UnusableAudioError("too short", f"too short: {seconds:.2f} s, need {spec.min_seconds(1):.2f} s")
