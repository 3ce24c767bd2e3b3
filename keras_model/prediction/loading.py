"""A network to predict with, in one line."""

from pathlib import Path

from keras_model.prediction.model import Predictor
from tfrecords.extras import extras_named


@extras_named()
def load(path: str | Path | None = None) -> Predictor:
    """A finished run's network, an exported one, or the one that ships.

    Args:
        path: Folder of a run, of an export, of a model's versions or of a version, or an ONNX or LiteRT file, which needs no
            TensorFlow; None for the network that ships.

    Raises:
        UsageError: If there is no exported model, or it is damaged; if weights of the network that ships are not on this machine,
            with the command that fetches them; or if TensorFlow, or the file's runtime, is not installed.
    """
    return Predictor.shipped() if path is None else Predictor.load(Path(path))
