"""What can be classified: formats, folders, standard input, odd names; and what is said of what cannot."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from keras_model import predict
from tests.conftest import GENRES, SAMPLE_RATE, synthetic_track
from tests.predicting import json_lines, loading_once, standard_input, write_song
from tests.served import by_pipeline
from tests.test_audio import encoded


@pytest.fixture(autouse=True, scope="module")
def models_loaded_once() -> Iterator[None]:
    with loading_once():
        yield


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return write_song(tmp_path / "song.wav")


def test_every_format_and_on_after_a_bad_file(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = synthetic_track("noise", 90, seconds=3.0)
    for name in ("a.flac", "b.ogg", "c.mp3", "d.aiff", "e.caf"):
        soundfile.write(tmp_path / name, samples, SAMPLE_RATE)
    soundfile.write(tmp_path / "f.au", np.stack([samples, samples], axis=1), SAMPLE_RATE)
    soundfile.write(tmp_path / "short.wav", samples[:9000], SAMPLE_RATE)
    soundfile.write(tmp_path / "silent.wav", np.zeros(30000), SAMPLE_RATE)
    (tmp_path / "text.wav").write_text("not audio")
    (tmp_path / "x.ape").write_bytes(b"MAC " + bytes(500))
    (tmp_path / "empty.wav").touch()
    os.mkfifo(tmp_path / "pipe.wav")
    failing = {
        "text.wav": "does not decode",
        "none.wav": "No such file or directory",
        "short.wav": "too short: 0.41 s, need 0.93 s",
        "silent.wav": "is silent: no sample reaches half a step of 16 bits",
        "x.ape": "is Monkey's Audio",
        "empty.wav": "the file is empty",
        "pipe.wav": "is not a regular file",
    }
    names = ["a.flac", *failing, "b.ogg", "c.mp3", "d.aiff", "e.caf", "f.au"]
    assert predict.main([str(run), "--json", *(str(tmp_path / name) for name in names)]) == 1
    captured = capsys.readouterr()
    lines = [json.loads(line) for line in captured.out.splitlines()]
    assert [Path(line["file"]).name for line in lines] == names
    assert [line["genre"] for line in lines if "error" not in line] == ["noise"] * 6
    assert lines[0]["n_chunks"] == 5
    errors = {Path(line["file"]).name: line["error"] for line in lines if "error" in line}
    assert errors.keys() == failing.keys()
    assert captured.err.splitlines() == [f"predict: {tmp_path / name}: {errors[name]}" for name in failing]
    for name, reason in failing.items():
        assert errors[name].startswith(reason)


def test_a_folder_is_searched_for_audio(run: Path, song: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "music"
    places = ("b/1.wav", "a/2.WAV", "a-b/3.wav", "0.wav", ".hidden.wav", ".trash/4.wav", "cover.jpg", "b/deep/er/5.wav")
    for place in places:
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(song, folder / place)
    (folder / "b" / "round").symlink_to(folder)
    (folder / "undecodable.ape").write_bytes(b"MAC " + bytes(500))
    (tmp_path / "empty").mkdir()
    assert predict.main([str(run), "--json", str(folder), str(tmp_path / "empty")]) == 1
    lines = json_lines(capsys)
    found = [os.path.relpath(line["file"], tmp_path) for line in lines]
    below = ("0.wav", "a/2.WAV", "a-b/3.wav", "b/1.wav", "b/deep/er/5.wav", "undecodable.ape")
    assert found == [*(f"music/{place}" for place in below), "empty"]
    assert [line.get("error", "")[:11] for line in lines[-2:]] == ["is Monkey's", "holds no au"]


def test_standard_input(run: Path, song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = soundfile.read(song, dtype="float32")[0]
    data = encoded(samples, container="OGG", subtype="VORBIS")
    with standard_input(data):
        assert predict.main([str(run), "--json", str(song), "-"]) == 0
    lines = json_lines(capsys)
    assert [line["file"] for line in lines] == [str(song), "-"]
    expected = by_pipeline(run, data).chunk_probabilities.mean(axis=0)
    assert [lines[1]["probabilities"][genre] for genre in GENRES] == pytest.approx(expected.tolist(), abs=1e-5)
    with standard_input(b""):
        assert predict.main([str(run), "-"]) == 1
    assert capsys.readouterr().err == "predict: -: the file is empty\n"
    assert predict.main([str(run), "-", "-"]) == 2
    assert capsys.readouterr().err == "predict: standard input, -, can be read once only\n"


def test_names_with_control_characters_stay_on_one_line(
    run: Path, song: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("one\ntwo.wav", "\x1b[31mred.wav", "left\u202eright.wav", os.fsdecode(b"latin-\xe9.wav"))
    paths = [tmp_path / name for name in names]
    shutil.copy(song, paths[0])
    assert predict.main([str(run), *map(str, paths)]) == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0].startswith(f"{tmp_path}/one\\ntwo.wav: noise")
    shown = ("\\x1b[31mred.wav", "left\\u202eright.wav", "latin-\\udce9.wav")
    assert captured.err.splitlines() == [f"predict: {tmp_path}/{name}: No such file or directory" for name in shown]


def test_what_decoders_write_is_no_part_of_the_output(run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = encoded(synthetic_track("noise", 1, seconds=5.0), container="MP3")
    damaged = data[: len(data) // 2] + bytes(3000) + data[len(data) // 2 + 3000 :]
    (tmp_path / "x.mp3").write_bytes(damaged)
    predict.main([str(run), "--json", "-v", str(tmp_path / "x.mp3")])
    assert "Note: " in capfd.readouterr().err
    predict.main([str(run), "--json", str(tmp_path / "x.mp3")])
    assert "Note: " not in capfd.readouterr().err


def test_real_recordings(run: Path, shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [shared / "real_audio" / "music" / "music.00000.wav", shared / "real_audio" / "speech" / "speech.00003.wav"]
    assert predict.main([str(run), "--json", *map(str, paths)]) == 0
    for path, line in zip(paths, json_lines(capsys), strict=True):
        expected = by_pipeline(run, path.read_bytes()).chunk_probabilities.mean(axis=0)
        assert [line["probabilities"][genre] for genre in GENRES] == pytest.approx(expected.tolist(), abs=1e-5)
