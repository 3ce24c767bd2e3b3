"""The parts of the client that need no server: what is sent, when it is sent again, what is loaded."""

import base64
import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import soundfile

from keras_model import client
from keras_model.prediction.audio_files import AudioFile
from keras_model.serving_client.protocol import (
    Address,
    ServingError,
    TransientError,
    UnreachableError,
    UnusableServerError,
    ask_patiently,
)
from keras_model.serving_client.wav_file import wav_file
from tests.conftest import REPOSITORY, SAMPLE_RATE, synthetic_track
from tests.served import wav
from tfrecords.audio import UnusableAudioError
from tfrecords.errors import UsageError


def written(samples: np.ndarray, rate: int, kind: str, subtype: str) -> io.BytesIO:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file


@pytest.mark.parametrize(
    ("kind", "subtype", "sent"),
    [("FLAC", "PCM_16", "PCM_16"), ("AIFF", "PCM_24", "FLOAT"), ("OGG", "VORBIS", "FLOAT"), ("WAV", "IMA_ADPCM", "PCM_16")],
)
def test_other_formats_are_sent_as_wav_of_the_same_samples(kind: str, subtype: str, sent: str) -> None:
    samples = np.stack([synthetic_track("noise", number, seconds=1.3) for number in (1, 2)], axis=1)
    file = written(samples, 44100, kind, subtype)
    sent_file = wav_file(file)
    info = soundfile.info(io.BytesIO(sent_file.data))
    assert (info.format, info.samplerate, info.channels) == ("WAV", 44100, 2)
    file.seek(0)
    decoded = soundfile.read(file, dtype="float32")[0]
    tolerance = 0 if sent == info.subtype == "PCM_16" else 1e-7
    np.testing.assert_allclose(soundfile.read(io.BytesIO(sent_file.data), dtype="float32")[0], decoded, atol=tolerance)
    assert sent_file.seconds == pytest.approx(len(decoded) / 44100)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT", "ULAW"])
def test_wav_files_are_sent_as_they_are(subtype: str) -> None:
    data = wav(synthetic_track("hum", 1, seconds=0.5), 8000, subtype=subtype)
    sent = wav_file(io.BytesIO(data))
    assert sent.data == data
    assert sent.seconds == pytest.approx(0.5 * SAMPLE_RATE / 8000, rel=1e-3)


def test_a_header_that_tells_no_length_leaves_it_open() -> None:
    data = bytearray(wav(synthetic_track("hum", 1, seconds=1.0)))
    data[40:44] = bytes(4)  # as in what was written to a pipe
    assert wav_file(io.BytesIO(data)).seconds is None


def test_what_cannot_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnusableAudioError, match="does not decode"):
        wav_file(io.BytesIO(b"not audio at all"))
    with pytest.raises(UnusableAudioError, match="the file is empty"):
        wav_file(io.BytesIO(b""))
    damaged = b"RIFF\0\0\0\0WAVEdamaged"
    assert wav_file(io.BytesIO(damaged)).data == damaged  # the server says what is wrong with it
    monkeypatch.setattr("keras_model.serving_client.wav_file._MAX_BYTES", 1000)
    for kind in ("WAV", "FLAC"):
        with pytest.raises(UnusableAudioError, match="is too long to be sent: 2[0-9]+ bytes as WAV, at most 1000"):
            wav_file(written(np.zeros(1000), 8000, kind, "PCM_16"))


def test_pauses_double_and_are_shortened_at_random() -> None:
    pauses: list[float] = []

    def busy() -> None:
        raise TransientError("busy")

    with pytest.raises(TransientError, match=r"busy \(8 attempts\)"):
        ask_patiently(busy, n_retries=7, sleep=pauses.append)
    longest = [0.5, 1, 2, 4, 8, 8, 8]
    assert len(pauses) == len(longest)
    assert all(limit / 2 <= pause <= limit for pause, limit in zip(pauses, longest, strict=True))
    assert pauses != longest
    with pytest.raises(TransientError, match="2001 attempts"):
        ask_patiently(busy, n_retries=2000, sleep=pauses.append)
    assert max(pauses) <= 8


