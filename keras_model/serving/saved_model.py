"""Saving and loading SavedModels."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorflow as tf

from keras_model.serving.served_model import CLASSIFY_SIGNATURE, ServedModel

_CLASSIFY_METHOD = "tensorflow/serving/classify"


@contextmanager
def _plain_path(path: Path) -> Iterator[str]:
    """Another path of a folder of any name: TensorFlow takes some for patterns, in which brackets and stars have a meaning."""
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / "model"
        link.symlink_to(path.resolve())
        yield str(link)


def save_served_model(served: ServedModel, path: Path) -> None:
    """Writes a SavedModel with all signatures; that for TF Serving's Classify API is named as such."""
    tf.saved_model.save(served, str(path), signatures=served.signatures())
    with _plain_path(path) as plain:
        updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(plain)
        updater.replace_method_name(signature_key=CLASSIFY_SIGNATURE, method_name=_CLASSIFY_METHOD, tags=["serve"])
        updater.save()


def load_saved_model(path: Path) -> Any:
    """Loads a SavedModel from a folder of any name."""
    with _plain_path(path) as plain:
        return tf.saved_model.load(plain)
