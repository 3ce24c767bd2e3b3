"""The names that other programs import: `keras_model.load` and `build`, `tfrecords.log_mels`."""

import re
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import soundfile

import beam_pipeline
import keras_model
import tfrecords
from tests.conftest import REPOSITORY, SAMPLE_RATE, synthetic_track
from tests.helpers import records_of
from tests.predicting import SamePredictor, loading_once, write_song
from tfrecords.audio import UnusableAudioError, decode_audio
from tfrecords.errors import UsageError


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return write_song(tmp_path / "song.wav")


def test_a_run_is_loaded_by_its_folder_and_predicts_whatever_holds_audio(run: Path, song: Path) -> None:
    with loading_once():
        model = keras_model.load(str(run))
    assert re.fullmatch(r"<Predictor: \(80, 80\) log-mels to 3 genres, trained on \S+>", repr(model))
    expected = model.predict(song)
    assert re.fullmatch(r"<Prediction: noise \d+\.\d%, 5 chunks of 3\.0 s>", repr(expected))
    samples, sample_rate = soundfile.read(song)
    with song.open("rb") as opened:
        for audio in (str(song), opened, song.read_bytes(), (samples, sample_rate)):
            assert model.predict(audio).to_dict() == expected.to_dict()
    assert isinstance(model, keras_model.Predictor)
    assert isinstance(expected, keras_model.Prediction)


@pytest.mark.usefixtures("wheel")
def test_the_network_that_ships_is_loaded_where_no_path_is_given() -> None:
    model = keras_model.load()
    assert repr(model) == "<Predictor: (96, 126) log-mels to 10 genres, trained on 381 clips of GTZAN>"


def test_networks_are_built_by_name() -> None:
    network = keras_model.build("shallow", (80, 80), n_genres=7)
    assert (network.input_shape, network.output_shape) == ((None, 80, 80, 1), (None, 7))
    assert isinstance(network, keras.Model)
    with pytest.raises(UsageError, match="there is no network 'shalow'; choose from shallow, deep"):
        keras_model.build("shalow", (80, 80), n_genres=7)


def test_log_mels_are_those_of_the_records(dataset: Path, corpus: Path) -> None:
    records = records_of(dataset, "train")[:5]
    for record in records:
        found = tfrecords.log_mels(str(corpus / record.genre / f"{record.track_id}.wav"))
        np.testing.assert_array_equal(found[record.chunk_index], record.log_mel)


@pytest.mark.parametrize(("preset", "shape"), [("paper", (5, 80, 80)), ("musicnn", (3, 96, 126))])
def test_log_mels_of_a_preset(preset: str, shape: tuple[int, ...], song: Path) -> None:
    found = tfrecords.log_mels(song, preset=preset)
    assert found.shape == shape
    assert found.dtype == np.float32


@pytest.mark.parametrize(
    ("dtype", "scale"), [("float32", 1), ("float64", 1), ("int16", 2**15), ("int32", 2**31)], ids=lambda value: str(value)
)
def test_samples_are_what_a_file_of_them_would_be(dtype: str, scale: int) -> None:
    waveform = np.round(synthetic_track("hum", 3, seconds=0.5) * 2**15) / 2**15
    channels = np.stack([waveform, waveform / 2], axis=1)  # (n_samples, 2)
    audio = decode_audio(((channels * scale).astype(dtype), 22050.0), sample_rate=SAMPLE_RATE)
    np.testing.assert_allclose(audio.waveform, 0.75 * waveform, atol=1 / 2**16)


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        ((np.zeros(9, np.uint8), 22050), "samples must be float in ±1, int16 or int32, got uint8"),
        ((np.zeros((2, 900)), 22050), r"samples must have the shape \(n_samples,\) or \(n_samples, n_channels\), got \(2, 900\)"),
        ((np.zeros(900), 22050.5), "the sample rate must be an integer from 1000 to 768000 Hz, got 22050.5"),
        ((np.zeros(900), 0), "the sample rate must be an integer from 1000 to 768000 Hz, got 0"),
    ],
)
def test_what_are_no_samples_is_refused(audio: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        tfrecords.log_mels(audio)


def test_errors_name_the_file(tmp_path: Path) -> None:
    short, broken, missing = (tmp_path / name for name in ("short.wav", "broken.wav", "missing.wav"))
    soundfile.write(short, synthetic_track("hum", 1, seconds=0.5), SAMPLE_RATE)
    broken.write_bytes(b"no audio")
    for path, reason in ((short, "too short: 0.50 s"), (broken, "does not decode"), (tmp_path, "is not a regular file")):
        for read in (tfrecords.log_mels, SamePredictor().predict):
            with pytest.raises(UnusableAudioError, match=f"^{re.escape(str(path))}: {reason}"):
                read(str(path))
    for use in (tfrecords.log_mels, SamePredictor().predict, keras_model.load):
        with pytest.raises((OSError, UsageError), match=re.escape(str(missing))):
            use(missing)
    with pytest.raises(UsageError, match="there is no preset 'papper'; choose from paper, "):
        tfrecords.log_mels(short, preset="papper")


def test_without_the_extra_a_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    for load in (keras_model.load, lambda: tfrecords.load_dataset(tmp_path, "train")):
        with pytest.raises(UsageError, match=r"^this needs tensorflow, .* 'train' brings: pip install '\.\[train\]'$"):
            load()


@pytest.mark.parametrize("package", [beam_pipeline, keras_model, tfrecords])
def test_every_public_name_is_there(package: Any) -> None:
    assert all(getattr(package, name) is not None for name in package.__all__)
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'nothing'"):
        package.nothing  # noqa: B018


@pytest.mark.usefixtures("wheel")
def test_the_five_lines_of_the_readme(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    section = (REPOSITORY / "README.md").read_text().partition("\n## As a library\n")[2].partition("\n## ")[0]
    (program,) = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    assert len(program.splitlines()) == 5
    exec(program.replace('"song.mp3"', repr(str(song))), {})  # noqa: S102
    assert re.match(r"<Prediction: ", capsys.readouterr().out)
