"""What `predict` and `client` share: how they end, and names that are no usual ones."""

import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pytest

from keras_model import predict
from keras_model.prediction.files import AudioFile, find_audio_files, timeline_paths
from keras_model.prediction.track import Prediction
from tests.conftest import GENRES
from tests.predicting import SamePredictor, write_song
from tfrecords.command_line.command import exit_status
from tfrecords.errors import UsageError

TOO_LONG = "x" * 300  # for any file system


def test_names_that_standard_output_cannot_encode(monkeypatch: pytest.MonkeyPatch) -> None:
    data = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(data, encoding="ascii", write_through=True))
    assert exit_status("x", lambda: print("é.wav") or 3) == 3
    assert data.getvalue() == b"\\xe9.wav\n"


def test_closed_outputs_lose_what_is_written_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)

    def classify() -> int:
        sys.stdout.write("a")
        raise UsageError("b")

    assert exit_status("x", classify) == 2


def test_errors_are_one_line_whatever_they_name(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> int:
        raise UsageError("there is no \x1b[2J\n")

    assert exit_status("x", fail) == 2
    assert capsys.readouterr().err == "x: there is no \\x1b[2J\\n\n"


def test_an_empty_name_is_not_the_current_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "saved_model.pb").touch()
    for arguments in (("", "x.wav"), (tmp_path, ""), (tmp_path, "x.wav", "--timeline", "")):
        assert predict.main([*map(str, arguments)]) == 2
        assert capsys.readouterr().err.endswith(" must not be empty\n")


def test_a_file_named_like_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("-").write_bytes(b"sound")
    Path("folder").mkdir()
    (file,) = find_audio_files(["./-"])
    assert file == AudioFile(name="./-")
    with file.opened() as opened:
        assert opened.read() == b"sound"
    assert timeline_paths("folder", [file]) == [Path("folder/-.png")]


def test_names_that_are_too_long(tmp_path: Path) -> None:
    (file,) = find_audio_files([TOO_LONG])
    with pytest.raises(OSError, match="File name too long"), file.opened():
        pass
    for out, message in ((f"{TOO_LONG}/", "cannot be made: File name too long"), (f"{TOO_LONG}/x.png", "there is no folder")):
        with pytest.raises(UsageError, match=message):
            timeline_paths(f"{tmp_path}/{out}", [file])


@dataclass(frozen=True, kw_only=True)
class SlowFile(AudioFile):
    """A file that comes when it is told to."""

    told: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        self.told.wait()
        with super().opened() as file:
            yield file


def test_a_file_does_not_wait_for_those_behind_it(tmp_path: Path) -> None:
    song = str(write_song(tmp_path / "song.wav"))
    slow = SlowFile(name=song)
    outcomes = SamePredictor((0.2, 0.5, 0.3)).predict_files([AudioFile(name=song), slow])
    first = next(outcomes)
    slow.told.set()
    for outcome in (first, *outcomes):
        assert isinstance(outcome, Prediction)
        assert (outcome.genre, outcome.n_chunks) == (GENRES[1], 5)
