"""An export served by the files that it ships: log-mels, a track of hours, a crowd of clients."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import keras
import numpy as np
import pytest
import requests
import soundfile
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from keras_model import client
from keras_model.prediction.model import Predictor
from keras_model.prediction.runtimes import load_saved_model
from keras_model.run_folder import FrontEnd
from keras_model.serving.served_model import ServedModel
from keras_model.serving.serving_files import write_serving_files
from keras_model.serving_client.protocol import Address
from keras_model.serving_client.remote_predictor import RemotePredictor
from tests.conftest import GENRES, SAMPLE_RATE, synthetic_track
from tests.predicting import load_once
from tests.served import version_of
from tests.serving_server import ServingServer
from tests.shipped import served_as_shipped
from tfrecords.dataset.corpus import CorpusInfo
from tfrecords.front_end.log_mel_spec import LogMelSpec

BOTH = pytest.mark.parametrize("protocol", ["rest", "grpc"])
# Hours of it are computed in seconds.
SLOW = LogMelSpec(
    sample_rate=1000, chunk_samples=10_000, chunk_step=5000, n_fft=256, win_length=256, hop_length=128, n_mels=8, fmax_hz=500.0
)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server(run: Path) -> Iterator[ServingServer]:
    with served_as_shipped(run / "export") as server:
        yield server


def export_slow(folder: Path, n_wanted: int | None) -> Predictor:
    """Exports a network of one layer for waveforms of 1000 Hz."""
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Rescaling(0.02), keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")]
    model = keras.Sequential([keras.Input((*SLOW.shape, 1)), *layers])
    front_end = FrontEnd(spec=SLOW, genres=GENRES, corpus=CorpusInfo(name="none"), fingerprint="0")
    version = folder / "genres" / "1"
    ServedModel(model, front_end, n_wanted=n_wanted).save(version)
    write_serving_files(folder)
    return Predictor.of_saved_model(load_saved_model(version), front_end)


def ask(*arguments: Any, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    status = client.main([*map(str, arguments), "--json"])
    captured = capsys.readouterr()
    assert (status, captured.err) == (0, "")
    return [json.loads(line) for line in captured.out.splitlines()]


def test_log_mels_of_one_track_and_of_eight_are_taken(run: Path, server: ServingServer) -> None:
    """63 are those of 30 s; 513 are refused, as by every server with a limit."""
    features = np.random.default_rng(0).normal(11.0, 1.5, (513, 80, 80)).astype(np.float32)
    stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(server.grpc_url.removeprefix("grpc://")))

    def probabilities(n: int) -> np.ndarray:
        request = predict_pb2.PredictRequest(inputs={"log_mel": tf.make_tensor_proto(features[:n])})
        request.model_spec.name = "genres"
        return tf.make_ndarray(stub.Predict(request).outputs["probabilities"])

    expected = load_once(version_of(run)).probabilities(features[:63])
    np.testing.assert_allclose(probabilities(63), expected, atol=1e-5)
    np.testing.assert_allclose(probabilities(512)[:63], expected, atol=1e-5)
    with pytest.raises(grpc.RpcError, match="Task size 513 is larger than maximum input batch size 512"):
        probabilities(513)
    url = f"{server.rest_url}/v1/models/genres:predict"
    answer = requests.post(url, json={"inputs": features[:63].tolist()}, timeout=30).json()
    np.testing.assert_allclose(answer["outputs"]["probabilities"], expected, atol=1e-5)


@pytest.mark.parametrize(("protocol", "n_wanted"), [("grpc", None), ("rest", 5)])
def test_a_file_of_two_hours(tmp_path: Path, protocol: str, n_wanted: int | None, capsys: pytest.CaptureFixture[str]) -> None:
    """Twelve times what an item may be, with silence of minutes within."""
    noise = np.random.default_rng(0).normal(0.0, 0.1, 7200 * 1000)
    noise[1_000_000:1_400_000] = 0.0
    soundfile.write(tmp_path / "long.wav", noise, 1000, subtype="PCM_16")
    predictor = export_slow(tmp_path / "served", n_wanted)
    with served_as_shipped(tmp_path / "served") as server:
        url = server.rest_url if protocol == "rest" else server.grpc_url
        (line,) = ask(tmp_path / "long.wav", "--url", url, capsys=capsys)
    with (tmp_path / "long.wav").open("rb") as file:
        expected = predictor.predict(file, n_chunks=n_wanted)
    assert line["seconds"] == 7200
    assert line["n_chunks"] == expected.n_chunks == (n_wanted or 1439)
    assert line["probabilities"] == pytest.approx(dict(expected.ranked), abs=1e-3)
    assert server.n_requests == 1 + (n_wanted or 240)  # what the model is, then half a minute at a time


@BOTH
def test_twenty_clients_at_once_get_the_answers_of_one(run: Path, server: ServingServer, tmp_path: Path, protocol: str) -> None:
    """Merged with others, of other lengths."""
    paths = [tmp_path / f"{number}.wav" for number in range(20)]
    for number, path in enumerate(paths):
        soundfile.write(path, synthetic_track(GENRES[number % 3], number, seconds=1.5 + number / 10), SAMPLE_RATE)

    def answer(path: Path) -> np.ndarray:
        address = Address(url=server.rest_url if protocol == "rest" else server.grpc_url)
        with path.open("rb") as file:
            return RemotePredictor(client.connect(address), n_retries=0).predict(file).chunk_probabilities

    with ThreadPoolExecutor(20) as clients:
        answers = list(clients.map(answer, paths))
    assert server.servable.batcher is not None
    assert max(server.servable.batcher.merged) > 1
    predictor = load_once(version_of(run))
    for path, found in zip(paths, answers, strict=True):
        with path.open("rb") as file:
            np.testing.assert_allclose(found, predictor.predict(file).chunk_probabilities, atol=1e-3)


def test_the_server_waits_longer_than_the_client(server: ServingServer) -> None:
    """Else the client would take the server's own time-out for one that passes, and ask three times more."""
    assert server.rest_seconds > client.parse_options(["a.wav", "--url", server.rest_url]).timeout
