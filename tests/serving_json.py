"""TensorFlow Serving's REST: paths, and JSON to tensors and back, by the rules of its `util/json_tensor.cc`."""

import base64
import json
import re
from typing import Any
from urllib.parse import unquote

import numpy as np
import tensorflow as tf
from google.protobuf.wrappers_pb2 import Int64Value
from tensorflow_serving.apis import model_pb2

from tests.serving_batches import Arrays, invalid
from tests.serving_core import DEFAULT_SIGNATURE, Servable

_PATH = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?(?::(classify|predict))?", re.IGNORECASE)


def answer_json(servable: Servable, method: str, path: str, body: bytes) -> Any:
    """The JSON that answers a request.

    Raises:
        RefusedError: If the server refuses it.
    """
    match = _PATH.fullmatch(path)
    if match is None or (method == "POST") != bool(match[3]):
        raise invalid(f"Malformed request: {method} {path}")
    model_spec = model_pb2.ModelSpec(name=unquote(match[1]))
    if match[2]:
        model_spec.version.CopyFrom(Int64Value(value=int(match[2])))
    servable.model_spec(model_spec)
    if not match[3]:
        status = {"error_code": "OK", "error_message": ""}
        return {"model_version_status": [{"version": str(servable.version), "state": "AVAILABLE", "status": status}]}
    try:
        values = json.loads(body)
    except ValueError as error:
        raise invalid(f"JSON Parse error: {error}") from error
    if not isinstance(values, dict):
        raise invalid(f"JSON Value: {values} Is not object")
    signature_name = values.get("signature_name", "") or DEFAULT_SIGNATURE
    return (_classify if match[3].lower() == "classify" else _predict)(servable, signature_name, values)


def _classify(servable: Servable, signature_name: str, values: dict[str, Any]) -> Any:
    if not isinstance(values.get("examples"), list) or not values["examples"]:
        raise invalid("When method is classify, key 'examples' is expected and was not found")
    examples = []
    for features in values["examples"]:
        example = tf.train.Example()
        for name, value in features.items():
            _add_feature(example.features.feature[name], value if isinstance(value, list) else [value])
        examples.append(example.SerializeToString())
    classes, scores = servable.classify(signature_name, examples)
    rows = zip(classes, scores, strict=True)
    return {"results": [list(zip(map(_text, labels), numbers.tolist(), strict=True)) for labels, numbers in rows]}


def _add_feature(feature: Any, values: list[Any]) -> None:
    """Numbers with a decimal point become floats, others int64, strings and {"b64": …} bytes; a mixture is refused."""
    values = [base64.b64decode(value["b64"]) if isinstance(value, dict) else value for value in values]
    values = [value.encode() if isinstance(value, str) else value for value in values]
    kinds = {type(value) for value in values}
    lists = {float: feature.float_list, int: feature.int64_list, bytes: feature.bytes_list}
    if len(kinds) != 1 or not kinds <= set(lists):
        raise invalid(f"Unexpected element type in feature: {sorted(kind.__name__ for kind in kinds)}")
    lists[kinds.pop()].value.extend(values)


def _predict(servable: Servable, signature_name: str, values: dict[str, Any]) -> Any:
    if signature_name not in servable.signatures:
        raise invalid(f'Serving signature name: "{signature_name}" not found in signature def')
    infos = servable.signatures[signature_name].inputs
    if ("instances" in values) == ("inputs" in values):
        raise invalid("Missing 'inputs' or 'instances' key, or both")
    by_row = "instances" in values
    inputs = _row_inputs(values["instances"], infos) if by_row else _column_inputs(values["inputs"], infos)
    outputs = servable.predict(signature_name, inputs)
    plain = {name: _plain(value, as_bytes=name.endswith("_bytes")) for name, value in outputs.items()}
    if not by_row:
        return {"outputs": plain if len(plain) > 1 else next(iter(plain.values()))}
    if len({len(value) for value in outputs.values()}) != 1:
        raise invalid("Tensor name: has inconsistent batch size")
    if len(plain) == 1:
        return {"predictions": next(iter(plain.values()))}
    return {"predictions": [dict(zip(plain, row, strict=True)) for row in zip(*plain.values(), strict=True)]}


def _row_inputs(instances: Any, infos: Any) -> Arrays:
    if not isinstance(instances, list) or not instances:
        raise invalid("Expecting 'instances' to be an list/array")
    named = [isinstance(instance, dict) and set(instance) != {"b64"} for instance in instances]
    if len(set(named)) != 1 or (not named[0] and len(infos) > 1):
        raise invalid("instances is a plain list, but expecting list of objects as multiple input tensors required")
    rows = instances if named[0] else [{next(iter(infos)): instance} for instance in instances]
    for place, row in enumerate(rows):
        if set(row) != set(infos):
            raise invalid(
                f"Failed to process element: {place} of 'instances' list. keys must be equal to: {','.join(sorted(infos))}"
            )
    return {name: _tensor([row[name] for row in rows], info) for name, info in infos.items()}


def _column_inputs(inputs: Any, infos: Any) -> Arrays:
    columns = inputs if isinstance(inputs, dict) and set(inputs) != {"b64"} else {next(iter(infos)): inputs}
    for name in infos:
        if name not in columns:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    return {name: _tensor(columns[name], info) for name, info in infos.items()}


def _tensor(values: Any, info: Any) -> np.ndarray:
    dtype = tf.as_dtype(info.dtype).as_numpy_dtype
    try:
        return np.array(_decoded(values), dtype=dtype)
    except (TypeError, ValueError) as error:
        raise invalid(f"JSON Value is not of expected type: {tf.as_dtype(info.dtype).name} ({error})") from error


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if isinstance(value, dict):
        if set(value) != {"b64"}:
            raise invalid(f"JSON Value: {value} not formatted correctly for base64 data")
        return base64.b64decode(value["b64"])
    return value.encode() if isinstance(value, str) else value


def _plain(value: np.ndarray, *, as_bytes: bool) -> Any:
    """Lists of numbers and strings; floats with as many digits as single precision has."""
    if value.dtype == np.float32:
        value = np.array([float(str(number)) for number in value.ravel()]).reshape(value.shape)
    if value.dtype == object:
        write = (lambda item: {"b64": base64.b64encode(item).decode()}) if as_bytes else _text
        flat = [write(item) for item in value.ravel()]
        value = np.array([*flat, None], dtype=object)[:-1].reshape(value.shape)
    return value.tolist()


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
