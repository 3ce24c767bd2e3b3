"""From one track's waveform to the probabilities of its chunks, in stock TensorFlow operations, for the served model."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from keras_model.chunk_choice import SILENCE, chosen_chunks_graph
from keras_model.serving.log_mel_graph import log_mel_graph
from keras_model.serving.resampling_graph import resample_graph
from tfrecords.audio import LARGEST_SAMPLE, SAMPLE_RATES_HZ
from tfrecords.log_mel_spec import LogMelSpec

# Chunks that pass through the front end and the network at once: of a long track, nothing but its samples takes more memory.
_BLOCK = 64


class TrackAnswer(NamedTuple):
    """What one track is taken for.

    Attributes:
        chunk_probabilities: (n_chunks, n_genres) float32; no rows where there is an error.
        start_seconds: Where the chunks start, (n_chunks,) float32.
        n_chunks: How many they are, scalar int64.
        probabilities: Mean of the chunks', (n_genres,) float32; zeros where there is an error.
        votes: How many chunks were taken for each genre, (n_genres,) int64.
        maximum: Index of the genre by maximum probability, scalar int64; −1 where there is an error.
        majority: Index of the genre by majority vote, a tie going to the higher sum, scalar int64; −1 where there is an error.
        error: Scalar string, why there is no genre; empty where there is one.
    """

    chunk_probabilities: tf.Tensor
    start_seconds: tf.Tensor
    n_chunks: tf.Tensor
    probabilities: tf.Tensor
    votes: tf.Tensor
    maximum: tf.Tensor
    majority: tf.Tensor
    error: tf.Tensor


def classify_track(
    waveform: tf.Tensor,
    sample_rate: tf.Tensor,
    error: tf.Tensor,
    *,
    network: Callable[[tf.Tensor], tf.Tensor],
    n_genres: int,
    spec: LogMelSpec,
    n_wanted: int | None,
) -> TrackAnswer:
    """Classifies a track by its candidate chunks.

    Args:
        waveform: (n_samples,) float32 in ±1.
        sample_rate: Scalar int32, in Hz.
        error: Scalar string; not empty where something has been found wrong with the track already.
        network: From log-mels (n, n_mels, n_frames) to probabilities (n, n_genres).
        n_genres: Number of the network's outputs.
        spec: The front end.
        n_wanted: How many chunks are taken; None for all candidates.

    Returns:
        The track's answer.
    """
    error = _first_error(error, _unusable(waveform, sample_rate))
    usable = tf.equal(error, "")
    # What is unusable is replaced by nothing at all, so that what follows cannot fail on it.
    waveform = tf.cond(usable, lambda: waveform, lambda: waveform[:0])
    sample_rate = tf.where(usable, sample_rate, spec.sample_rate)
    waveform = resample_graph(waveform, sample_rate, to_rate=spec.sample_rate)
    n_samples = tf.size(waveform, out_type=tf.int64)
    n_candidates = tf.maximum(tf.constant(0, tf.int64), 1 + (n_samples - spec.chunk_samples) // spec.chunk_step)
    error = _first_error(error, _silent(waveform), _too_short(n_samples, n_candidates, spec))
    n_candidates = tf.where(tf.equal(error, ""), n_candidates, 0)
    starts = chosen_chunks_graph(n_candidates, n_wanted) * spec.chunk_step
    chunk_probabilities = _classify_chunks(waveform, starts, network=network, n_genres=n_genres, spec=spec)
    # A network whose weights are damaged gives NaN, which JSON cannot hold.
    finite = tf.reduce_all(tf.math.is_finite(chunk_probabilities))
    error = _first_error(error, tf.where(finite, "", "the network gave no numbers"))
    right = tf.equal(error, "")
    starts = tf.cond(right, lambda: starts, lambda: starts[:0])
    chunk_probabilities = tf.cond(right, lambda: chunk_probabilities, lambda: chunk_probabilities[:0])
    n_chunks = tf.size(starts, out_type=tf.int64)
    summed = tf.reduce_sum(tf.cast(chunk_probabilities, tf.float64), axis=0)  # (n_genres,)
    votes = tf.reduce_sum(tf.one_hot(tf.argmax(chunk_probabilities, axis=1), n_genres, dtype=tf.int64), axis=0)
    tied = tf.equal(votes, tf.reduce_max(votes))
    nothing = tf.constant(-1, tf.int64)
    return TrackAnswer(
        chunk_probabilities=chunk_probabilities,
        start_seconds=tf.cast(starts, tf.float32) / spec.sample_rate,
        n_chunks=n_chunks,
        probabilities=tf.cast(summed / tf.cast(tf.maximum(n_chunks, 1), tf.float64), tf.float32),
        votes=votes,
        maximum=tf.where(right, tf.argmax(summed), nothing),
        majority=tf.where(right, tf.argmax(tf.where(tied, summed, -tf.ones_like(summed))), nothing),
        error=error,
    )


def _first_error(*errors: tf.Tensor) -> tf.Tensor:
    first = errors[0]
    for error in errors[1:]:
        first = tf.where(tf.equal(first, ""), error, first)
    return first


def _unusable(waveform: tf.Tensor, sample_rate: tf.Tensor) -> tf.Tensor:
    """The refusals of tfrecords.audio, in its words."""
    low, high = SAMPLE_RATES_HZ
    rate = tf.strings.as_string(sample_rate)
    return _first_error(
        tf.where(
            tf.logical_and(low <= sample_rate, sample_rate <= high),
            "",
            tf.strings.join(["has a sample rate of ", rate, f" Hz, expected {low} to {high}"]),
        ),
        tf.where(tf.size(waveform) > 0, "", "holds no samples"),
        tf.where(tf.reduce_all(tf.math.is_finite(waveform)), "", "holds samples that are NaN or infinite"),
        tf.where(
            tf.reduce_all(tf.abs(waveform) <= LARGEST_SAMPLE),
            "",
            f"holds samples beyond ±{LARGEST_SAMPLE:.0e}, where ±1 is full scale",
        ),
    )


def _silent(waveform: tf.Tensor) -> tf.Tensor:
    heard = tf.reduce_any(tf.abs(waveform) >= SILENCE)
    return tf.where(heard, "", "is silent: no sample reaches half a step of 16 bits")


def _too_short(n_samples: tf.Tensor, n_candidates: tf.Tensor, spec: LogMelSpec) -> tf.Tensor:
    seconds = tf.strings.as_string(tf.cast(n_samples, tf.float64) / spec.sample_rate, precision=2)
    message = tf.strings.join(["too short: ", seconds, f" s, need {spec.min_seconds(1):.2f} s"])
    return tf.where(n_candidates > 0, "", message)


def _classify_chunks(
    waveform: tf.Tensor, starts: tf.Tensor, *, network: Callable[[tf.Tensor], tf.Tensor], n_genres: int, spec: LogMelSpec
) -> tf.Tensor:
    """Probabilities (n_chunks, n_genres) of the chunks that begin at `starts` (n_chunks,), block by block."""
    n_chunks = tf.size(starts)
    n_blocks = (n_chunks + _BLOCK - 1) // _BLOCK

    def classify(block: tf.Tensor, found: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        of_block = starts[block * _BLOCK : (block + 1) * _BLOCK]
        samples = of_block[:, tf.newaxis] + tf.range(spec.chunk_samples, dtype=tf.int64)
        chunks = tf.gather(waveform, samples)  # (n, chunk_samples)
        return block + 1, found.write(block, network(log_mel_graph(chunks, spec=spec)))

    found = tf.TensorArray(tf.float32, size=n_blocks, infer_shape=False, element_shape=(None, n_genres))
    _, found = tf.while_loop(lambda block, _: block < n_blocks, classify, (tf.constant(0), found), parallel_iterations=1)
    return found.concat()
