"""A network converted to ONNX and to LiteRT (TensorFlow Lite), and the runtimes of the two; all of it in memory."""

import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from keras_model.front_end import FrontEnd
from keras_model.run_folder import FRONT_END_FILE

# Log-mels (batch, n_mels, n_frames) float32 to probabilities (batch, n_genres) float32.
Classify = Callable[[NDArray[np.float32]], NDArray[np.float32]]

INPUT, OUTPUT = "log_mel", "probabilities"
GENRES_FILE = "genres.txt"
# Of 2022: in every runtime of the last years, and more than the networks need.
_OPSET = 18
_SIGNATURE = "serving_default"


def to_onnx(model: keras.Model, front_end: FrontEnd) -> bytes:
    """The network as an ONNX file.

    Its metadata has the front end as JSON under "front_end" and the list of genres as JSON under "genres".

    Args:
        model: From (batch, n_mels, n_frames, 1) to probabilities (batch, n_genres).
        front_end: Of the dataset that the network was trained on.
    """
    import onnx
    import tf2onnx

    classify = _frozen(model, front_end.spec.shape).classify
    proto, _ = tf2onnx.convert.from_function(classify, input_signature=classify.input_signature, opset=_OPSET)
    proto.graph.name = model.name  # otherwise that of a function, with its number in this process
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"  # a number of tf2onnx's otherwise, and not the same one
    onnx.helper.set_model_props(proto, {"front_end": front_end.to_json(), "genres": json.dumps(front_end.genres)})
    onnx.checker.check_model(proto, full_check=True)
    return proto.SerializeToString(deterministic=True)


def to_litert(model: keras.Model, front_end: FrontEnd) -> bytes:
    """The network as a LiteRT file.

    The front end as JSON and the genres, one a line, are appended as a ZIP archive, which is where TensorFlow Lite's metadata has
    the files that go with a model: interpreters pass over it, `unzip` and Python's zipfile read it without the model's schema.

    Args:
        model: From (batch, n_mels, n_frames, 1) to probabilities (batch, n_genres).
        front_end: Of the dataset that the network was trained on.
    """
    network = _frozen(model, front_end.spec.shape)
    # By way of a SavedModel, as only that keeps the names of input and output. Gradients have no part in it, and those of
    # keras_model.networks.convolution cannot be saved apart from their layer.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(network, folder, signatures={_SIGNATURE: network.classify}, options=options)
        converted = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[_SIGNATURE]).convert()
    file = io.BytesIO()
    file.write(converted)
    with zipfile.ZipFile(file, "a") as archive:
        for name, text in ((FRONT_END_FILE, front_end.to_json()), (GENRES_FILE, "\n".join(front_end.genres) + "\n")):
            archive.writestr(zipfile.ZipInfo(name), text)  # with a fixed date: the same model is the same bytes
    return file.getvalue()


def run_onnx(data: bytes) -> Classify:
    """An ONNX file in ONNX Runtime, on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return lambda log_mel: session.run([OUTPUT], {INPUT: log_mel})[0]


def run_litert(data: bytes) -> Classify:
    """A LiteRT file in LiteRT's interpreter, on the CPU."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_content=data).get_signature_runner(_SIGNATURE)
    return lambda log_mel: runner(**{INPUT: log_mel})[OUTPUT]


def _frozen(model: keras.Model, shape: tuple[int, int]) -> Any:
    """The network as a module whose `classify` has its weights as constants.

    Otherwise tf2onnx makes inputs of what is no variable, such as a standardisation's mean, and LiteRT's converter leaves the
    variables empty.
    """
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    signature = [tf.TensorSpec((None, *shape), tf.float32, name=INPUT)]
    network = tf.function(lambda log_mel: model(log_mel[..., tf.newaxis], training=False), input_signature=signature)
    with tf.device("CPU:0"):  # on a GPU the constants would be placed there, whatever the file is run on
        constant = convert_variables_to_constants_v2(
            network.get_concrete_function(), lower_control_flow=False, aggressive_inlining=True
        )
    module = tf.Module()
    module.classify = tf.function(lambda log_mel: {OUTPUT: constant(log_mel)[0]}, input_signature=signature)
    return module
