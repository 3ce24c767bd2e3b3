"""Waveform to log-mel spectrogram in stock TensorFlow operations, for the served model; the twin of tfrecords.log_mel."""

import numpy as np
import tensorflow as tf

from tfrecords.log_mel import periodic_hann
from tfrecords.log_mel_spec import LogMelSpec
from tfrecords.mel_filter_bank import mel_filter_bank


def log_mel_graph(chunks: tf.Tensor, *, spec: LogMelSpec) -> tf.Tensor:
    """Log-mel spectrograms of equally long chunks.

    Args:
        chunks: Waveforms in ±1, (n_chunks, spec.chunk_samples) float32.
        spec: The front end.

    Returns:
        (n_chunks, n_mels, n_frames) float32, within 1e-4 of `tfrecords.log_mel.log_mel`. The FFT is float64, as there.
    """
    samples = tf.cast(chunks, tf.float64) * spec.amplitude_scale
    padding = spec.n_fft // 2 if spec.centered else 0
    padded = tf.pad(samples, [[0, 0], [padding, padding]])
    margin = (spec.n_fft - spec.win_length) // 2
    window = np.pad(periodic_hann(spec.win_length), (margin, spec.n_fft - spec.win_length - margin))
    frames = tf.signal.frame(padded, spec.n_fft, spec.hop_length)[:, : spec.n_frames]  # (n_chunks, frames, n_fft)
    magnitude = tf.abs(tf.signal.rfft(frames * window))  # (n_chunks, frames, n_fft // 2 + 1) float64
    # float64 here too: in float32 a GPU may multiply matrices with TensorFloat-32, which has 10 bits.
    bank = mel_filter_bank(spec).astype(np.float64)
    mel = tf.cast(tf.linalg.matmul(magnitude**spec.power, bank, transpose_b=True), tf.float32)  # (n_chunks, frames, n_mels)
    logarithm = tf.math.log(mel + spec.log_offset)
    if spec.log_base == "10":
        logarithm /= np.float32(np.log(10.0))
    features = tf.transpose(logarithm, (0, 2, 1))  # (n_chunks, n_mels, frames)
    n_missing = max(0, spec.n_frames - spec.n_real_frames)
    return tf.concat([features, tf.repeat(features[..., -1:], n_missing, axis=2)], axis=2)
