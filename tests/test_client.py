"""The client: a served model's genres on the command line, over REST and gRPC, and what it makes of servers that fail."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import soundfile

from keras_model import client
from keras_model.prediction.model import Predictor
from keras_model.serving_client import protocol
from tests.conftest import GENRES, SAMPLE_RATE, synthetic_track
from tests.predicting import load_once
from tests.served import version_of
from tests.serving_core import Servable, load_servable
from tests.serving_server import ServingServer
from tests.serving_server import serving as serve

BOTH = pytest.mark.parametrize("protocol", ["rest", "grpc"])
UNAVAILABLE, BUSY = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.fixture(scope="module")
def servable(run: Path) -> Servable:
    return load_servable(version_of(run).parent)


@pytest.fixture(scope="module")
def predictor(run: Path) -> Predictor:
    return load_once(version_of(run))


@pytest.fixture
def server(servable: Servable, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServingServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(protocol, "_FIRST_PAUSE_SECONDS", 0.01)
    with serve(servable) as server:
        yield server


@pytest.fixture
def track(tmp_path: Path) -> Path:
    path = tmp_path / "track.wav"
    soundfile.write(path, synthetic_track("noise", 7, seconds=2.5), SAMPLE_RATE)
    return path


def url_of(server: ServingServer, protocol: str) -> str:
    return server.rest_url if protocol == "rest" else server.grpc_url


def ask(*arguments: str | Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str], list[str]]:
    """Exit status of the command line, and the lines of its output and of its errors."""
    status = client.main([*map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out.splitlines(), captured.err.splitlines()


@BOTH
def test_any_format_gets_the_genre_that_predict_gives(
    predictor: Predictor, server: ServingServer, tmp_path: Path, protocol: str, capsys: pytest.CaptureFixture[str]
) -> None:
    mono, stereo = (
        synthetic_track("noise", 1, seconds=3.2),
        np.stack([synthetic_track(genre, 2, seconds=3) for genre in GENRES[:2]]),
    )
    files = {
        "a b ü\n'.flac": (mono, SAMPLE_RATE, "PCM_16"),
        "24.flac": (mono, SAMPLE_RATE, "PCM_24"),
        "stereo.aiff": (stereo.T, 44100, "PCM_16"),
        "stereo.ogg": (stereo.T, 44100, "VORBIS"),
        "-.mp3": (mono, SAMPLE_RATE, "MPEG_LAYER_III"),
        "adpcm.wav": (mono, SAMPLE_RATE, "IMA_ADPCM"),
        "float.wav": (mono, 16000, "FLOAT"),
        "48.wav": (mono, 48000, "PCM_24"),
        "22039.wav": (mono, 22039, "PCM_16"),
    }
    for name, (samples, rate, subtype) in files.items():
        soundfile.write(tmp_path / name, samples, rate, subtype=subtype)
    paths = [tmp_path / name for name in files]
    status, lines, errors = ask(*paths, "--json", "--url", url_of(server, protocol), capsys=capsys)
    assert (status, errors) == (0, [])
    for line, path in zip(map(json.loads, lines), paths, strict=True):
        expected = predictor.predict(path.read_bytes()).to_dict()
        assert line["file"] == str(path)
        assert {key: line[key] for key in ("genre", "genre_majority", "n_chunks")} == {
            key: expected[key] for key in ("genre", "genre_majority", "n_chunks")
        }
        assert line["seconds"] == expected["seconds"]
        assert line["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-3)


@BOTH
def test_a_file_that_fails_costs_its_own_line_alone(
    server: ServingServer, track: Path, protocol: str, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(track.parent / "short.wav", np.full(9000, 0.1), SAMPLE_RATE)
    (track.parent / "text.wav").write_text("not audio")
    (track.parent / "cut.wav").write_bytes(track.read_bytes()[:30])
    names = ("short.wav", "text.wav", "cut.wav", "none.wav", "track.wav")
    paths = [track.parent / name for name in names]
    status, lines, errors = ask(*paths, "--json", "--url", url_of(server, protocol), "--retries", "0", capsys=capsys)
    assert status == 1
    values = [json.loads(line) for line in lines]
    assert [value["file"] for value in values] == [str(path) for path in paths]
    assert ["error" in value for value in values] == [True, True, True, True, False]
    assert len(errors) == 4
    for line, name, reason in zip(errors, names, ("too short: 0.41 s", "does not decode", "", "No such file"), strict=False):
        assert re.match(rf"client: .*{name}: .*{reason}", line)
    assert server.n_requests == 2  # what the model is, and the track: what has no genre is not sent


def test_bars_and_tables(server: ServingServer, track: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, lines, _ = ask(track.parent, "--url", server.rest_url, "--top", "2", capsys=capsys)
    assert status == 0
    assert re.fullmatch(rf"{re.escape(str(track))}: \w+ \d+\.\d%( \(majority.*)?", lines[0])
    assert len(lines) == 3
    status, lines, _ = ask(track.parent / "none.wav", track, "--csv", "--url", f"{server.rest_url}/", capsys=capsys)
    assert status == 1
    assert lines[0] == f"file,genre,confidence,genre_majority,n_chunks,seconds,{','.join(GENRES)},error"
    assert [line.split(",")[0] for line in lines[1:]] == [str(track.parent / "none.wav"), str(track)]


@BOTH
def test_what_passes_is_tried_again(
    server: ServingServer, track: Path, protocol: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.failures = [UNAVAILABLE, BUSY]
    status, _, errors = ask(track, "--url", url_of(server, protocol), "--retries", "2", capsys=capsys)
    assert (status, errors, server.n_requests) == (0, [], 4)


@pytest.mark.parametrize("fault", [{"resets": 2}, {"cuts": 2}, {"pages": [502, 504]}])
def test_lost_connections_and_proxies_are_tried_again(
    server: ServingServer, track: Path, fault: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    vars(server).update(fault)
    status, _, errors = ask(track, "--url", server.rest_url, "--retries", "2", capsys=capsys)
    assert (status, errors, server.n_requests) == (0, [], 4)


@BOTH
def test_a_server_that_stays_busy_is_given_up(
    server: ServingServer, track: Path, protocol: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.failures = [UNAVAILABLE] * 9
    status, _, (error,) = ask(track, "--url", url_of(server, protocol), "--retries", "2", capsys=capsys)
    assert (status, server.n_requests) == (1, 3)
    assert re.search(r"track\.wav: .* answered .*told to fail \(3 attempts\)$", error)


@BOTH
@pytest.mark.parametrize("status_code", [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL])
def test_what_does_not_pass_is_not_tried_again(
    server: ServingServer, track: Path, protocol: str, status_code: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    server.failures = [status_code]
    status, _, (error,) = ask(track, "--url", url_of(server, protocol), capsys=capsys)
    assert (status, server.n_requests) == (1, 1)
    assert "the server refused it" in error
    assert "told to fail" in error


@BOTH
def test_time_outs(server: ServingServer, track: Path, protocol: str, capsys: pytest.CaptureFixture[str]) -> None:
    server.delay_seconds = 0.6
    status, _, (error,) = ask(track, "--url", url_of(server, protocol), "--timeout", "0.2", "--retries", "1", capsys=capsys)
    assert status == 1
    assert error.endswith(f"no answer from {url_of(server, protocol)} within 0.2 s (2 attempts)")


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_nobody_there(server: ServingServer, track: Path, scheme: str, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"{scheme}://127.0.0.1:{unused.getsockname()[1]}"
        status, lines, (error,) = ask(track, track, "--url", url, "--retries", "1", capsys=capsys)
    assert (status, lines) == (2, [])
    assert re.match(rf"client: {url} is not reachable: .*refused.* \(2 attempts\)$", error)


@pytest.mark.parametrize(
    ("protocol", "wrong", "reason"), [("rest", "grpc", "is not reachable"), ("grpc", "http", "the gRPC port?")]
)
def test_the_other_protocol_s_port(
    server: ServingServer, track: Path, protocol: str, wrong: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"{wrong}://{url_of(server, protocol).partition('://')[2]}"
    status, _, (error,) = ask(track, "--url", url, "--retries", "0", capsys=capsys)
    assert status == 2
    assert error.startswith(f"client: {url} ")
    assert reason in error


@BOTH
def test_no_such_model(server: ServingServer, track: Path, protocol: str, capsys: pytest.CaptureFixture[str]) -> None:
    url = url_of(server, protocol)
    for options, title in ((("--model", "a b/c"), "model 'a b/c' at"), (("--version", "9"), "model 'genres', version 9, at")):
        status, _, (error,) = ask(track, track, "--url", url, *options, capsys=capsys)
        assert status == 2
        assert error.startswith(f"client: there is no {title} {url} (the server: ")
        assert "Servable not found for request" in error
    assert server.n_requests == 2
    assert ask(track, "--url", url, "--version", "1", capsys=capsys)[0] == 0


@BOTH
def test_a_model_without_audio(
    server: ServingServer, track: Path, protocol: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(server.servable.signatures, "classify_waveform")
    status, _, (error,) = ask(track, "--url", url_of(server, protocol), capsys=capsys)
    assert status == 2
    assert f"at {url_of(server, protocol)} has no signature classify_waveform" in error


@pytest.mark.parametrize(("page", "expected"), [(404, 2), (302, 2), (413, 1), (500, 1)])
def test_pages_of_another_server(
    server: ServingServer, track: Path, page: int, expected: int, capsys: pytest.CaptureFixture[str]
) -> None:
    server.pages = [page]
    status, _, (error,) = ask(track, "--url", server.rest_url, capsys=capsys)
    assert (status, server.n_requests) == (expected, 1)
    assert str(page) in error


@BOTH
def test_a_model_of_another_make(
    server: ServingServer, track: Path, protocol: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(server.servable, "predict", lambda *_: {"genre": np.array([b"noise"], dtype=object)})
    status, _, (error,) = ask(track, "--url", url_of(server, protocol), capsys=capsys)
    assert status == 2
    assert "not exported by this version" in error or "does not answer" in error
