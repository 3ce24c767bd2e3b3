"""The pre-trained taggers: Keras' numbers beside those of the published variables, and what they say of real recordings."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import keras
import librosa
import numpy as np
import pytest
from numpy.typing import NDArray

from keras_model.prediction.blocks import log_mel_blocks
from keras_model.pretrained.musicnn import FEATURES, TAGS, load_tagger
from keras_model.pretrained.wheel import read_checkpoint
from tfrecords.errors import UsageError
from tfrecords.front_end.log_mel import log_mel
from tfrecords.front_end.log_mel_spec import PRESETS

SPEC = PRESETS["musicnn"]
# In a fresh process (-I: without this folder on its path), on another backend.
LOADED = """
import sys
import keras
import numpy as np

model, values, answer = sys.argv[1:]
np.save(answer, keras.models.load_model(model).predict(np.load(values), verbose=0))
"""


def chunks(n: int) -> NDArray[np.float32]:
    """Chords with a beat in noise, (n, chunk_samples)."""
    rng = np.random.default_rng(8)
    time = np.arange(SPEC.chunk_samples) / SPEC.sample_rate
    waveforms = []
    for _ in range(n):
        chord = sum(np.sin(2 * np.pi * hz * time) for hz in rng.uniform(100, 2000, 4))
        beat = np.exp(-10 * (time % rng.uniform(0.2, 0.6))) * rng.standard_normal(time.size)
        waveforms.append(0.05 * chord + rng.uniform(0.01, 0.2) * beat)
    return np.stack(waveforms).astype(np.float32)


def plain(checkpoint: Mapping[str, NDArray[np.float32]], spectrogram: NDArray[np.float32]) -> tuple[np.ndarray, np.ndarray]:
    """The network of the paper and of its authors' code, layer by layer, with all of its filters and their orientation.

    Args:
        checkpoint: The variables as they were published.
        spectrogram: log10(10000 · mel + 1), (n_frames, 96).

    Returns:
        The tags (50,) and the features (200,), float64.
    """

    def variables(layer: str, number: int, *names: str) -> list[np.ndarray]:
        return [checkpoint[f"{layer}_{number}/{name}" if number else f"{layer}/{name}"].astype(np.float64) for name in names]

    def normalized(x: np.ndarray, number: int) -> np.ndarray:
        gamma, beta, mean, variance = variables("batch_normalization", number, "gamma", "beta", "moving_mean", "moving_variance")
        return gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta

    def convolved(x: np.ndarray, number: int) -> np.ndarray:
        kernel, bias = variables("conv2d", number, "kernel", "bias")
        n_frames, n_bands, _, _ = kernel.shape
        padded = np.pad(x, (((n_frames - 1) // 2, n_frames // 2), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (n_frames, n_bands))
        return normalized(np.maximum(np.tensordot(windows, kernel[:, :, 0], axes=2) + bias, 0), number + 1)

    x = normalized(spectrogram.astype(np.float64), 0)
    front_end = np.concatenate([convolved(x, number).max(axis=1) for number in range(5)], axis=1)
    assert front_end.shape == (len(x), 561)
    first = convolved(front_end, 5)[:, 0]
    second = first + convolved(first, 6)[:, 0]
    third = second + convolved(second, 7)[:, 0]
    joined = np.concatenate([front_end, first, second, third], axis=1)
    pooled = np.stack([joined.max(axis=0), joined.mean(axis=0)], axis=1).ravel()
    (kernel, bias), (of_tags, tag_bias) = (variables("dense", number, "kernel", "bias") for number in (0, 1))
    features = normalized(np.maximum(normalized(pooled, 9) @ kernel + bias, 0), 10)
    return 1 / (1 + np.exp(-(features @ of_tags + tag_bias))), features


@pytest.mark.usefixtures("wheel")
@pytest.mark.parametrize(("name", "n_frames"), [("MSD_musicnn", 126), ("MSD_musicnn", 31), ("MTT_musicnn", 75)])
def test_numbers_are_those_of_the_published_variables(name: str, n_frames: int) -> None:
    """Theirs on librosa's spectrograms and their logarithm, ours on the preset's log-mels."""
    checkpoint, waveforms = read_checkpoint(name), chunks(3)
    mels = librosa.feature.melspectrogram(y=waveforms, sr=16000, n_fft=512, hop_length=256, n_mels=96)[..., :n_frames]
    expected = [plain(checkpoint, np.log10(10000 * mel + 1).T) for mel in mels]
    tagger = load_tagger(name)
    both = keras.Model(tagger.input, [tagger.output, tagger.get_layer(FEATURES).output])
    found = both.predict(log_mel(waveforms, spec=SPEC)[:, :, :n_frames, np.newaxis], verbose=0)
    for ours, theirs in zip(found, zip(*expected, strict=True), strict=True):
        np.testing.assert_allclose(ours, np.stack(theirs), rtol=0, atol=1e-4)
    assert np.ptp(found[0], axis=0).max() > 0.05, "the comparison is of chunks that the tagger tells apart"


@pytest.mark.usefixtures("wheel")
@pytest.mark.parametrize(
    ("name", "path", "tags"),
    [
        ("MSD_musicnn", "gtzan_audio/blues/blues.00000.wav", {"blues"}),
        ("MSD_musicnn", "gtzan_audio/jazz/jazz.00001.wav", {"jazz"}),
        ("MSD_musicnn", "gtzan_audio/hiphop/hiphop.00005.wav", {"Hip-Hop"}),
        ("MSD_musicnn", "gtzan_audio/metal/metal.00005.wav", {"heavy metal", "hard rock"}),
        ("MSD_musicnn", "real_audio/music/music.00001.wav", {"rock", "classic rock"}),
        ("MTT_musicnn", "gtzan_audio/classical/classical.00001.wav", {"classical", "violin", "strings"}),
        ("MTT_musicnn", "real_audio/speech/speech.00000.wav", {"male", "man"}),
    ],
)
def test_real_recordings_get_the_tags_that_a_listener_would_give(shared: Path, name: str, path: str, tags: set[str]) -> None:
    with (shared / path).open("rb") as file:
        log_mels = np.concatenate([block.log_mels for block in log_mel_blocks(file, spec=SPEC)])
    probabilities = load_tagger(name).predict(log_mels[..., np.newaxis], verbose=0).mean(axis=0)
    assert tags <= {TAGS[name][index] for index in np.argsort(-probabilities)[:3]}


@pytest.mark.usefixtures("wheel")
def test_it_is_frozen_and_of_keras_own_layers(tmp_path: Path) -> None:
    tagger = load_tagger()
    assert not tagger.trainable_weights
    tagger.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as file:
        assert "keras_model" not in file.read("config.json").decode()
    assert not keras.models.load_model(tmp_path / "model.keras").trainable_weights
    values = log_mel(chunks(2), spec=SPEC)[..., np.newaxis]
    np.save(tmp_path / "values.npy", values)
    command = [sys.executable, "-I", "-c", LOADED, "model.keras", "values.npy", "answer.npy"]
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "answer.npy"), tagger.predict(values, verbose=0), atol=1e-5)


def test_there_are_fifty_tags_each() -> None:
    for tags in TAGS.values():
        assert len(set(tags)) == len(tags) == 50
    with pytest.raises(UsageError, match=r"^there is no pre-trained network 'vgg'; choose from MSD_musicnn, MTT_musicnn$"):
        load_tagger("vgg")
