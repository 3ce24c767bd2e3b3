"""The command that classifies files: what it prints, in which order, and how it ends."""

import csv
import errno
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from tqdm import tqdm

from keras_model import predict
from keras_model.evaluation.votes import vote
from keras_model.prediction.finding import find_model
from keras_model.prediction.model import Predictor
from tests.conftest import GENRES, REPOSITORY, SAMPLE_RATE, synthetic_track
from tests.predicting import json_lines, loading_once, write_song
from tests.served import by_pipeline
from tests.test_audio import encoded


@pytest.fixture(autouse=True, scope="module")
def models_loaded_once() -> Iterator[None]:
    with loading_once():
        yield


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return write_song(tmp_path / "song.wav")


def test_genre_confidence_and_bars(run: Path, song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for model in (run, run / "export", find_model(run).parent, find_model(run)):
        assert predict.main([str(model), str(song)]) == 0
        lines = capsys.readouterr().out.splitlines()
        share = re.fullmatch(rf"{re.escape(str(song))}: noise (\d+\.\d%)", lines[0])
        assert share
        assert re.fullmatch(rf"  noise +{re.escape(share[1])} █+", lines[1])
        assert len(lines) == 1 + len(GENRES)


def test_top_shows_fewer_bars(run: Path, song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict.main([str(run), str(song), "--top", "2"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert predict.main([str(run), str(song), "--json"]) == 0
    assert predict.main([str(run), str(song), "--json", "--top", "2"]) == 0
    every, two = json_lines(capsys)
    assert list(two["probabilities"].items()) == list(every["probabilities"].items())[:2]
    assert predict.main([str(run), str(song), "--csv", "--top", "2"]) == 2
    assert capsys.readouterr().err == "predict: --top is not for --csv, whose columns are every file's: one for each genre\n"
    with pytest.raises(SystemExit) as error:
        predict.main([str(run), str(song), "--top", "0"])
    assert error.value.code == 2
    assert "an integer of at least 1, got '0'" in capsys.readouterr().err


@pytest.mark.parametrize(("file_rate", "n_channels"), [(22050, 1), (44100, 2)])
def test_probabilities_are_those_of_pipeline_and_network(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], file_rate: int, n_channels: int
) -> None:
    rng = np.random.default_rng(0)
    data = encoded(0.2 * rng.standard_normal((file_rate * 33, n_channels)), sample_rate=file_rate)  # more than one block
    (tmp_path / "x.wav").write_bytes(data)
    assert predict.main([str(run), "--json", str(tmp_path / "x.wav")]) == 0
    (line,) = json_lines(capsys)
    expected = by_pipeline(run, data).chunk_probabilities
    for genre, probability in zip(GENRES, expected.mean(axis=0, dtype=np.float64), strict=True):
        assert line["probabilities"][genre] == pytest.approx(probability, abs=1e-5)
    votes = vote(expected, ["x"] * len(expected))
    assert line["genre"] == GENRES[votes.maximum[0]]
    assert line["genre_majority"] == GENRES[votes.majority[0]]
    assert line["confidence"] == max(line["probabilities"].values())
    assert line["n_chunks"] == len(expected)
    assert line["seconds"] == pytest.approx(33.0)
    assert line["synthetic_model"] is False


def test_chunks_spreads_fewer_over_the_file(run: Path, song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict.main([str(run), "--json", "--chunks", "2", str(song)]) == 0
    (line,) = json_lines(capsys)
    assert line["n_chunks"] == 2
    expected = by_pipeline(run, song.read_bytes()).chunk_probabilities[[1, 3]].mean(axis=0)  # of five, the middles of two halves
    assert [line["probabilities"][genre] for genre in GENRES] == pytest.approx(expected.tolist(), abs=1e-5)


def test_results_keep_their_order_and_are_those_of_each_file_alone(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{number}.wav" for number in range(12)]
    for number, path in enumerate(paths):
        seconds = 45.0 if number == 0 else rng.uniform(0.95, 4.0)  # the first is the last to be decoded
        soundfile.write(path, synthetic_track(GENRES[number % 3], number, seconds=seconds), SAMPLE_RATE)
    (tmp_path / "7.wav").write_text("not audio")
    assert predict.main([str(run), "--json", *map(str, paths)]) == 1
    lines = json_lines(capsys)
    assert [line["file"] for line in lines] == [str(path) for path in paths]
    assert "error" in lines.pop(7)
    predictor = Predictor.load(run)
    for line in lines[::5]:
        alone = dict(predictor.predict(Path(line["file"]).read_bytes()).ranked)
        assert line["probabilities"] == pytest.approx(alone, abs=1e-5)


def test_csv(run: Path, song: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = shutil.copy(song, tmp_path / 'a, "quoted"\nname.wav')
    assert predict.main([str(run), "--csv", str(odd), str(tmp_path / "none.wav"), str(song)]) == 1
    captured = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(captured.out)))
    assert list(rows[0]) == ["file", "genre", "confidence", "genre_majority", "n_chunks", "seconds", *GENRES, "error"]
    assert [row["file"] for row in rows] == [str(odd), str(tmp_path / "none.wav"), str(song)]
    assert [row["genre"] for row in rows] == ["noise", "", "noise"]
    assert [row["error"] for row in rows] == ["", "No such file or directory", ""]
    assert float(rows[0]["confidence"]) == max(float(rows[0][genre]) for genre in GENRES)
    assert sum(float(rows[0][genre]) for genre in GENRES) == pytest.approx(1.0, abs=1e-5)
    assert (rows[0]["n_chunks"], float(rows[0]["seconds"])) == ("5", 3.0)


def test_ctrl_c_ends_in_one_line(
    run: Path, song: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Predictor, "probabilities", lambda predictor, log_mels: signal.raise_signal(signal.SIGINT))
    assert predict.main([str(run), str(song)]) == 130
    assert capsys.readouterr() == ("", "predict: interrupted\n")


def test_ctrl_c_costs_no_row_of_a_table(
    run: Path, song: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of files that failed wait for the first that did not, by which the table has its columns."""

    def outcomes(*_: object) -> Iterator[OSError]:
        yield FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        raise KeyboardInterrupt

    monkeypatch.setattr(predict, "_outcomes", outcomes)
    assert predict.main([str(run), "none.wav", str(song), "--csv"]) == 130
    _, row = capsys.readouterr().out.splitlines()
    assert row.startswith("none.wav,")
    assert row.endswith(",No such file or directory")


def test_a_closed_pipe_ends_quietly(
    run: Path, song: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert predict.main([str(run), str(song), str(song)]) == 141
    assert capsys.readouterr().err == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_shown_on_a_terminal(
    run: Path, song: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tqdm, "monitor_interval", 0)
    long = tmp_path / "long.wav"
    soundfile.write(long, synthetic_track("noise", 1, seconds=62.0), SAMPLE_RATE)
    for files, shown in (([song] * 3, ["| 3/3 ["]), ([long], ["| 30/62 [", "| 60/62 [", "| 62/62 ["])):
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TQDM_MININTERVAL", "0")
        assert predict.main([str(run), "--json", *map(str, files)]) == 0
        assert len(json_lines(capsys)) == len(files)
        assert all(text in terminal.getvalue() for text in shown)


def test_it_takes_a_gpus_memory_as_needed_and_joins_no_strategy(
    run: Path, song: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TF_FORCE_GPU_ALLOW_GROWTH", raising=False)
    for strategy in (tf.distribute.MirroredStrategy, tf.distribute.MultiWorkerMirroredStrategy):
        monkeypatch.setattr(strategy, "__init__", None)
    assert predict.main([str(run), str(song)]) == 0
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"


def test_no_progress_in_a_log(run: Path, song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict.main([str(run), str(song), str(song)]) == 0
    assert capsys.readouterr().err == ""


def test_a_model_of_synthetic_audio_says_so_once(
    run: Path, song: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = shutil.copytree(find_model(run), tmp_path / "model")
    front_end = json.loads((model / "assets" / "front_end.json").read_text())
    front_end["corpus"]["synthetic"] = True
    (model / "assets" / "front_end.json").write_text(json.dumps(front_end))
    assert predict.main([str(model), "--json", str(song), str(song)]) == 0
    captured = capsys.readouterr()
    assert captured.err == "predict: this model was trained on SYNTHETIC audio; its genres are not music's\n"
    assert [json.loads(line)["synthetic_model"] for line in captured.out.splitlines()] == [True, True]


def test_a_damaged_network_is_named(
    run: Path, song: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for given in (np.nan, 3e30, -1.0):
        rows = np.array([given, 0.5, 0.5], np.float32)
        monkeypatch.setattr(Predictor, "probabilities", lambda predictor, chunks, rows=rows: np.tile(rows, (len(chunks), 1)))
        assert predict.main([str(run), str(song)]) == 1
        assert capsys.readouterr().err == f"predict: {song}: the network gave no probabilities\n"


def test_a_missing_model_is_told_before_tensorflow_is_loaded(tmp_path: Path) -> None:
    code = "import sys; from keras_model import predict; print(predict.main(sys.argv[1:]), 'tensorflow' in sys.modules)"
    command = [sys.executable, "-c", code, str(tmp_path), "x.wav"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout == "2 False\n"
    assert re.fullmatch(r"predict: there is no exported model in .*\n", done.stderr)


@pytest.mark.parametrize("damage", ["assets", "variables", "saved_model.pb"])
def test_a_damaged_model(run: Path, tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(find_model(run), tmp_path / "model")
    if damage == "saved_model.pb":
        (tmp_path / "model" / damage).write_bytes(b"not a model")
    else:
        shutil.rmtree(tmp_path / "model" / damage)
    assert predict.main([str(tmp_path / "model"), "x.wav"]) == 2
    error = capsys.readouterr().err
    assert "is no whole model that train.py exported" in error
    assert len(error.splitlines()) == 1


def test_timelines_and_options_between_paths(run: Path, song: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    (out / "song-2.png").mkdir(parents=True)  # cannot be replaced by a picture
    assert predict.main([str(run), str(song), "--timeline", str(out), "--json", str(song)]) == 1
    captured = capsys.readouterr()
    assert [json.loads(line)["genre"] for line in captured.out.splitlines()] == ["noise", "noise"]
    assert captured.err == f"predict: {out / 'song-2.png'}: Is a directory\n"
    assert sorted(path.name for path in out.iterdir()) == ["song-2.png", "song.png"]
    assert predict.main([str(run), str(song), str(song), "--timeline", str(tmp_path / "x.png")]) == 2
    assert re.fullmatch("predict: --timeline must be a folder for 2 files: .*\n", capsys.readouterr().err)
