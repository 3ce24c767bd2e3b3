"""The messages of TensorFlow Serving's Predict method, built from the protobuf library alone.

`tensorflow-serving-api` has them too, but imports TensorFlow with them: seconds and half a gigabyte, for a client that sends a
file and reads a few numbers. The wire format is defined by field numbers and types (tensorflow_serving/apis/predict.proto and
model.proto, tensorflow/core/framework/tensor.proto), and so are the messages here; fields that no client needs are left out.
"""

import math
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from numpy.typing import NDArray

from keras_model.serving_client.protocol import MAX_ANSWER_BYTES

PREDICT_METHOD = "/tensorflow.serving.PredictionService/Predict"

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "gtzan_genres.serving"
_REPEATED = "repeated "
# Message → field → (number, type). A map is, on the wire, a repeated message of a key and a value.
_MESSAGES = {
    "Version": {"value": (1, "int64")},
    "ModelSpec": {"name": (1, "string"), "version": (2, "Version"), "signature_name": (3, "string")},
    "Dim": {"size": (1, "int64")},
    "TensorShape": {"dim": (2, "repeated Dim")},
    "Tensor": {
        "dtype": (1, "int32"),
        "tensor_shape": (2, "TensorShape"),
        "tensor_content": (4, "bytes"),
        "float_val": (5, "repeated float"),
        "int_val": (7, "repeated int32"),
        "string_val": (8, "repeated bytes"),
        "int64_val": (10, "repeated int64"),
    },
    "NamedTensor": {"key": (1, "string"), "value": (2, "Tensor")},
    "PredictRequest": {"model_spec": (1, "ModelSpec"), "inputs": (2, "repeated NamedTensor")},
    "PredictResponse": {"outputs": (1, "repeated NamedTensor")},
}
# DataType of tensorflow/core/framework/types.proto → dtype and the field that holds its values.
_DT_STRING = 7
_DTYPES: dict[int, tuple[Any, str]] = {
    1: (np.dtype("<f4"), "float_val"),
    3: (np.dtype("<i4"), "int_val"),
    _DT_STRING: (np.dtype(object), "string_val"),
    9: (np.dtype("<i8"), "int64_val"),
}


def _message_classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="gtzan_genres/serving.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, (number, kind) in fields.items():
            label = _Field.LABEL_REPEATED if kind.startswith(_REPEATED) else _Field.LABEL_OPTIONAL
            field = message.field.add(name=field_name, number=number, label=label)
            kind = kind.removeprefix(_REPEATED)
            if kind in _MESSAGES:
                field.type, field.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                field.type = _Field.Type.Value(f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _MESSAGES}


_CLASSES = _message_classes()


def predict_request(*, model: str, version: int | None, signature: str, name: str, data: bytes) -> bytes:
    """Serialises a PredictRequest with one input, a string tensor of shape (1,), that holds `data`.

    It asks for all outputs: a server that batches does so by signature, and would run a request for some of them alone.
    """
    request = _CLASSES["PredictRequest"]()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    named = request.inputs.add(key=name)
    named.value.dtype = _DT_STRING
    named.value.tensor_shape.dim.add(size=1)
    named.value.string_val.append(data)
    serialized: bytes = request.SerializeToString()
    return serialized


def predict_outputs(serialized: bytes) -> dict[str, NDArray[Any]]:
    """The outputs of a PredictResponse by name; strings as bytes in arrays of objects.

    Raises:
        ValueError: If a tensor is of another type than float, int32, int64 or string, its values do not fill its shape, or
            that is larger than any answer.
        google.protobuf.message.DecodeError: If the bytes are no such message.
    """
    response = _CLASSES["PredictResponse"].FromString(serialized)
    return {named.key: _array(named.key, named.value) for named in response.outputs}


def _array(name: str, tensor: Any) -> NDArray[Any]:
    if tensor.dtype not in _DTYPES:
        raise ValueError(f"output {name!r} has the type {tensor.dtype}, expected one of {list(_DTYPES)} of types.proto")
    dtype, field = _DTYPES[tensor.dtype]
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    n_values = math.prod(shape)
    if min(shape, default=0) < 0 or n_values * dtype.itemsize > MAX_ANSWER_BYTES:  # a few bytes may announce any size
        raise ValueError(f"output {name!r} has the shape {shape}, which no answer has")
    if tensor.tensor_content:
        return np.frombuffer(tensor.tensor_content, dtype=dtype).reshape(shape)
    values = np.array(list(getattr(tensor, field)), dtype=dtype)
    if 0 < len(values) < n_values:  # the last value stands for the rest
        values = np.concatenate([values, np.full(n_values - len(values), values[-1], dtype=dtype)])
    return values.reshape(shape)
