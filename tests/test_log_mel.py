"""The front end against librosa, against tensorflow-io, and against the original inputs of the paper's networks."""

import dataclasses
import warnings
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from beam_pipeline.options import BuildOptions
from beam_pipeline.run import build_dataset
from tests.conftest import SAMPLE_RATE, tone
from tfrecords.dataset.folder import read_dataset
from tfrecords.front_end.log_mel import cut_chunks, log_mel, periodic_hann
from tfrecords.front_end.log_mel_spec import PRESETS, LogMelSpec
from tfrecords.front_end.mel_filter_bank import mel_filter_bank

VARIANTS = {
    **PRESETS,
    "slaney": dataclasses.replace(PRESETS["full80"], mel_scale="slaney", mel_norm=True, power=2.0, fmin_hz=55.0, n_mels=64),
    "odd": dataclasses.replace(PRESETS["paper"], n_fft=1023, win_length=601, hop_length=301, n_mels=40, n_frames=60),
}


def signals(spec: LogMelSpec) -> NDArray[np.float32]:
    """Tone, two levels of noise, a tone that stops, silence: (5, chunk_samples)."""
    rng = np.random.default_rng(3)
    seconds = spec.chunk_samples / SAMPLE_RATE
    stopped = tone(3000.0, seconds=seconds)
    stopped[spec.chunk_samples // 3 :] = 0
    noise = rng.standard_normal(spec.chunk_samples).astype(np.float32)
    return np.stack([tone(440.0, seconds=seconds), 0.3 * noise, 1e-4 * noise, stopped, np.zeros_like(noise)])


def librosa_log_mel(chunk: NDArray[np.float32], spec: LogMelSpec) -> NDArray[np.float32]:
    mel = librosa.feature.melspectrogram(
        y=chunk * np.float32(spec.amplitude_scale),
        sr=spec.sample_rate,
        n_fft=spec.n_fft,
        win_length=spec.win_length,
        hop_length=spec.hop_length,
        window="hann",
        center=spec.centered,
        pad_mode="constant",
        power=spec.power,
        n_mels=spec.n_mels,
        fmin=spec.fmin_hz,
        fmax=spec.fmax_hz,
        htk=spec.mel_scale == "htk",
        norm="slaney" if spec.mel_norm else None,
    )
    logarithm = np.log(mel + spec.log_offset) if spec.log_base == "e" else np.log10(mel + spec.log_offset)
    kept = logarithm[:, : spec.n_frames]
    return np.pad(kept, ((0, 0), (0, spec.n_frames - kept.shape[1])), mode="edge")


@pytest.mark.parametrize("name", VARIANTS)
def test_filter_bank_equals_librosas(name: str) -> None:
    spec = VARIANTS[name]
    expected = librosa.filters.mel(
        sr=spec.sample_rate,
        n_fft=spec.n_fft,
        n_mels=spec.n_mels,
        fmin=spec.fmin_hz,
        fmax=spec.fmax_hz,
        htk=spec.mel_scale == "htk",
        norm="slaney" if spec.mel_norm else None,
    )
    np.testing.assert_allclose(mel_filter_bank(spec), expected, rtol=0, atol=1e-7)


def test_preset_musicnn_is_librosas_default_and_the_logarithm_of_its_taggers() -> None:
    """As Pons and Serra compute it, less the constant 4; the taggers are given librosa's spectrograms with nothing chosen."""
    spec = PRESETS["musicnn"]
    chunk = signals(spec)[1]
    mel = librosa.feature.melspectrogram(y=chunk, sr=16000, n_fft=512, hop_length=256, n_mels=96)
    expected = np.log10(10000 * mel + 1)
    assert expected.shape == spec.shape
    np.testing.assert_allclose(log_mel(chunk[np.newaxis], spec=spec)[0] + 4, expected, rtol=0, atol=1e-4)


def test_a_band_without_a_bin_is_refused() -> None:
    with pytest.raises(ValueError, match="hold no FFT bin with n_mels=300"):
        mel_filter_bank(dataclasses.replace(PRESETS["schindler"], n_mels=300))


@pytest.mark.parametrize("name", VARIANTS)
def test_agrees_with_librosa(name: str) -> None:
    spec = VARIANTS[name]
    chunks = signals(spec)
    features = log_mel(chunks, spec=spec)
    assert features.shape == (5, *spec.shape)
    assert features.dtype == np.float32
    expected = np.stack([librosa_log_mel(chunk, spec) for chunk in chunks])
    np.testing.assert_allclose(features, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", VARIANTS)
def test_the_served_graph_agrees(name: str) -> None:
    import tensorflow as tf

    from keras_model.serving.front_end_graph import log_mel_graph

    spec = VARIANTS[name]
    chunks = signals(spec)
    np.testing.assert_allclose(log_mel_graph(tf.constant(chunks), spec=spec), log_mel(chunks, spec=spec), rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", [name for name, spec in PRESETS.items() if spec.mel_scale == "htk"])
def test_agrees_with_tensorflow_ios_spectrogram_and_melscale(name: str) -> None:
    """Its mel scale is HTK, as here, but its triangles are straight in mels, where librosa's and ours are in Hz."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tensorflow_io as tfio

    spec = PRESETS[name]
    noise = 0.2 * np.random.default_rng(5).standard_normal(spec.chunk_samples).astype(np.float32)
    chunk = noise + tone(880.0, seconds=1.0, amplitude=0.4)[: spec.chunk_samples]
    margin = spec.win_length // 2 if spec.centered else 0  # its frames hold the window alone, and are not centred
    samples = np.pad(chunk * np.float32(spec.amplitude_scale), margin)
    magnitude = tfio.audio.spectrogram(samples, nfft=spec.n_fft, window=spec.win_length, stride=spec.hop_length)
    mel = tfio.audio.melscale(magnitude, rate=spec.sample_rate, mels=spec.n_mels, fmin=0, fmax=int(spec.fmax_hz))
    n_frames = min(spec.n_real_frames, spec.n_frames)
    features = log_mel(chunk[np.newaxis], spec=spec)[0, :, :n_frames]
    logarithm = np.log if spec.log_base == "e" else np.log10
    same_bank = logarithm(mel_filter_bank(spec) @ magnitude.numpy()[:n_frames].T + spec.log_offset)
    np.testing.assert_allclose(features, same_bank, rtol=0, atol=1e-4)
    np.testing.assert_allclose(features, logarithm(mel.numpy()[:n_frames].T + spec.log_offset), rtol=0, atol=0.05)


def test_a_batch_is_its_chunks_one_by_one() -> None:
    spec = PRESETS["paper"]
    chunks = signals(spec)
    one_by_one = np.concatenate([log_mel(chunk[np.newaxis], spec=spec) for chunk in chunks])
    np.testing.assert_array_equal(log_mel(chunks, spec=spec), one_by_one)


def test_the_papers_last_39_frames_repeat_one() -> None:
    features = log_mel(signals(PRESETS["paper"]), spec=PRESETS["paper"])
    np.testing.assert_array_equal(features[..., 41:], np.broadcast_to(features[..., 40:41], (5, 80, 39)))
    assert not np.array_equal(features[..., 39], features[..., 40])


def test_a_tone_lies_in_its_band() -> None:
    spec = PRESETS["full80"]
    features = log_mel(tone(1000.0, seconds=spec.chunk_samples / SAMPLE_RATE)[np.newaxis, : spec.chunk_samples], spec=spec)
    loudest = features[0].mean(axis=1).argmax()
    centres = mel_filter_bank(spec).argmax(axis=1) * spec.sample_rate / spec.n_fft
    assert abs(centres[loudest] - 1000.0) < 60.0


def test_silence_is_the_offset() -> None:
    features = log_mel(np.zeros((1, 20505), np.float32), spec=PRESETS["paper"])
    np.testing.assert_allclose(features, np.log(1e-6), rtol=1e-6)


def test_window_is_periodic() -> None:
    np.testing.assert_allclose(periodic_hann(602), librosa.filters.get_window("hann", 602), atol=1e-12)


def test_wrong_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(n_chunks, 20505\), got \(2, 20000\)"):
        log_mel(np.zeros((2, 20000), np.float32), spec=PRESETS["paper"])
    with pytest.raises(ValueError, match="chunk starts must lie in 0..9495, got 0..10252"):
        cut_chunks(np.zeros(30000, np.float32), np.array([0, 10252]), spec=PRESETS["paper"])


def test_original_inputs_are_reproduced_along_the_whole_way(shared: Path, tmp_path: Path) -> None:
    """Each tensor's samples as a WAV file, through the pipeline, out of the TFRecord as TensorFlow parses it."""
    import tensorflow as tf

    from tfrecords.records.schema import parse_batch

    originals = {path.stem: np.load(path) for path in sorted((shared / "coursework_tensors").glob("*.npz"))}
    assert len(originals) == 5
    for track_id, original in originals.items():
        genre = track_id.split(".")[0]
        folder = tmp_path / "corpus" / genre
        folder.mkdir(parents=True)
        samples = original["samples"].astype(np.int16)
        soundfile.write(folder / f"{track_id}.wav", samples, SAMPLE_RATE, subtype="PCM_16")
        # A split by genre needs two tracks of each, and no two of them may hold the same audio.
        soundfile.write(folder / f"{genre}.backwards.wav", samples[::-1], SAMPLE_RATE, subtype="PCM_16")
    output = tmp_path / "dataset"
    build_dataset(BuildOptions(input=str(tmp_path / "corpus"), output=str(output), chunks_per_track=1, workers=1))
    manifest = read_dataset(output)
    found: dict[bytes, NDArray[np.float32]] = {}
    for serialized in tf.data.TFRecordDataset([str(output / shard.name) for shard in manifest.shards]).batch(10):
        record = parse_batch(serialized, shape=manifest.spec.shape)
        found |= dict(zip(record["track_id"].numpy(), record["log_mel"].numpy(), strict=True))
    for track_id, original in originals.items():
        np.testing.assert_allclose(found[track_id.encode()], original["log_mel"], rtol=0, atol=1e-4)
