"""A network to predict with, in one line."""

from pathlib import Path

from keras_model import hub
from keras_model.prediction.model import Predictor
from keras_model.prediction.runtimes import check_hearable
from keras_model.quiet import spare_gpu_memory
from keras_model.run_folder import FRONT_END_FILE, FrontEnd
from tfrecords.command_line.extras import extras_named
from tfrecords.errors import UsageError, first_line


@extras_named()
def load(path: str | Path | None = None) -> Predictor:
    """A finished run's network, an exported one, one on the Hugging Face Hub, or the one that ships.

    Args:
        path: Folder of a run, of an export, of a model's versions or of a version; an ONNX or LiteRT file, which needs no
            TensorFlow; `hf://OWNER/NAME`, where `export` put it; None for the network that ships.

    Raises:
        UsageError: If there is no exported model, or it is damaged; if weights of the network that ships are not on this machine,
            with the command that fetches them; or if TensorFlow, or the file's runtime, is not installed.
    """
    spare_gpu_memory()
    if isinstance(path, str) and path.startswith(hub.PREFIX):
        return _from_hub(path)
    return Predictor.shipped() if path is None else Predictor.load(Path(path))


def _from_hub(address: str) -> Predictor:
    """By Keras, which makes stock layers alone of a stranger's file, and runs no code that is in it."""
    folder = hub.fetch(address)
    from keras_model.networks.classifiers import load_model

    try:
        front_end = FrontEnd.from_json((folder / FRONT_END_FILE).read_text(encoding="utf-8"))
        check_hearable(front_end)
        model = load_model(folder)
    except Exception as error:  # Keras has errors of every kind for what a stranger wrote
        raise UsageError(f"{address} holds no network that this project exported: {first_line(error)}") from error
    shapes = (None, *front_end.spec.shape, 1), (None, len(front_end.genres))
    if (model.input_shape, model.output_shape) != shapes:
        raise UsageError(f"{address} holds a network that does not fit its {FRONT_END_FILE}")
    return Predictor.of_network(model, front_end)
