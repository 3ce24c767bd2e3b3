"""Audio files to mono waveforms, by one decoder for pipeline, prediction and client: whole, in blocks, or the parts asked for."""

from tfrecords.audio.decode import Audio, decode_audio
from tfrecords.audio.errors import UnusableAudioError
from tfrecords.audio.files import AudioSource, as_file, open_audio_file
from tfrecords.audio.long import LongAudio, read_audio
from tfrecords.audio.sound import LARGEST_SAMPLE, SAMPLE_RATES_HZ, Sound
from tfrecords.audio.stream import announced_samples, waveform_blocks

__all__ = [
    "LARGEST_SAMPLE",
    "SAMPLE_RATES_HZ",
    "Audio",
    "AudioSource",
    "LongAudio",
    "Sound",
    "UnusableAudioError",
    "announced_samples",
    "as_file",
    "decode_audio",
    "open_audio_file",
    "read_audio",
    "waveform_blocks",
]
