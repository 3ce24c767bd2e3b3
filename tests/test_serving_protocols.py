"""The exported model under TensorFlow Serving's rules: its signatures over gRPC and REST, merged requests, and refusals."""

import base64
import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import requests
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2, get_model_metadata_pb2, predict_pb2, prediction_service_pb2_grpc

from keras_model import client
from keras_model.prediction.runtimes import load_saved_model
from keras_model.serving_client.protocol import Address, ServingError, answered_probabilities
from tests.conftest import GENRES, SAMPLE_RATE, synthetic_track
from tests.served import front_end_of, version_of, wav
from tests.serving_batches import Batching
from tests.serving_core import Servable, load_servable
from tests.serving_server import ServingServer, serving
from tfrecords.front_end.log_mel import cut_chunks, log_mel
from tfrecords.records.schema import Record, encode

BOTH = pytest.mark.parametrize("protocol", ["rest", "grpc"])


@pytest.fixture(scope="module")
def servable(run: Path) -> Servable:
    return load_servable(version_of(run).parent)


@pytest.fixture(scope="module")
def signatures(run: Path) -> Any:
    return load_saved_model(version_of(run)).signatures


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def stub(servable: Servable) -> Iterator[Any]:
    with serving(servable) as server:
        yield stub_of(server)


def stub_of(server: ServingServer) -> Any:
    return prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(server.grpc_url.removeprefix("grpc://")))


def ask(server: ServingServer, protocol: str, *waveforms: np.ndarray) -> dict[str, Any]:
    rows = np.zeros((len(waveforms), max(map(len, waveforms))), np.float32)
    for row, waveform in zip(rows, waveforms, strict=True):
        row[: len(waveform)] = waveform
    lengths = np.array([len(waveform) for waveform in waveforms], np.int32)
    with contextlib.closing(client.connect(Address(url=server.rest_url if protocol == "rest" else server.grpc_url))) as connected:
        return connected.ask(rows, lengths, SAMPLE_RATE)


def request_of(signature: str, **inputs: Any) -> Any:
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "genres", signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def classify_request(signature: str, records: list[bytes]) -> Any:
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name, request.model_spec.signature_name = "genres", signature
    request.input.example_list.examples.extend(map(tf.train.Example.FromString, records))
    return request


def text(value: Any) -> Any:
    return [item.decode() if isinstance(item, bytes) else item for item in np.asarray(value).ravel().tolist()]


@BOTH
def test_the_answer_is_the_signature_s(servable: Servable, signatures: Any, protocol: str) -> None:
    track = synthetic_track("ticks", 3, seconds=2.1)
    expected = signatures["classify_waveform"](
        waveform=tf.constant([track]), n_samples=tf.constant([len(track)]), sample_rate=tf.constant([SAMPLE_RATE])
    )
    with serving(servable) as server:
        answer = ask(server, protocol, track)
    assert set(answer) == set(expected)
    for name, value in expected.items():
        if value.dtype == tf.string:
            assert text(answer[name]) == text(value)
        else:
            assert answer[name].shape == value.shape
            np.testing.assert_allclose(answer[name], value, atol=1e-5)


@BOTH
def test_a_bad_track_in_a_merged_batch_touches_no_other(servable: Servable, protocol: str) -> None:
    long, short = (synthetic_track("hum", 1, seconds=seconds) for seconds in (3.0, 1.5))
    bad = np.full(30000, 2e6, np.float32)
    with serving(servable) as server:
        alone = [ask(server, protocol, track) for track in (long, short)]
    options = Batching(max_batch_size=3, pad_variable_length_inputs=True)
    with serving(servable, batching=options) as server, ThreadPoolExecutor() as pool:
        first, refused, second = pool.map(lambda track: ask(server, protocol, track), (long, bad, short))
    assert servable.batcher is not None
    assert servable.batcher.merged == [3]
    with pytest.raises(ServingError, match="holds samples beyond"):
        answered_probabilities(refused, shape=(0, 3))
    for expected, merged, n_chunks in zip(alone, (first, second), (5, 2), strict=True):
        before, together = (answered_probabilities(one, shape=(n_chunks, 3)) for one in (expected, merged))
        np.testing.assert_allclose(together, before, atol=1e-6)


def test_wav_files_as_curl_sends_them(servable: Servable, signatures: Any) -> None:
    """The request of docs/serving.md, with a bad file beside the good one."""
    files = [wav(synthetic_track("hum", 2, seconds=3.0), 44100), b"RIFF garbage"]
    instances = [{"audio": {"b64": base64.b64encode(file).decode()}} for file in files]
    with serving(servable) as server:
        body: Any = {"signature_name": "classify_audio", "instances": instances}
        good, bad = requests.post(f"{server.rest_url}/v1/models/genres:predict", json=body, timeout=10).json()["predictions"]
    expected = signatures["classify_audio"](audio=tf.constant(files))
    assert [good["genre"], bad["genre"]] == text(expected["genre"])
    assert (good["error"], bad["error"]) == ("", "does not decode: it is no WAV file")
    np.testing.assert_allclose(good["chunk_probabilities"], expected["chunk_probabilities"][0], atol=1e-5)


