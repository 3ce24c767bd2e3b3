"""The module that becomes the SavedModel: log-mels, waveforms, WAV files or records in, genres out."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_model.run_folder import FrontEnd
from keras_model.serving.front_end_graph import log_mel_graph
from keras_model.serving.graph_parts import first_error, out_of_range, say_if
from keras_model.serving.track_graph import classify_track
from keras_model.serving.wav_graph import decode_wav
from tfrecords.records.schema import LOG_MEL

# TF Serving's Classify API: a method of this name, with one input `inputs` and outputs `classes` and `scores`.
CLASSIFY_SIGNATURE = "classify_examples"
_CLASSIFY_METHOD = "tensorflow/serving/classify"

_NOT_FINITE = "holds values that are NaN or infinite, or too large"


class ServedModel(tf.Module):
    """A network, (batch, n_mels, n_frames, 1) to (batch, n_genres), and its front end, in stock TensorFlow operations alone.

    In every signature all inputs and outputs have the batch as their first dimension, and what one item gets does not depend on
    the others: an item that cannot be classified has an `error`, no genre, and zeros for probabilities.

    Attributes:
        log_mel: The served features: chunks (n_chunks, chunk_samples) float32 in ±1 to log-mels (n_chunks, n_mels, n_frames).
    """

    def __init__(
        self, model: keras.Model, front_end: FrontEnd, *, assets: tuple[Path, ...] = (), n_wanted: int | None = None
    ) -> None:
        super().__init__()
        # Not the Keras model itself: tracked through it, they are saved in a way that only Python can restore.
        self.weights = [weight.value for weight in model.weights]
        self.assets = [tf.saved_model.Asset(str(path)) for path in assets]
        self._spec = spec = front_end.spec
        self._genres = tf.constant(front_end.genres)
        self._n_genres = n_genres = len(front_end.genres)
        chunks = tf.TensorSpec((None, spec.chunk_samples), tf.float32)
        self.log_mel = tf.function(lambda chunks: log_mel_graph(chunks, spec=spec), input_signature=[chunks], autograph=False)
        # Each is traced once, and the signatures share it.
        log_mel = tf.TensorSpec((None, *spec.shape), tf.float32)
        self._network = _shared(lambda log_mel: model(log_mel[..., tf.newaxis], training=False), log_mel)
        self._classify_track = _shared(
            lambda waveform, sample_rate, error, is_part: classify_track(
                waveform, sample_rate, error, is_part, network=self._network, n_genres=n_genres, spec=spec, n_wanted=n_wanted
            ),
            *(tf.TensorSpec((None,), tf.float32), tf.TensorSpec((), tf.int32), tf.TensorSpec((), tf.string)),
            tf.TensorSpec((), tf.bool),
        )
        self._description = json.dumps(asdict(front_end) | {"chunks": n_wanted})

    def save(self, path: Path) -> None:
        """Writes a SavedModel with all signatures; that for TF Serving's Classify API is named as such."""
        log_mel = tf.TensorSpec((None, *self._spec.shape), tf.float32, name="log_mel")
        waveform = tf.TensorSpec((None, None), tf.float32, name="waveform")
        n_samples = tf.TensorSpec((None,), tf.int32, name="n_samples")
        sample_rate = tf.TensorSpec((None,), tf.int32, name="sample_rate")
        audio = tf.TensorSpec((None,), tf.string, name="audio")
        inputs = tf.TensorSpec((None,), tf.string, name="inputs")
        # None of them is an attribute of the module, which would be saved a second time.
        signatures = {
            "serving_default": _graph(self.classify_log_mel, log_mel),
            "classify_waveform": _graph(self.classify_waveform, waveform, n_samples, sample_rate),
            "classify_audio": _graph(self.classify_audio, audio),
            CLASSIFY_SIGNATURE: _graph(self.classify_examples, inputs),
        }
        tf.saved_model.save(self, str(path), signatures=signatures)
        file = path / "saved_model.pb"
        saved_model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
        saved_model.meta_graphs[0].signature_def[CLASSIFY_SIGNATURE].method_name = _CLASSIFY_METHOD
        file.write_bytes(saved_model.SerializeToString(deterministic=True))

    def classify_log_mel(self, log_mel: tf.Tensor) -> dict[str, tf.Tensor]:
        """Log-mels (batch, n_mels, n_frames) float32 to genres, one row each.

        Returned are `probabilities` (batch, n_genres); `genres` (batch, n_genres), their names; `genre` (batch,), the most
        probable one; `genre_index` (batch,), its place among the genres, or −1; `error` (batch,).
        """
        probabilities, right = self._guarded_probabilities(log_mel)
        return self._decision(
            probabilities,
            tf.where(right, tf.argmax(probabilities, axis=1), -tf.ones((), tf.int64)),
            tf.where(right, "", _NOT_FINITE),
        )

    def classify_waveform(self, waveform: tf.Tensor, n_samples: tf.Tensor, sample_rate: tf.Tensor) -> dict[str, tf.Tensor]:
        """Waveforms (batch, samples) float32 in ±1, mono, to what `classify_audio` returns; parts of longer tracks, they may be.

        What lies beyond an item's own `n_samples` is not looked at; they and the sample rates, in Hz, are (batch,) int32. Beside
        the rest stands `front_end` (batch,): the text of `front_end.json`, with the number of `chunks` that a track is asked for.
        Who sends parts of one track learns from it at which rate they are best sent, and how long they must be.
        """
        longest = tf.shape(waveform)[1]

        def classify(item: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
            samples, n, rate = item
            error = first_error(
                say_if((n < 0) | (n > longest), "n_samples must be 0 to ", longest, ", the length of waveform, got ", n),
                out_of_range(tf.cast(n, tf.int64), tf.cast(rate, tf.int64)),
            )
            return self._classify_track(samples[: tf.where(error == "", n, 0)], rate, error, True)

        answers = self._decisions(classify, (waveform, n_samples, sample_rate))
        return answers | {"front_end": tf.fill(tf.shape(n_samples), self._description)}

    def classify_audio(self, audio: tf.Tensor) -> dict[str, tf.Tensor]:
        """The bytes of WAV files (batch,), within the limits of `graph_parts`, to decisions, one row a file.

        Returned is what `classify_log_mel` returns, `genre` by maximum probability and `probabilities` as means over the chunks.
        Beside it: `genre_majority` and `genre_majority_index` (batch,), the decision by majority vote; `votes` (batch, n_genres),
        how many chunks were taken for each genre; `n_chunks` (batch,); `chunk_probabilities` (batch, most chunks of an item,
        n_genres) and `chunk_start_seconds` (batch, most chunks), which are 0 and −1 beyond an item's own chunks.
        """
        return self._decisions(lambda data: self._classify_track(*decode_wav(data), False), audio)

    def classify_examples(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """Records as the pipeline writes them, serialized tf.train.Examples (batch,), for TF Serving's Classify API.

        Returned are `classes` (batch, n_genres), the genres' names, and `scores`, their probabilities. A record without a log-mel
        of the right size has empty classes and scores of 0.
        """
        parsed = tf.io.parse_example(inputs, {LOG_MEL: tf.io.RaggedFeature(tf.float32)})[LOG_MEL]
        n_mels, n_frames = self._spec.shape
        whole = tf.equal(parsed.row_lengths(), n_mels * n_frames)
        log_mel = tf.reshape(parsed.to_tensor(shape=(None, n_mels * n_frames)), (-1, n_mels, n_frames))
        scores, right = self._guarded_probabilities(log_mel)
        right = tf.logical_and(right, whole)[:, tf.newaxis]
        return {"classes": tf.where(right, self._genres, ""), "scores": tf.where(right, scores, 0.0)}

    def _guarded_probabilities(self, log_mel: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Probabilities (batch, n_genres), zeros where the log-mel is no number, and whether it is one (batch,)."""
        finite = tf.reduce_all(tf.math.is_finite(log_mel), axis=(1, 2))
        probabilities = self._network(tf.where(finite[:, tf.newaxis, tf.newaxis], log_mel, 0.0))
        right = tf.logical_and(finite, tf.reduce_all(tf.math.is_finite(probabilities), axis=1))
        return tf.where(right[:, tf.newaxis], probabilities, 0.0), right

    def _decisions(self, classify: Callable[..., dict[str, tf.Tensor]], items: Any) -> dict[str, tf.Tensor]:
        """What `classify` says of each item, one after the other: no item's length or fault touches another's answer."""
        row, index = tf.TensorSpec((self._n_genres,), tf.int64), tf.TensorSpec((), tf.int64)
        answers = tf.map_fn(
            classify,
            items,
            fn_output_signature={
                "chunk_probabilities": tf.RaggedTensorSpec((None, self._n_genres), tf.float32, ragged_rank=0),
                "chunk_start_seconds": tf.RaggedTensorSpec((None,), tf.float32, ragged_rank=0),
                "n_chunks": index,
                "probabilities": tf.TensorSpec((self._n_genres,), tf.float32),
                "votes": row,
                "genre_index": index,
                "genre_majority_index": index,
                "error": tf.TensorSpec((), tf.string),
            },
            parallel_iterations=1,
        )
        chunks = answers["chunk_probabilities"]
        chunks = chunks.with_flat_values(tf.reshape(chunks.flat_values, (-1, self._n_genres)))  # of no items they have no shape
        padded = {
            "chunk_probabilities": chunks.to_tensor(0.0),
            "chunk_start_seconds": answers["chunk_start_seconds"].to_tensor(-1.0),
        }
        named = self._decision(answers["probabilities"], answers["genre_index"], answers["error"])
        return answers | padded | named | {"genre_majority": self._names(answers["genre_majority_index"])}

    def _decision(self, probabilities: tf.Tensor, index: tf.Tensor, error: tf.Tensor) -> dict[str, tf.Tensor]:
        return {
            "probabilities": probabilities,
            "genres": tf.tile(self._genres[tf.newaxis], (tf.shape(probabilities)[0], 1)),
            "genre": self._names(index),
            "genre_index": index,
            "error": error,
        }

    def _names(self, indices: tf.Tensor) -> tf.Tensor:
        """The genres' names; none at −1."""
        return tf.gather(tf.concat([[""], self._genres], axis=0), indices + 1)


def _shared(function: Callable[..., Any], *inputs: tf.TensorSpec) -> Callable[..., Any]:
    """The function as a graph. As a tf.function it would be saved beside the signatures, if it were the module's attribute."""
    graph = tf.function(function, input_signature=inputs, autograph=False)
    return lambda *values: graph(*values)


def _graph(function: Callable[..., Any], *inputs: tf.TensorSpec) -> Any:
    return tf.function(function, autograph=False).get_concrete_function(*inputs)
