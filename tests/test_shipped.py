"""`predict` with no run named: the network that ships."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from keras_model import export, predict
from keras_model.networks.probe import probe
from keras_model.networks.settings import network_settings
from keras_model.networks.shipped import CARD, HEAD, head_of
from tests.conftest import REPOSITORY, SAMPLE_RATE, synthetic_track
from tfrecords.dataset.gtzan import GENRES

SAID = "predict: no run is named; asking the network that ships: the tagger MSD_musicnn with a genre layer made for"


@pytest.mark.usefixtures("wheel")
def test_a_song_has_a_genre_before_any_training(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    songs = [shared / "gtzan_audio" / genre / f"{genre}.{number:05d}.wav" for genre, number in (("blues", 0), ("metal", 5))]
    folder = tmp_path / "album"
    folder.mkdir()
    os.symlink(shared / "real_audio" / "music" / "music.00003.wav", folder / "other.wav")
    assert predict.main([*map(str, songs), str(folder), "--json"]) == 0
    printed = capsys.readouterr()
    lines = [json.loads(line) for line in printed.out.splitlines()]
    assert [line["genre"] for line in lines] == ["blues", "metal", "classical"]
    assert all(set(line["probabilities"]) == set(GENRES) for line in lines)
    (line,) = printed.err.splitlines()
    assert line.startswith(SAID)
    assert predict.main([str(folder), "--json"]) == 0, "a folder of songs is no run"
    assert json.loads(capsys.readouterr().out)["probabilities"] == lines[2]["probabilities"]


@pytest.mark.long
@pytest.mark.usefixtures("wheel")
def test_as_an_onnx_file_it_decides_alike(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    songs = [str(shared / "gtzan_audio" / genre / f"{genre}.{number:05d}.wav") for genre, number in (("blues", 0), ("metal", 5))]
    assert export.main(["--to", str(tmp_path), "--format", "onnx"]) == 0
    capsys.readouterr()
    assert predict.main([*songs, "--json"]) == 0
    expected = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert predict.main([str(tmp_path / "genres.onnx"), *songs, "--json"]) == 0
    for line, by_keras in zip(capsys.readouterr().out.splitlines(), expected, strict=True):
        found = json.loads(line)
        assert found["genre_majority"] == by_keras["genre_majority"]
        assert found["probabilities"] == pytest.approx(by_keras["probabilities"], abs=1e-4)


def test_without_the_taggers_weights_a_line_says_what_to_run(tmp_path: Path) -> None:
    song = tmp_path / "song.wav"
    soundfile.write(song, synthetic_track("hum", 1, seconds=3.0), SAMPLE_RATE)
    command = [sys.executable, "-m", "keras_model.predict", str(song)]
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"predict: there is no pre-trained network at {tmp_path}")
    assert line.endswith("-m keras_model.download")


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["no-run", "x.wav"], "there is no exported model in no-run; give a run's folder or one that train.py --export wrote to"),
        (["empty", "x.wav"], "there is no exported model in empty; give a run's folder or one that train.py --export wrote to"),
        (["model"], "no audio file is named for the model in model"),
    ],
)
def test_what_is_neither_a_model_nor_a_song(
    paths: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").touch()
    assert predict.main(paths) == 2
    assert capsys.readouterr().err == f"predict: {message}\n"


def test_the_head_is_small_and_has_its_card() -> None:
    assert HEAD.stat().st_size <= 64_000
    with np.load(HEAD, allow_pickle=False) as arrays:
        assert {name: arrays[name].shape for name in arrays.files} == {"kernel": (712, 10), "bias": (10,)}
    card = CARD.read_text(encoding="utf-8")
    assert "may hold recordings that are in GTZAN too" in card
    assert all(f"| {genre} |" in card for genre in GENRES)


def test_the_standardisation_goes_into_the_layer() -> None:
    rng = np.random.default_rng(2)
    standardization = {"mean": rng.normal(size=(7, 1)), "std": rng.uniform(0.1, 3, (7, 1))}
    network = probe((7, 1), n_genres=3, settings=network_settings("probe"), standardization=standardization, synchronized=False)
    network.get_layer("genre").set_weights([rng.normal(size=(7, 3)), rng.normal(size=3)])
    features = rng.normal(size=(4, 7)).astype(np.float32)
    with np.load(io.BytesIO(head_of(network))) as arrays:
        logits = features @ arrays["kernel"] + arrays["bias"]
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(network(features[..., np.newaxis, np.newaxis]), expected, atol=1e-5)
