"""Requests that TF Serving sends a version before it takes others: the first answer of a graph takes seconds."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2, predict_pb2, prediction_log_pb2

from keras_model.front_end import FrontEnd
from keras_model.serving.check_signals import check_tracks, wav_bytes
from keras_model.serving.served_model import CLASSIFY_SIGNATURE
from tfrecords.schema import LOG_MEL

WARM_UP_FILE = "tf_serving_warmup_requests"


def write_warm_up(folder: Path, front_end: FrontEnd, *, name: str) -> None:
    """Writes a request for each signature.

    Args:
        folder: `assets.extra` of the version.
        front_end: Of the model.
        name: Of the model.
    """
    spec = front_end.spec
    waveform = check_tracks(spec)[0]
    requests = {
        "serving_default": {"log_mel": np.zeros((1, *spec.shape), np.float32)},
        "classify_waveform": {
            "waveform": waveform[np.newaxis],
            "n_samples": np.array([len(waveform)], np.int32),
            "sample_rate": np.array([spec.sample_rate], np.int32),
        },
        "classify_audio": {"audio": np.array([wav_bytes(waveform, spec.sample_rate)])},
    }
    with tf.io.TFRecordWriter(str(folder / WARM_UP_FILE)) as writer:
        for signature, inputs in requests.items():
            predict = predict_pb2.PredictRequest()
            predict.model_spec.name, predict.model_spec.signature_name = name, signature
            for key, value in inputs.items():
                predict.inputs[key].CopyFrom(tf.make_tensor_proto(value))
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=predict))
            writer.write(log.SerializeToString())
        classify = classification_pb2.ClassificationRequest()
        classify.model_spec.name, classify.model_spec.signature_name = name, CLASSIFY_SIGNATURE
        example = classify.input.example_list.examples.add()
        example.features.feature[LOG_MEL].float_list.value.extend(np.zeros(spec.n_mels * spec.n_frames))
        log = prediction_log_pb2.PredictionLog(classify_log=prediction_log_pb2.ClassifyLog(request=classify))
        writer.write(log.SerializeToString())
