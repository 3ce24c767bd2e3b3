"""The contract between the pipeline and the network: what a record is, and how a waveform becomes one.

Used by `beam_pipeline` and by `keras_model`; imports neither, and neither Beam nor TensorFlow when it is imported.
"""

from typing import TYPE_CHECKING

from tfrecords.command_line.lazy import lazily

if TYPE_CHECKING:
    from tfrecords.audio import UnusableAudioError
    from tfrecords.front_end.log_mel_spec import PRESETS, LogMelSpec
    from tfrecords.loading import load_dataset, log_mels

    __version__: str

__all__ = ["PRESETS", "LogMelSpec", "UnusableAudioError", "__version__", "load_dataset", "log_mels"]
__getattr__ = lazily(
    __name__,
    {
        "LogMelSpec": "front_end.log_mel_spec.LogMelSpec",
        "PRESETS": "front_end.log_mel_spec.PRESETS",
        "UnusableAudioError": "audio.UnusableAudioError",
        "load_dataset": "loading.load_dataset",
        "log_mels": "loading.log_mels",
    },
)
