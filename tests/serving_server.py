"""A stand-in for TensorFlow Serving on loopback: gRPC and REST over an exported model, with the messages that it really speaks.

It takes and refuses what TensorFlow Serving does (see `tests/serving_core.py`), and misbehaves as it is told to.
"""

import json
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tests.serving_batches import Batcher, Batching, RefusedError, invalid
from tests.serving_core import DEFAULT_SIGNATURE, Servable
from tests.serving_json import answer_json

_LONGEST_MESSAGE = 1024
_HTTP_STATUS = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}


@dataclass
class ServingServer:
    """What the server does; may be changed while it runs.

    Attributes:
        servable: The model.
        rest_url, grpc_url: Where it is.
        delay_seconds: A pause before each answer.
        failures: For each request in turn, a status to refuse with.
        resets: For how many REST requests the connection is reset.
        cuts: For how many REST requests the connection is closed after half of the answer.
        pages: For each REST request in turn, the status of an HTML page, as a proxy answers with.
        rest_seconds: After which a REST request is given up.
        n_requests: How many came, of both kinds.
    """

    servable: Servable
    rest_url: str = ""
    grpc_url: str = ""
    delay_seconds: float = 0.0
    failures: list[grpc.StatusCode] = field(default_factory=list)
    resets: int = 0
    cuts: int = 0
    pages: list[int] = field(default_factory=list)
    rest_seconds: float = 30.0
    n_requests: int = 0

    def begin(self) -> None:
        self.n_requests += 1
        time.sleep(self.delay_seconds)
        if self.failures:
            raise RefusedError(self.failures.pop(0), "told to fail")

    def predict(self, request: Any) -> predict_pb2.PredictResponse:
        signature = request.model_spec.signature_name or DEFAULT_SIGNATURE
        model_spec = self.servable.model_spec(request.model_spec, signature)
        inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        outputs = self.servable.predict(signature, inputs, tuple(request.output_filter))
        tensors = {name: _as_proto_field(value) for name, value in outputs.items()}
        return predict_pb2.PredictResponse(model_spec=model_spec, outputs=tensors)

    def classify(self, request: Any) -> classification_pb2.ClassificationResponse:
        signature = request.model_spec.signature_name or DEFAULT_SIGNATURE
        response = classification_pb2.ClassificationResponse(model_spec=self.servable.model_spec(request.model_spec, signature))
        examples = [example.SerializeToString() for example in request.input.example_list.examples]
        classes, scores = self.servable.classify(signature, examples)
        for labels, numbers in zip(classes, scores, strict=True):
            row = response.result.classifications.add()
            for label, score in zip(labels, numbers, strict=True):
                row.classes.add(label=label, score=score)
        return response

    def metadata(self, request: Any) -> get_model_metadata_pb2.GetModelMetadataResponse:
        if list(request.metadata_field) != ["signature_def"]:
            raise invalid(f"Metadata field {list(request.metadata_field)} is not supported")
        response = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=self.servable.model_spec(request.model_spec))
        signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=self.servable.signatures)
        response.metadata["signature_def"].Pack(signatures)
        return response


def _as_proto_field(value: np.ndarray) -> Any:
    """A TensorProto with its values as numbers and strings, which is how TensorFlow Serving sends them."""
    tensor = tf.make_tensor_proto(value)
    if tensor.tensor_content:
        tensor.tensor_content = b""
        field = {np.float32: "float_val", np.int32: "int_val", np.int64: "int64_val"}[value.dtype.type]
        getattr(tensor, field).extend(value.ravel().tolist())
    return tensor


class _Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, server: ServingServer) -> None:
        self._server = server

    def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802 (gRPC's name)
        return self._answer(self._server.predict, request, context)

    def Classify(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self._answer(self._server.classify, request, context)

    def GetModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self._answer(self._server.metadata, request, context)

    def _answer(self, method: Any, request: Any, context: Any) -> Any:
        try:
            self._server.begin()
            return method(request)
        except RefusedError as error:
            message = str(error)
            if len(message) > _LONGEST_MESSAGE:
                message = f"{message[:_LONGEST_MESSAGE]}...TRUNCATED"
            return context.abort(error.status, message)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_RestServer"

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        serving = self.server.serving
        if serving.resets:
            serving.resets -= 1
            serving.n_requests += 1
            self.close_connection = True
            self.connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))  # a reset instead of an end
            self.connection.close()
            return
        if serving.pages:
            serving.n_requests += 1
            self._send(serving.pages.pop(0), b"<html>not what you think</html>", "text/html")
            return
        started = time.monotonic()
        try:
            serving.begin()
            answer, status = answer_json(serving.servable, self.command, self.path, body), 200
            if time.monotonic() - started > serving.rest_seconds:
                raise RefusedError(grpc.StatusCode.DEADLINE_EXCEEDED, "Timed out waiting for notification")
        except RefusedError as error:
            answer, status = {"error": str(error)}, _HTTP_STATUS.get(error.status, 500)
        # Strings are written as they are, UTF-8 or not.
        text = json.dumps(answer, ensure_ascii=False, indent=4).encode("utf-8", "surrogateescape")
        self._send(status, text, "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        serving = self.server.serving
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if serving.cuts:
            serving.cuts -= 1
            self.close_connection = True
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name that http.server gives it)
        """Keeps the tests' output quiet."""


class _RestServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # as libevent's, in TensorFlow Serving; with Python's 5, twenty clients at once wait for seconds

    def __init__(self, serving: ServingServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.serving = serving

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what the tests are about."""


@contextmanager
def serving(servable: Servable, *, batching: Batching | None = None, **behaviour: Any) -> Iterator[ServingServer]:
    """Serves a model; `rest_url` and `grpc_url` say where.

    Args:
        servable: The model.
        batching: How requests are merged; None for not at all.
        behaviour: Attributes of ServingServer.
    """
    server = ServingServer(servable, **behaviour)
    servable.batcher = Batcher(batching) if batching else None
    rest = _RestServer(server)
    unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    rpc = grpc.server(ThreadPoolExecutor(64), options=unlimited)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_Service(server), rpc)
    server.rest_url = f"http://127.0.0.1:{rest.server_port}"
    server.grpc_url = f"grpc://127.0.0.1:{rpc.add_insecure_port('127.0.0.1:0')}"
    thread = threading.Thread(target=rest.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    rpc.start()
    try:
        yield server
    finally:
        rest.shutdown()
        rest.server_close()
        thread.join()
        rpc.stop(grace=None).wait()
