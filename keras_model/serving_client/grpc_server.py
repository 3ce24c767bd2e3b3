"""A served model over gRPC: TensorFlow Serving's PredictionService."""

from typing import Any

import grpc
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from keras_model.serving_client.grpc_messages import PREDICT_METHOD, predict_outputs, predict_request
from keras_model.serving_client.protocol import (
    CONNECT_SECONDS,
    MAX_ANSWER_BYTES,
    SIGNATURE,
    Address,
    ServingError,
    TransientError,
    UnreachableError,
    UnusableServerError,
    as_row,
    one_line,
    refusal,
)

_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", MAX_ANSWER_BYTES),  # gRPC's own limit is 4 MiB
    # After a failed connection gRPC refuses requests for a second and more without trying; when to try is decided here.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", round(CONNECT_SECONDS * 1000)),  # which is how long one attempt to connect may take
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.enable_retries", 0),
)
_TRANSIENT = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED)
# UNAVAILABLE is said both by a server whose queue is full and by the client's own side where nobody is there: in these words.
_NOBODY_THERE = ("failed to connect", "DNS resolution failed", "errors resolving")


class GrpcServer:
    """A model at an address, one file per request: what is wrong with one file then concerns no other."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._channel = grpc.insecure_channel(address.grpc_target, options=_OPTIONS)
        self._predict = self._channel.unary_unary(PREDICT_METHOD)  # bytes to bytes

    def ask(self, wav: bytes) -> dict[str, NDArray[Any]]:
        """See `keras_model.serving_client.protocol.Server`."""
        address = self._address
        request = predict_request(model=address.model, version=address.version, signature=SIGNATURE, name="audio", data=wav)
        try:
            response = self._predict(request, timeout=address.timeout_seconds)
        except grpc.RpcError as error:
            raise self._error(error.code(), error.details() or "") from error
        try:
            outputs = predict_outputs(response)
        except (ValueError, DecodeError) as error:
            raise UnusableServerError(f"{address.shown_url} does not answer as TensorFlow Serving does: {error}") from error
        return {name: as_row(name, value) for name, value in outputs.items()}

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()

    def _error(self, code: Any, details: str) -> Exception:
        url, details = self._address.shown_url, one_line(details)
        if "larger than max" in details:  # RESOURCE_EXHAUSTED, which would otherwise be a queue that empties
            return ServingError(f"a message was too large: {details}")
        if code == grpc.StatusCode.DEADLINE_EXCEEDED:
            return TransientError(f"no answer from {url} within {self._address.timeout_seconds:g} s")
        if code == grpc.StatusCode.UNAVAILABLE and any(words in details for words in _NOBODY_THERE):
            return UnreachableError(f"{url} is not reachable: {details}")
        if code in _TRANSIENT:
            return TransientError(f"{url} answered {code.name}: {details}")
        if code == grpc.StatusCode.UNIMPLEMENTED:
            return UnusableServerError(f"{url} has no PredictionService; is it TensorFlow Serving's gRPC port?")
        return refusal(self._address, f"{code.name}: {details}", unknown_model=code == grpc.StatusCode.NOT_FOUND)