@pytest.mark.parametrize("padded", [True, False])
def test_waveforms_of_other_lengths_are_merged_where_the_server_pads(servable: Servable, padded: bool) -> None:
    tracks = [synthetic_track("noise", 4, seconds=seconds)[np.newaxis] for seconds in (1.4, 2.6)]
    asked = [
        request_of(
            "classify_waveform",
            waveform=track,
            n_samples=np.array([track.size], np.int32),
            sample_rate=np.array([SAMPLE_RATE], np.int32),
        )
        for track in tracks
    ]
    with serving(servable) as server:
        alone = [tf.make_ndarray(stub_of(server).Predict(request).outputs["probabilities"]) for request in asked]
    options = Batching(max_batch_size=2, pad_variable_length_inputs=padded)
    with serving(servable, batching=options) as server, ThreadPoolExecutor() as pool:
        calls = [stub_of(server).Predict.future(request) for request in asked]
        if not padded:
            for call in calls:
                assert call.exception().code() == grpc.StatusCode.FAILED_PRECONDITION
            return
        merged = list(pool.map(lambda call: tf.make_ndarray(call.result().outputs["probabilities"]), calls))
    assert servable.batcher is not None
    assert servable.batcher.merged == [2]
    np.testing.assert_allclose(np.concatenate(merged), np.concatenate(alone), atol=1e-6)


def test_batches_want_inputs_of_one_length(servable: Servable) -> None:
    request = request_of(
        "classify_waveform",
        waveform=np.zeros((2, 9), np.float32),
        n_samples=np.array([9], np.int32),
        sample_rate=np.array([22050, 22050], np.int32),
    )
    with serving(servable, batching=Batching(max_batch_size=2)) as server, pytest.raises(grpc.RpcError) as error:
        stub_of(server).Predict(request)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "equal 0th-dimension size" in error.value.details()


def test_records_of_the_pipeline_are_classified(run: Path, servable: Servable, signatures: Any, stub: Any) -> None:
    spec = front_end_of(run).spec
    chunks = cut_chunks(synthetic_track("hum", 8, seconds=2.0), np.array([0, 9000]), spec=spec)
    features = log_mel(chunks, spec=spec)
    records = [
        encode(Record(log_mel=feature, label=0, genre="hum", track_id="hum.00008", chunk_index=index, start_sample=0))
        for index, feature in enumerate(features)
    ]
    expected = signatures["serving_default"](log_mel=tf.constant(features))["probabilities"].numpy()
    response = stub.Classify(classify_request("classify_examples", records))
    assert [[item.label for item in row.classes] for row in response.result.classifications] == [list(GENRES)] * 2
    scores = [[item.score for item in row.classes] for row in response.result.classifications]
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    with serving(servable) as server:
        # Over REST a whole number is an int64 feature; log-mels have none.
        body: Any = {"signature_name": "classify_examples", "examples": [{"log_mel": list(map(float, features[0].ravel()))}]}
        results = requests.post(f"{server.rest_url}/v1/models/genres:classify", json=body, timeout=10).json()["results"]
    assert [label for label, _ in results[0]] == list(GENRES)
    np.testing.assert_allclose([score for _, score in results[0]], expected[0], atol=1e-5)


def test_what_the_server_refuses(stub: Any) -> None:
    features = np.zeros((1, 80, 80), np.float32)
    for method, request, code, message in (
        (
            stub.Classify,
            classify_request("classify_audio", [b""]),
            "INVALID_ARGUMENT",
            "method_name to be tensorflow/serving/classify",
        ),
        (stub.Classify, classify_request("classify_examples", []), "INVALID_ARGUMENT", "Input is empty"),
        (stub.Predict, request_of("nothing"), "FAILED_PRECONDITION", '"nothing" not found'),
        (stub.Predict, request_of("serving_default", audio=features), "INVALID_ARGUMENT", "Missing but required: .*log_mel"),
        (stub.Predict, request_of("serving_default", log_mel=features[:, 1:]), "INVALID_ARGUMENT", "shape"),
        (stub.Predict, request_of("classify_audio", audio=[1.0]), "INVALID_ARGUMENT", "to be string"),
    ):
        with pytest.raises(grpc.RpcError, match=message) as error:
            method(request)
        assert error.value.code().name == code


def test_the_server_tells_the_signatures(stub: Any) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "genres"
    signatures = get_model_metadata_pb2.SignatureDefMap()
    stub.GetModelMetadata(request).metadata["signature_def"].Unpack(signatures)
    assert {"serving_default", "classify_waveform", "classify_audio", "classify_examples"} <= set(signatures.signature_def)


@BOTH
def test_answers_of_many_megabytes(servable: Servable, protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).random((1, 200_000, 3), dtype=np.float32)  # gRPC's own limit is 4 MiB
    monkeypatch.setattr(
        servable, "predict", lambda *_: {"rows": rows[:, : 200_000 if protocol == "grpc" else 9], "n": np.array([5], np.int64)}
    )
    with serving(servable) as server:
        answer = ask(server, protocol, np.zeros(1_500_000 if protocol == "grpc" else 300_000, np.float32))
    np.testing.assert_array_equal(answer["rows"].astype(np.float32), rows[:, : answer["rows"].shape[1]])
