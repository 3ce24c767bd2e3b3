"""The module that becomes the SavedModel: log-mels or WAV files in, probabilities and genres out."""

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_model.front_end import FrontEnd
from keras_model.log_mel_graph import log_mel_graph


class ServedModel(tf.Module):
    """A network together with its front end, in stock TensorFlow operations alone.

    Attributes:
        model: The network.
        front_end_asset: `front_end.json`, which travels in the SavedModel's `assets/`.
        log_mel: The served features: chunks (n_chunks, chunk_samples) float32 in ±1 to log-mels (n_chunks, n_mels, n_frames).
    """

    def __init__(self, model: keras.Model, front_end: FrontEnd, front_end_path: Path) -> None:
        super().__init__()
        self.model = model
        self.front_end_asset = tf.saved_model.Asset(str(front_end_path))
        self._spec = front_end.spec
        self._genres = tf.constant(front_end.genres)
        chunks = tf.TensorSpec((None, front_end.spec.chunk_samples), tf.float32)
        self.log_mel = tf.function(lambda chunks: log_mel_graph(chunks, spec=front_end.spec), input_signature=[chunks])

    def signatures(self) -> dict[str, Any]:
        """The signatures by name, each with its input's shape and type."""
        log_mel = tf.TensorSpec((None, *self._spec.shape), tf.float32, name="log_mel")
        audio = tf.TensorSpec((None,), tf.string, name="audio")
        return {
            "serving_default": self.classify_log_mel.get_concrete_function(log_mel),
            "classify_audio": self.classify_audio.get_concrete_function(audio),
        }

    @tf.function
    def classify_log_mel(self, log_mel: tf.Tensor) -> dict[str, tf.Tensor]:
        """Log-mels (batch, n_mels, n_frames) float32 to genres, one row each.

        Returned are `probabilities` (batch, n_genres); `genres` (batch, n_genres), their names; `genre` (batch,), the most
        probable one.
        """
        probabilities = self._probabilities(log_mel)
        return {
            "probabilities": probabilities,
            "genres": tf.tile(self._genres[tf.newaxis], (tf.shape(probabilities)[0], 1)),
            "genre": tf.gather(self._genres, tf.argmax(probabilities, axis=1)),
        }

    @tf.function
    def classify_audio(self, audio: tf.Tensor) -> dict[str, tf.Tensor]:
        """The bytes of 16-bit WAV files at the spec's sample rate (batch,) to decisions, one row a file.

        Every candidate chunk of a file is used. Returned are `probabilities` (batch, n_genres), the mean over the chunks;
        `genres` (batch, n_genres), their names; `genre` and `genre_majority` (batch,), the decisions by maximum probability
        and by majority vote; `n_chunks` (batch,).
        """
        probabilities, votes, n_chunks = tf.map_fn(
            self._classify_file, audio, fn_output_signature=(tf.float32, tf.float32, tf.int32)
        )
        tied = votes == tf.reduce_max(votes, axis=1, keepdims=True)
        majority = tf.argmax(tf.where(tied, probabilities, -1.0), axis=1)
        return {
            "probabilities": probabilities,
            "genres": tf.tile(self._genres[tf.newaxis], (tf.shape(probabilities)[0], 1)),
            "genre": tf.gather(self._genres, tf.argmax(probabilities, axis=1)),
            "genre_majority": tf.gather(self._genres, majority),
            "n_chunks": n_chunks,
        }

    def _probabilities(self, log_mel: tf.Tensor) -> tf.Tensor:
        return self.model(log_mel[..., tf.newaxis], training=False)

    def _classify_file(self, wav: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        spec = self._spec
        samples, sample_rate = tf.audio.decode_wav(wav)  # (n_samples, n_channels)
        message = f"classify_audio takes WAV files of {spec.sample_rate} Hz; this one has the sample rate"
        rate_checked = tf.debugging.Assert(sample_rate == spec.sample_rate, [message, sample_rate])
        message = f"classify_audio takes WAV files of at least {spec.chunk_samples} samples; this one has the number of samples"
        length_checked = tf.debugging.Assert(tf.shape(samples)[0] >= spec.chunk_samples, [message, tf.shape(samples)[0]])
        with tf.control_dependencies([rate_checked, length_checked]):
            waveform = tf.reduce_mean(samples, axis=1)
        chunks = tf.signal.frame(waveform, spec.chunk_samples, spec.chunk_step)  # (n_chunks, chunk_samples)
        probabilities = self._probabilities(log_mel_graph(chunks, spec=spec))
        votes = tf.reduce_sum(tf.one_hot(tf.argmax(probabilities, axis=1), tf.shape(self._genres)[0]), axis=0)
        return tf.reduce_mean(probabilities, axis=0), votes, tf.shape(probabilities)[0]
