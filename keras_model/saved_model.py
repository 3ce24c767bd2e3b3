"""Loading a SavedModel."""

import tempfile
from pathlib import Path
from typing import Any

import tensorflow as tf


def load_saved_model(path: Path) -> Any:
    """Loads a SavedModel from a folder of any name.

    TensorFlow takes the path of the variables for a pattern, in which brackets and stars have a meaning; hence the link.
    """
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / "model"
        link.symlink_to(path.resolve())
        return tf.saved_model.load(str(link))
