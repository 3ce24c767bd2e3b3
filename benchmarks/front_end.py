"""What a 30 s track costs on one core, part by part, beside the loop that a user would write with librosa.

python -m benchmarks.front_end
"""

import io
from collections.abc import Callable

import librosa
import numpy as np
import scipy.fft
import soundfile
from numpy.typing import NDArray

from beam_pipeline.corpora.demo import SAMPLE_RATE, synthesise
from beam_pipeline.extract.chunks import draw_chunks
from beam_pipeline.extract.deform import deformed_chunks
from benchmarks.timing import median_seconds
from tfrecords.audio import Audio, decode_audio
from tfrecords.front_end.augmentation import AUGMENTATIONS
from tfrecords.front_end.log_mel import cut_chunks, log_mel
from tfrecords.front_end.log_mel_spec import PRESETS
from tfrecords.records.schema import Record, encode

_RUNS = 15
_N_CHUNKS = 15
_AUGMENTATION = AUGMENTATIONS["stretch-pitch"]


def main() -> None:
    """Prints a table for preset `paper`, and the log-mels' cost for every preset."""
    spec = PRESETS["paper"]
    buffer = io.BytesIO()
    soundfile.write(buffer, synthesise("march", rng=np.random.default_rng(0)), SAMPLE_RATE, format="WAV", subtype="PCM_16")
    data = buffer.getvalue()
    waveform = decode_audio(data, sample_rate=spec.sample_rate).waveform
    starts = np.asarray(draw_chunks(len(waveform), track_id="t", n_chunks=_N_CHUNKS, seed=0, spec=spec)) * spec.chunk_step
    chunks = cut_chunks(waveform, starts, spec=spec)
    features = log_mel(chunks, spec=spec)
    frames = np.random.default_rng(0).standard_normal((_N_CHUNKS * spec.n_real_frames, spec.win_length))

    def librosa_loop() -> None:
        for chunk in chunks:
            librosa.feature.melspectrogram(
                y=chunk,
                sr=spec.sample_rate,
                n_fft=spec.n_fft,
                win_length=spec.win_length,
                n_mels=spec.n_mels,
                power=1.0,
                htk=True,
            )

    def encode_all() -> None:
        for feature in features:
            encode(Record(log_mel=feature, label=0, genre="g", track_id="t", chunk_index=0, start_sample=0))

    parts: tuple[tuple[str, Callable[[], object]], ...] = (
        ("decode 30 s of 16-bit WAV", lambda: decode_audio(data, sample_rate=spec.sample_rate)),
        ("draw 15 of 63 chunks", lambda: draw_chunks(len(waveform), track_id="t", n_chunks=_N_CHUNKS, seed=0, spec=spec)),
        ("log-mels of 15 chunks", lambda: log_mel(chunks, spec=spec)),
        ("  of which 615 FFTs of 2048, float64", lambda: scipy.fft.rfft(frames, n=spec.n_fft)),
        ("encode 15 records", encode_all),
        ("librosa, chunk by chunk", librosa_loop),
    )
    print(f"One 30 s track, preset paper, one core; median of {_RUNS}")
    for title, function in parts:
        print(f"  {title:38} {1e3 * median_seconds(function, runs=_RUNS):7.2f} ms")
    print("Log-mels of 15 chunks, by preset")
    for name, other in PRESETS.items():
        noise = np.random.default_rng(0).standard_normal((_N_CHUNKS, other.chunk_samples)).astype(np.float32)
        seconds = median_seconds(lambda noise=noise, other=other: log_mel(noise, spec=other), runs=_RUNS)  # type: ignore[misc]
        print(f"  {name:38} {1e3 * seconds:7.2f} ms")
    _print_deformations(waveform, starts[: _AUGMENTATION.chunks_per_deformation])


def _print_deformations(waveform: NDArray[np.float32], starts: NDArray[np.int64]) -> None:
    spec = PRESETS["paper"]
    audio = Audio(waveform=waveform, blake3="")

    def parts() -> None:
        deformed_chunks(audio, dict.fromkeys(_AUGMENTATION.deformations, starts), spec=spec)

    def librosa_whole() -> None:
        for deformation in _AUGMENTATION.deformations:
            if deformation.semitones:
                librosa.effects.pitch_shift(waveform, sr=spec.sample_rate, n_steps=deformation.semitones)
            else:
                librosa.effects.time_stretch(waveform, rate=deformation.rate)

    print(f"{_AUGMENTATION.n_chunks} deformed chunks, without their log-mels")
    print(f"  {'the parts that the chunks are made of':38} {1e3 * median_seconds(parts, runs=_RUNS):7.2f} ms")
    print(f"  {'librosa, the whole track 8 times':38} {1e3 * median_seconds(librosa_whole, runs=3):7.2f} ms")


if __name__ == "__main__":
    main()
