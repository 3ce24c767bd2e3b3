"""What TF Serving needs beside the models: which they are, how it batches, and a compose file that starts it."""

import re
from pathlib import Path

from keras_model.run_folder import write_whole

MODELS_FILE = "models.config"
BATCHING_FILE = "batching.config"
COMPOSE_FILE = "compose.yaml"

_MOUNTED = "/models"
# What TF Serving's address of a model can hold, but for a number, which would be taken for a version.
_NAME = re.compile(r"(?!\d+$)[A-Za-z0-9][A-Za-z0-9._-]*")

# The items of a batch are answered together: a track waits for those beside it, so a batch is small. Waveforms of several lengths
# in one batch are padded, which their `n_samples` tells of.
_BATCHING = """\
max_batch_size { value: 8 }
batch_timeout_micros { value: 2000 }
max_enqueued_batches { value: 100 }
pad_variable_length_inputs: true
"""

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
    ports: ["127.0.0.1:8500:8500", "127.0.0.1:8501:8501"]
    volumes: [".:{_MOUNTED}:ro"]
    restart: unless-stopped
"""


def write_serving_files(folder: Path) -> None:
    """Writes `models.config`, which names all models of a folder, and the other two where they are missing.

    Args:
        folder: Holds the models, `<name>/<version>/`.
    """
    names = sorted(path.name for path in folder.iterdir() if is_model_name(path.name) and _has_version(path))
    models = "".join(
        f'  config {{ name: "{name}" base_path: "{_MOUNTED}/{name}" model_platform: "tensorflow" }}\n' for name in names
    )
    write_whole(folder / MODELS_FILE, f"model_config_list {{\n{models}}}\n".encode())
    for name, text in ((BATCHING_FILE, _BATCHING), (COMPOSE_FILE, _COMPOSE)):
        if not (folder / name).exists():  # a user may have changed them
            write_whole(folder / name, text.encode())


def is_model_name(name: str) -> bool:
    """Whether TF Serving can serve a model of this name, and its folder can lie beside the files above."""
    return bool(_NAME.fullmatch(name)) and name not in (MODELS_FILE, BATCHING_FILE, COMPOSE_FILE)


def _has_version(folder: Path) -> bool:
    return folder.is_dir() and any(path.name.isdecimal() and (path / "saved_model.pb").is_file() for path in folder.iterdir())
