"""A served model over gRPC: TensorFlow Serving's PredictionService, whose messages come with TensorFlow."""

from typing import Any
from urllib.parse import urlsplit

import grpc
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from keras_model.serving_client.protocol import (
    CONNECT_SECONDS,
    SIGNATURE,
    Address,
    Outputs,
    ServingError,
    TransientError,
    UnreachableError,
    UnusableServerError,
    one_line,
    refusal,
)

_DEFAULT_PORT = 8500
_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),  # gRPC's own limit is 4 MiB
    # After a failed connection gRPC refuses requests for a second and more without trying; when to try is decided here.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", round(CONNECT_SECONDS * 1000)),  # which is how long one attempt to connect may take
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.enable_retries", 0),
)
_TRANSIENT = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
# UNAVAILABLE is said both by a server whose queue is full and by the client's own side where nobody is there: in these words.
_NOBODY_THERE = ("failed to connect", "DNS resolution failed", "errors resolving")


class GrpcServer:
    """A model at an address."""

    def __init__(self, address: Address) -> None:
        self._address = address
        parts = urlsplit(address.url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        self._channel = grpc.insecure_channel(f"{host}:{parts.port or _DEFAULT_PORT}", options=_OPTIONS)
        self._service = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def ask(self, waveforms: NDArray[np.float32], n_samples: NDArray[np.int32], sample_rate: int) -> Outputs:
        """As of `RestServer`; strings are bytes."""
        address = self._address
        # All outputs are asked for: a server that batches does so by signature, and would run a request for some of them alone.
        rates = np.full(len(waveforms), sample_rate, np.int32)
        inputs = {"waveform": waveforms, "n_samples": n_samples, "sample_rate": rates}
        request = predict_pb2.PredictRequest(inputs={name: tf.make_tensor_proto(value) for name, value in inputs.items()})
        request.model_spec.name, request.model_spec.signature_name = address.model, SIGNATURE
        if address.version is not None:
            request.model_spec.version.value = address.version
        try:
            response = self._service.Predict(request, timeout=address.timeout_seconds)
            return {name: tf.make_ndarray(value) for name, value in response.outputs.items()}
        except grpc.RpcError as error:
            raise self._error(error.code(), error.details() or "") from error
        except (ValueError, TypeError, IndexError) as error:
            raise UnusableServerError(f"{address.shown_url} does not answer as TensorFlow Serving does: {error}") from error

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
