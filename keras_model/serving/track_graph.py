"""From one track's waveform to the probabilities of its chunks, in stock TensorFlow operations, for the served model."""

from collections.abc import Callable

import tensorflow as tf

from keras_model.prediction.track import SILENCE
from keras_model.serving.front_end_graph import log_mel_graph, resample_graph
from keras_model.serving.graph_parts import first_error, in_blocks, say_if
from tfrecords.audio import LARGEST_SAMPLE
from tfrecords.front_end.log_mel_spec import LogMelSpec

# Chunks that pass through the front end and the network at once.
_BLOCK = 64


def classify_track(
    waveform: tf.Tensor,
    sample_rate: tf.Tensor,
    error: tf.Tensor,
    is_part: tf.Tensor,
    *,
    network: Callable[[tf.Tensor], tf.Tensor],
    n_genres: int,
    spec: LogMelSpec,
    n_wanted: int | None,
) -> dict[str, tf.Tensor]:
    """Classifies a track by its candidate chunks.

    Args:
        waveform: (n_samples,) float32 in ±1.
        sample_rate: Scalar int32, in Hz.
        error: Scalar string; not empty where something has been found wrong with the track already.
        is_part: Scalar bool; part of a track, which may be silent, as a whole track may not.
        network: From log-mels (n, n_mels, n_frames) to probabilities (n, n_genres).
        n_genres: Number of its outputs.
        spec: The front end.
        n_wanted: How many chunks are taken, as by `chosen_chunks`.

    Returns:
        The outputs of signature `classify_audio` for one item, under their names: the chunks have no rows, numbers are zeros and
        indices −1 where there is an error.
    """
    is_loud = tf.reduce_any(tf.abs(waveform) > LARGEST_SAMPLE)
    error = first_error(
        error,
        say_if(~tf.reduce_all(tf.math.is_finite(waveform)), "holds samples that are NaN or infinite"),
        say_if(is_loud, f"holds samples beyond ±{LARGEST_SAMPLE:.0e}, where ±1 is full scale"),
    )
    # What is unusable is replaced by nothing at all, so that what follows cannot fail on it.
    waveform = tf.cond(error == "", lambda: waveform, lambda: waveform[:0])
    waveform = resample_graph(waveform, tf.where(error == "", sample_rate, spec.sample_rate), to_rate=spec.sample_rate)
    n_samples = tf.size(waveform, out_type=tf.int64)
    n_candidates = tf.maximum(tf.constant(0, tf.int64), 1 + (n_samples - spec.chunk_samples) // spec.chunk_step)
    seconds = tf.strings.as_string(tf.cast(n_samples, tf.float64) / spec.sample_rate, precision=2)
    error = first_error(
        error,
        say_if(~is_part & tf.reduce_all(tf.abs(waveform) < SILENCE), "is silent: no sample reaches half a step of 16 bits"),
        tf.where(n_candidates > 0, "", tf.strings.join(["too short: ", seconds, f" s, need {spec.min_seconds(1):.2f} s"])),
    )
    n_candidates = tf.where(error == "", n_candidates, 0)
    n_chunks = n_candidates if n_wanted is None else tf.minimum(n_candidates, n_wanted)
    places = (2 * tf.range(n_chunks, dtype=tf.int64) + 1) * n_candidates // (2 * tf.maximum(n_chunks, 1))
    starts = places * spec.chunk_step
    chunk_probabilities = _classify_chunks(waveform, starts, network=network, n_genres=n_genres, spec=spec)
    # A network whose weights are damaged gives NaN, which JSON cannot hold.
    is_finite = tf.reduce_all(tf.math.is_finite(chunk_probabilities))
    error = first_error(error, say_if(~is_finite, "the network gave no numbers"))
    n_chunks = tf.where(error == "", n_chunks, 0)
    chunk_probabilities = chunk_probabilities[:n_chunks]
    summed = tf.reduce_sum(tf.cast(chunk_probabilities, tf.float64), axis=0)  # (n_genres,)
    votes = tf.reduce_sum(tf.one_hot(tf.argmax(chunk_probabilities, axis=1), n_genres, dtype=tf.int64), axis=0)
    is_tied = votes == tf.reduce_max(votes)
    nothing = tf.constant(-1, tf.int64)
    return {
        "chunk_probabilities": chunk_probabilities,
        "chunk_start_seconds": tf.cast(starts[:n_chunks], tf.float32) / spec.sample_rate,
        "n_chunks": n_chunks,
        "probabilities": tf.cast(summed / tf.cast(tf.maximum(n_chunks, 1), tf.float64), tf.float32),
        "votes": votes,
        "genre_index": tf.where(error == "", tf.argmax(summed), nothing),
        "genre_majority_index": tf.where(error == "", tf.argmax(tf.where(is_tied, summed, -tf.ones_like(summed))), nothing),
        "error": error,
    }


def _classify_chunks(
    waveform: tf.Tensor, starts: tf.Tensor, *, network: Callable[[tf.Tensor], tf.Tensor], n_genres: int, spec: LogMelSpec
) -> tf.Tensor:
    """Probabilities (n_chunks, n_genres) of the chunks that begin at `starts` (n_chunks,), block by block."""

    def classify(block: tf.Tensor) -> tf.Tensor:
        of_block = starts[block * _BLOCK : (block + 1) * _BLOCK]
        samples = of_block[:, tf.newaxis] + tf.range(spec.chunk_samples, dtype=tf.int64)
        return network(log_mel_graph(tf.gather(waveform, samples), spec=spec))

    n_blocks = (tf.size(starts, out_type=tf.int64) + _BLOCK - 1) // _BLOCK
    return in_blocks(n_blocks, classify, row=(n_genres,))
