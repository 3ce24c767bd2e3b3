"""What TF Serving needs beside the models: which they are, how it batches, a compose file that starts it, warm-up requests."""

import re
from pathlib import Path

from keras_model.prediction.finding import newest_version
from keras_model.run_folder import FrontEnd
from tfrecords.whole_file import write_whole

MODELS_FILE = "models.config"
BATCHING_FILE = "batching.config"
COMPOSE_FILE = "compose.yaml"
WARM_UP_FILE = "tf_serving_warmup_requests"

_MOUNTED = "/models"
# What TF Serving's address of a model can hold, but for a number, which would be taken for a version.
_NAME = re.compile(r"(?!\d+$)[A-Za-z0-9][A-Za-z0-9._-]*")

# A request of more rows than a batch may have is refused: the log-mels of eight tracks must fit. As many batches are run at once
# as there are cores; what comes meanwhile waits in a queue, which bounds the memory. Waveforms of several lengths in one batch
# are padded, which their `n_samples` tells of.
_BATCHING = """\
max_batch_size { value: 512 }
batch_timeout_micros { value: 2000 }
max_enqueued_batches { value: 100 }
pad_variable_length_inputs: true
"""

# Over REST the server gives up after 30 s by itself, before the client does (--timeout), and the client would try again. gRPC's
# threads only wait in the queue; it refuses requests that find none.
_COMPOSE = f"""\
# docker compose up: gRPC on port 8500, REST on port 8501. New versions and models are found within a minute.
services:
  serving:
    image: tensorflow/serving:${{TF_SERVING_VERSION:-latest}}
    command:
      - --model_config_file={_MOUNTED}/{MODELS_FILE}
      - --model_config_file_poll_wait_seconds=60
      - --enable_batching=true
      - --batching_parameters_file={_MOUNTED}/{BATCHING_FILE}
      - --rest_api_timeout_in_ms=120000
      - --grpc_max_threads=64
    ports: ["127.0.0.1:8500:8500", "127.0.0.1:8501:8501"]
    volumes: [".:{_MOUNTED}:ro"]
    restart: unless-stopped
"""


def write_serving_files(folder: Path) -> None:
    """Writes `models.config`, which names a folder's models (`<name>/<version>/`), and the other two where they are missing."""
    names = sorted(path.name for path in folder.iterdir() if is_model_name(path.name) and newest_version(path))
    models = "".join(
        f'  config {{ name: "{name}" base_path: "{_MOUNTED}/{name}" model_platform: "tensorflow" }}\n' for name in names
    )
    write_whole(folder / MODELS_FILE, f"model_config_list {{\n{models}}}\n".encode())
    for name, text in ((BATCHING_FILE, _BATCHING), (COMPOSE_FILE, _COMPOSE)):
        if not (folder / name).exists():  # a user may have changed them
            write_whole(folder / name, text.encode())


def write_warm_up(folder: Path, front_end: FrontEnd, *, name: str) -> None:
    """Writes a request for each signature into a version's `assets.extra`; `name` is the model's.

    TF Serving sends them before it takes others, for a graph's first answer takes seconds.
    """
    import numpy as np  # the command line asks for names before any of these is loaded
    import tensorflow as tf
    from tensorflow_serving.apis import classification_pb2, predict_pb2, prediction_log_pb2

    from keras_model.serving.export_check import check_tracks, wav_bytes
    from keras_model.serving.served_model import CLASSIFY_SIGNATURE
    from tfrecords.records.schema import LOG_MEL

    spec = front_end.spec
    waveform = check_tracks(spec, sample_rate=spec.sample_rate)[0]
    requests = {
        "serving_default": {"log_mel": np.zeros((1, *spec.shape), np.float32)},
        "classify_waveform": {
            "waveform": waveform[np.newaxis],
            "n_samples": np.array([len(waveform)], np.int32),
            "sample_rate": np.array([spec.sample_rate], np.int32),
        },
        "classify_audio": {"audio": np.array([wav_bytes(waveform, spec.sample_rate)])},
    }
    logs = []
    for signature, inputs in requests.items():
        predict = predict_pb2.PredictRequest(inputs={key: tf.make_tensor_proto(value) for key, value in inputs.items()})
        predict.model_spec.name, predict.model_spec.signature_name = name, signature
        logs.append(prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=predict)))
    classify = classification_pb2.ClassificationRequest()
    classify.model_spec.name, classify.model_spec.signature_name = name, CLASSIFY_SIGNATURE
    example = classify.input.example_list.examples.add()
    example.features.feature[LOG_MEL].float_list.value.extend(np.zeros(spec.n_mels * spec.n_frames))
    logs.append(prediction_log_pb2.PredictionLog(classify_log=prediction_log_pb2.ClassifyLog(request=classify)))
    with tf.io.TFRecordWriter(str(folder / WARM_UP_FILE)) as writer:
        for log in logs:
            writer.write(log.SerializeToString())


def is_model_name(name: str) -> bool:
    """Whether TF Serving can serve a model of this name, and its folder can lie beside the files above."""
    return bool(_NAME.fullmatch(name)) and name not in (MODELS_FILE, BATCHING_FILE, COMPOSE_FILE)
