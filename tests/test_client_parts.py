"""The parts of the client that need no server: when it asks again, which options there are, what is loaded."""

import base64
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from keras_model import client, predict, summary
from keras_model.serving_client.protocol import (
    Address,
    ServingError,
    TransientError,
    UnreachableError,
    UnusableServerError,
    ask_patiently,
)
from tests.conftest import REPOSITORY
from tfrecords.errors import UsageError


def test_pauses_double_and_are_shortened_at_random(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)

    def busy() -> Any:
        raise TransientError("busy")

    with pytest.raises(ServingError, match=r"busy \(8 attempts\)"):
        ask_patiently(busy, n_retries=7)
    longest = [0.5, 1, 2, 4, 8, 8, 8]
    assert len(pauses) == len(longest)
    assert all(limit / 2 <= pause <= limit for pause, limit in zip(pauses, longest, strict=True))
    assert pauses != longest
    with pytest.raises(ServingError, match="2001 attempts"):
        ask_patiently(busy, n_retries=2000)
    assert max(pauses) <= 8


def test_a_server_that_is_gone_ends_the_run() -> None:
    def gone() -> Any:
        raise UnreachableError("gone")

    with pytest.raises(UnusableServerError, match="^gone$"):
        ask_patiently(gone, n_retries=0)


def test_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(client, "find_audio_files", interrupted)
    assert client.main([str(tmp_path / "x.wav"), "--url", "http://127.0.0.1:1"]) == 130
    assert capsys.readouterr().err == "client: interrupted\n"


@pytest.mark.parametrize("option", [("--timeout", "0"), ("--retries", "-1"), ("--version", "x"), ("--json", "--csv")])
def test_options_that_cannot_be(option: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        client.main(["x.wav", "--url", "http://127.0.0.1:1", *option])
    assert error.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("client: argument ")
    assert option[0] in line


@pytest.mark.parametrize(
    ("command", "arguments"),
    [(client, ["x.wav", "--url", "http://h"]), (predict, ["run", "x.wav"]), (summary, ["run", "--output", "sum"])],
)
def test_options_that_there_are_not(command: Any, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        command.main([*arguments, "--hlep"])
    assert error.value.code == 2
    program = command.__name__.removeprefix("keras_model.")
    assert capsys.readouterr().err == f"{program}: unrecognized arguments: --hlep; did you mean --help?\n"


def test_options_may_stand_between_paths() -> None:
    assert client.parse_options(["a.wav", "--url", "http://host", "b.wav"]).paths == ["a.wav", "b.wav"]


def test_no_tensorflow_is_loaded() -> None:
    modules = "keras_model.client, keras_model.serving_client.rest_server"
    forbidden = ("tensorflow", "tensorflow_serving", "keras", "librosa", "apache_beam", "matplotlib", "scipy")
    code = f"import sys, {modules}; print(sorted(set(sys.modules) & set({forbidden!r})))"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8501",
        "ftp://host",
        "http://",
        "grpc://host/path",
        "http://host:x",
        "http://[::1",
        "grpc://h?a",
    ],
)
def test_addresses_that_are_none(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert client.main(["x.wav", "--url", url]) == 2
    expected = f"client: the URL must be like http://HOST:8501, https://HOST or grpc://HOST:8500, got {url!r}\n"
    assert capsys.readouterr().err == expected


def test_a_model_has_a_name() -> None:
    with pytest.raises(UsageError, match="name must not be empty"):
        Address(url="grpc://host", model="")


def test_passwords_are_sent_and_not_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    sent: list[Any] = []

    def lost(adapter: Any, request: Any, **_: Any) -> None:
        sent.append(request)
        raise requests.exceptions.InvalidURL(f"Failed to parse: {request.url}")

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", lost)
    address = Address(url="http://u:secret%40@host:1/a@b")
    with pytest.raises(UnusableServerError) as error:
        client.connect(address).ask(np.zeros((1, 1), np.float32), np.ones(1, np.int32), 22050)
    assert sent[0].headers["Authorization"] == "Basic " + base64.b64encode(b"u:secret@").decode()
    for text in (str(error.value), address.title):
        assert "http://host:1/a@b" in text
        assert "cret" not in text
    assert client.main(["x.wav", "--url", "http://u:se/cret@host"]) == 2
    assert capsys.readouterr().err.endswith(" got 'http://host'\n")