def test_a_server_that_was_there_may_come_back() -> None:
    class Server:
        answers: list[Any] = [ServingError("no"), UnreachableError("gone"), UnreachableError("gone")]  # noqa: RUF012

        def ask(self, wav: bytes) -> Any:
            raise self.answers.pop(0)

        def close(self) -> None:
            """Nothing is open."""

    asking = client.Client(Server(), n_retries=0)
    file = AudioFile(name=str(REPOSITORY / "none.wav"))
    with pytest.raises(FileNotFoundError):
        asking.predict(file)
    kinds = []
    data = wav(np.zeros(9))
    for _ in range(2):
        with pytest.raises(ServingError) as error:
            asking.ask(data)
        kinds.append(type(error.value))
    assert kinds == [ServingError, UnreachableError]
    with pytest.raises(UnusableServerError, match="gone"):
        client.Client(Server(), n_retries=0).ask(data)


def test_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(client.Client, "predict", interrupted)
    assert client.main([str(tmp_path / "x.wav"), "--url", "http://127.0.0.1:1"]) == 130
    assert capsys.readouterr().err == "client: interrupted\n"


@pytest.mark.parametrize("option", [("--timeout", "0"), ("--retries", "-1"), ("--version", "x"), ("--json", "--csv")])
def test_options_that_cannot_be(option: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        client.main(["x.wav", "--url", "http://127.0.0.1:1", *option])
    assert error.value.code == 2
    assert option[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--version", str(2**63)), r"version must be 0 to 2\*\*63 - 1, got 9223372036854775808"),
        (("--model", "x\udce9"), r"name must be UTF-8, got 'x\\udce9'"),
        (("--timeout", "1e9"), r"time-out must lie in 0..86400 s, got 1e\+09"),
    ],
)
def test_what_no_server_could_be_asked(option: tuple[str, str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    for url in ("http://127.0.0.1:1", "grpc://127.0.0.1:1"):
        assert client.main(["x.wav", "--url", url, *option]) == 2
        assert re.fullmatch(f"client: the .*{message}\n", capsys.readouterr().err)


def test_options_may_stand_between_paths() -> None:
    assert client.parse_options(["a.wav", "--url", "http://host", "b.wav"]).paths == ["a.wav", "b.wav"]


def test_no_tensorflow_is_loaded() -> None:
    modules = "keras_model.client, keras_model.serving_client.rest_server, keras_model.serving_client.grpc_server"
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
        "http://h\udce9",
    ],
)
def test_addresses_that_are_none(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert client.main(["x.wav", "--url", url]) == 2
    expected = f"client: the URL must be like http://HOST:8501, https://HOST or grpc://HOST:8500, got {url!r}\n"
    assert capsys.readouterr().err == expected


def test_grpc_targets() -> None:
    assert Address(url="grpc://host").grpc_target == "host:8500"
    assert Address(url="grpc://[::1]:9").grpc_target == "[::1]:9"
    with pytest.raises(UsageError, match="name must not be empty"):
        Address(url="grpc://host", model="")


def test_passwords_are_sent_and_not_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    sent: list[Any] = []

    def lost(adapter: Any, request: Any, **_: Any) -> None:
        sent.append(request)
        raise requests.exceptions.InvalidURL(f"Failed to parse: {request.url}")

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", lost)
    address = Address(url="http://u:sécret%40@host:1/a@b")
    with pytest.raises(UnusableServerError) as error:
        client.connect(address).ask(b"")
    assert sent[0].headers["Authorization"] == "Basic " + base64.b64encode("u:sécret@".encode()).decode()
    for text in (str(error.value), address.title):
        assert "http://host:1/a@b" in text
        assert "cret" not in text
    assert client.main(["x.wav", "--url", "http://u:se/cret@host"]) == 2
    assert capsys.readouterr().err.endswith(" got 'http://host'\n")
