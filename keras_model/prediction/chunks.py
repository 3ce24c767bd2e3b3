"""An audio file of any length to log-mels of its chunks, block by block."""

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from keras_model.prediction.track import SILENCE
from tfrecords.audio import UnusableAudioError
from tfrecords.audio_stream import waveform_blocks
from tfrecords.log_mel import cut_chunks, log_mel
from tfrecords.log_mel_spec import LogMelSpec


class LogMelBlock(NamedTuple):
    """Neighbouring chunks of a file; there may be none."""

    log_mels: NDArray[np.float32]  # (n_chunks, n_mels, n_frames)
    starts: NDArray[np.int64]  # (n_chunks,), where they begin in the file, in samples
    n_samples: int  # length of the file as far as it is decoded


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
        chunks = cut_chunks(held, starts - held_from, spec=spec) if len(starts) else np.empty((0, spec.chunk_samples), np.float32)
        yield LogMelBlock(log_mel(chunks, spec=spec), starts, n_samples)
        n_seen = n_candidates
        n_done = min(n_seen * spec.chunk_step - held_from, len(held))
        held, held_from = held[n_done:], held_from + n_done
    if loudest < SILENCE:
        raise UnusableAudioError("silent", "is silent: no sample reaches half a step of 16 bits")
    if not n_seen:
        seconds = n_samples / spec.sample_rate
        raise UnusableAudioError("too short", f"too short: {seconds:.2f} s, need {spec.min_seconds(1):.2f} s")
