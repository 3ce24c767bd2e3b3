"""What TensorFlow Serving does with a SavedModel: which requests it takes, how it merges them, with which status it refuses.

The rules, and the words of the messages, are those of TensorFlow Serving's sources: `servables/tensorflow/predict_util.cc` and
`classifier.cc`, `batching/batching_session.cc` and `batching_util.cc`, `core/basic_manager.cc`. As there, the graph runs in a
session that knows no Python: tensors are fed and fetched by the names that `saved_model.pb` gives them.
"""

import functools
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf.wrappers_pb2 import Int64Value
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import model_pb2

from tests.serving_batches import Arrays, Batcher, RefusedError, invalid

DEFAULT_SIGNATURE = "serving_default"
_METHODS = {f"tensorflow/serving/{name}" for name in ("predict", "classify", "regress")}
_CLASSIFY = "tensorflow/serving/classify"
# gRPC and TensorFlow number their statuses alike.
STATUS_OF_NUMBER = {status.value[0]: status for status in grpc.StatusCode}


class Servable:
    """The newest version in a model's folder, loaded as the server loads it.

    Attributes:
        name, version: Of the model.
        signatures: SignatureDef messages by name.
        batcher: None where the server runs without batching.
    """

    def __init__(self, folder: Path, *, name: str = "genres") -> None:
        self.name = name
        self.version = max(int(path.name) for path in folder.iterdir() if path.name.isdecimal())
        path = folder / str(self.version)
        saved_model = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
        self.signatures: dict[str, Any] = dict(saved_model.meta_graphs[0].signature_def)
        with tf.Graph().as_default() as graph:
            self._session = tf.compat.v1.Session(graph=graph)
            tf.compat.v1.saved_model.loader.load(self._session, ["serve"], str(path))
        self.batcher: Batcher | None = None

    def model_spec(self, asked: Any, signature: str = "") -> model_pb2.ModelSpec:
        """Which model answers a request for a ModelSpec."""
        if not asked.name:
            raise invalid("Missing ModelSpec" if not asked.ByteSize() else "ModelSpec has no name specified.")
        version = asked.version.value if asked.HasField("version") else None
        if asked.name != self.name or version not in (None, self.version):
            request = f"Latest({asked.name})" if version is None else f"Specific({asked.name}, {version})"
            raise RefusedError(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {request}")
        return model_pb2.ModelSpec(name=self.name, version=Int64Value(value=self.version), signature_name=signature)

    def predict(self, signature_name: str, inputs: Arrays, output_filter: tuple[str, ...] = ()) -> Arrays:
        """The Predict method, for a signature of any method."""
        signature = self.signatures.get(signature_name)
        if signature is None or signature_name == "__saved_model_init_op":
            message = f'Serving signature key "{signature_name}" not found.'
            raise RefusedError(grpc.StatusCode.FAILED_PRECONDITION, message)
        if signature.method_name not in _METHODS:
            message = f"Expected prediction signature method_name to be one of {_METHODS}. Was: {signature.method_name}"
            raise RefusedError(grpc.StatusCode.INTERNAL, message)
        sent, needed = set(inputs), set(signature.inputs)
        if sent != needed:
            raise invalid(
                f"input size does not match signature: {len(sent)}!={len(needed)}. Sent extra: {sorted(sent - needed)}. "
                f"Missing but required: {sorted(needed - sent)}."
            )
        for alias in output_filter:
            if alias not in signature.outputs:
                outputs = sorted(signature.outputs)
                raise invalid(f"output tensor alias not found in signature: {alias} Outputs expected to be in the set {outputs}.")
        return self._run(signature_name, inputs, output_filter)

    def classify(self, signature_name: str, examples: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
        """The Classify method: `classes` and `scores`, both (n_examples, n_classes)."""
        signature = self.signatures.get(signature_name)
        if signature is None:
            raise invalid(f"No signature was found with the name: {signature_name}")
        if signature.method_name != _CLASSIFY:
            raise invalid(f"Expected classification signature method_name to be {_CLASSIFY}. Was: {signature.method_name}")
        if len(signature.inputs) != 1:
            raise invalid("Expected one input Tensor.")
        if len(signature.outputs) not in (1, 2):
            raise invalid(f"Expected one or two output Tensors, found {len(signature.outputs)}")
        if "inputs" not in signature.inputs:
            raise invalid("No classification inputs found in SignatureDef")
        if not {"classes", "scores"} & set(signature.outputs):
            raise invalid('Expected classification signature outputs to contain at least one of "classes" or "scores".')
        if not examples:
            raise invalid("Input is empty.")
        outputs = self._run(signature_name, {"inputs": np.array(examples, dtype=object)})
        classes, scores = outputs.get("classes"), outputs.get("scores")
        for name, value, kind in (("classes", classes, object), ("scores", scores, np.float32)):
            if value is None:
                continue
            if value.ndim != 2 or len(value) != len(examples):
                raise invalid(f"Expected Tensor shape: [batch_size num_classes] but got {value.shape}")
            if value.dtype != kind:
                raise invalid(f"Expected {name} Tensor of {kind}. Got: {value.dtype}")
        if classes is not None and scores is not None and classes.shape != scores.shape:
            raise invalid(f"Tensors class and score should match in dim_size(1). Got {classes.shape} vs. {scores.shape}")
        if classes is None:
            classes = np.full_like(scores, b"", dtype=object)
        return classes, np.zeros(classes.shape) if scores is None else scores

    def _run(self, signature_name: str, inputs: Arrays, output_filter: tuple[str, ...] = ()) -> Arrays:
        signature = self.signatures[signature_name]
        outputs = {name: signature.outputs[name].name for name in output_filter or signature.outputs}

        def run(feeds: Arrays) -> Arrays:
            try:
                return self._session.run(outputs, {signature.inputs[name].name: value for name, value in feeds.items()})
            except tf.errors.OpError as error:
                raise RefusedError(STATUS_OF_NUMBER[error.error_code], error.message) from error
            except (TypeError, ValueError) as error:  # what the session's Python side looks at before the native one does
                raise invalid(str(error)) from error

        for name, value in inputs.items():
            expected = tf.as_dtype(signature.inputs[name].dtype)
            if tf.as_dtype(value.dtype) != expected:
                raise invalid(f"Expects arg {name} to be {expected.name} but {tf.as_dtype(value.dtype).name} is provided")
        # Requests for some of the outputs match no signature of the batcher, and run alone.
        if self.batcher is None or output_filter:
            return run(inputs)
        return self.batcher.run(run, inputs, signature=signature_name)


# For tests that change nothing of it that lasts: loading takes seconds.
load_servable = functools.cache(Servable)
