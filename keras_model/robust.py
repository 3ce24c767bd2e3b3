"""What a network that is robust hears of its log-mels: neither how loud the music is, nor what codecs take away."""

from typing import Any

import keras

from keras_model.level import log_mels_of, magnitudes_of, to_mean
from tfrecords.front_end.log_mel_spec import LogMelSpec
from tfrecords.front_end.mel_filter_bank import band_edges_hz

# LAME cuts off there what comes with 22050 Hz (128 kbit/s): the bands above lose 10 to 18 dB.
_BANDWIDTH_HZ = 10_000
_FLOOR_DECIBELS = -40  # beside a chunk's mean; encoders leave out what is quiet beside what is loud


def heard(log_mels: Any, *, spec: LogMelSpec) -> Any:
    """The log-mels of each chunk at one level, silent above 10 kHz and with a floor 40 dB below the chunk's mean magnitude.

    The level is such that the spec's own offset in the logarithm is that floor. Stock operations, so that what is saved and
    served holds them.

    Args:
        log_mels: (batch, n_mels, n_frames, 1).
        spec: Of the log-mels.

    Returns:
        Of the same shape. A chunk of silence stays silent.
    """
    n_bands = int((band_edges_hz(spec)[2:] <= _BANDWIDTH_HZ).sum())
    mean = spec.log_offset / 10 ** (_FLOOR_DECIBELS * spec.power / 20)
    magnitudes = to_mean(magnitudes_of(log_mels[:, :n_bands], spec=spec), mean, spec=spec)
    if n_bands < spec.n_mels:
        magnitudes = keras.ops.pad(magnitudes, ((0, 0), (0, spec.n_mels - n_bands), (0, 0), (0, 0)))
    return log_mels_of(magnitudes, spec=spec)
