"""From one track's waveform to the probabilities of its chunks, in stock TensorFlow operations, for the served model."""

from collections.abc import Callable

import tensorflow as tf

from keras_model.prediction.track import SILENCE
from keras_model.serving.front_end_graph import log_mel_graph, resample_graph
from keras_model.serving.wav_graph import first_error, say_if
from tfrecords.audio import LARGEST_SAMPLE, SAMPLE_RATES_HZ
from tfrecords.log_mel_spec import LogMelSpec

# Chunks that pass through the front end and the network at once: of a long track, nothing but its samples takes more memory.
_BLOCK = 64


def classify_track(
    waveform: tf.Tensor,
    sample_rate: tf.Tensor,
    error: tf.Tensor,
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
        network: From log-mels (n, n_mels, n_frames) to probabilities (n, n_genres).
        n_genres: Number of its outputs.
        spec: The front end.
        n_wanted: How many chunks are taken, as by `chosen_chunks`.

    Returns:
        The outputs of signature `classify_audio` for one item, under their names: the chunks have no rows, numbers are zeros and
        indices −1 where there is an error.
    """
    error = first_error(error, _unusable(waveform, sample_rate))
    # What is unusable is replaced by nothing at all, so that what follows cannot fail on it.
    waveform = tf.cond(error == "", lambda: waveform, lambda: waveform[:0])
    waveform = resample_graph(waveform, tf.where(error == "", sample_rate, spec.sample_rate), to_rate=spec.sample_rate)
    n_samples = tf.size(waveform, out_type=tf.int64)
    n_candidates = tf.maximum(tf.constant(0, tf.int64), 1 + (n_samples - spec.chunk_samples) // spec.chunk_step)
    seconds = tf.strings.as_string(tf.cast(n_samples, tf.float64) / spec.sample_rate, precision=2)
    error = first_error(
        error,
        say_if(tf.reduce_all(tf.abs(waveform) < SILENCE), "is silent: no sample reaches half a step of 16 bits"),
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


def _unusable(waveform: tf.Tensor, sample_rate: tf.Tensor) -> tf.Tensor:
    """The refusals of tfrecords.audio, in its words."""
    low, high = SAMPLE_RATES_HZ
    in_range = (low <= sample_rate) & (sample_rate <= high)
    is_loud = tf.reduce_any(tf.abs(waveform) > LARGEST_SAMPLE)
    return first_error(
        say_if(~in_range, "has a sample rate of ", sample_rate, f" Hz, expected {low} to {high}"),
        say_if(tf.size(waveform) == 0, "holds no samples"),
        say_if(~tf.reduce_all(tf.math.is_finite(waveform)), "holds samples that are NaN or infinite"),
        say_if(is_loud, f"holds samples beyond ±{LARGEST_SAMPLE:.0e}, where ±1 is full scale"),
    )


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
