"""The files that an export ships for TensorFlow Serving, read as it would read them, and run by the server on loopback."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from tests.serving_batches import Batching
from tests.serving_core import load_servable
from tests.serving_server import ServingServer, serving

# Of tensorflow_model_server 2.10, the oldest that the graph runs in: it ends at a flag that it does not know.
_FLAGS = {
    "model_config_file",
    "model_config_file_poll_wait_seconds",
    "enable_batching",
    "batching_parameters_file",
    "rest_api_timeout_in_ms",
    "rest_api_num_threads",
    "grpc_max_threads",
}


@contextmanager
def served_as_shipped(folder: Path) -> Iterator[ServingServer]:
    """Serves an export folder's one model as its compose file says; `rest_url` and `grpc_url` say where."""
    compose = (folder / "compose.yaml").read_text()
    flags = dict(re.findall(r"^ +- --(\w+)=(.*)$", compose, re.MULTILINE))
    assert flags.keys() <= _FLAGS

    def mounted(path: str) -> Path:
        return folder / PurePosixPath(path).relative_to("/models")

    config = text_format.Parse(mounted(flags["model_config_file"]).read_text(), model_server_config_pb2.ModelServerConfig())
    (model,) = config.model_config_list.config
    servable = load_servable(mounted(model.base_path), name=model.name)
    batching = Batching.read(mounted(flags["batching_parameters_file"])) if flags["enable_batching"] == "true" else None
    with serving(servable, batching=batching, rest_seconds=int(flags["rest_api_timeout_in_ms"]) / 1000) as server:
        yield server
