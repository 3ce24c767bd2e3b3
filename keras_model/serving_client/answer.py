"""What a served model answers for a file, as a prediction."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_model.printable_text import printable
from keras_model.serving_client.protocol import SIGNATURE, ServingError, UnusableServerError, one_line
from keras_model.track_prediction import Prediction

# What rounding may add to a probability.
_TOLERANCE = 1e-3
_OUTPUTS = ("chunk_probabilities", "chunk_start_seconds", "error", "genres", "n_chunks")


def answered_prediction(outputs: Mapping[str, NDArray[Any]], *, seconds: float | None) -> Prediction:
    """A file's prediction, decided from its chunks as everywhere else.

    Args:
        outputs: Of signature `classify_audio`, without the batch's dimension: `genres` (n_genres,); `n_chunks` (); `error` ();
            `chunk_probabilities` (longest, n_genres) and `chunk_start_seconds` (longest,), filled up beyond n_chunks where the
            server answered for several files at once.
        seconds: Duration of the file; None where it is not known.

    Raises:
        ServingError: If the model could not classify the file; in its words.
        UnusableServerError: If these are not the outputs of a model that train.py exported.
    """
    if missing := sorted(set(_OUTPUTS) - set(outputs)):
        raise UnusableServerError(
            f"the model's {SIGNATURE} has no output {', '.join(missing)}: it was not exported by this version"
        )
    try:
        if reason := _text(outputs["error"]):
            raise ServingError(one_line(reason))
        n_chunks = int(outputs["n_chunks"])
        probabilities = outputs["chunk_probabilities"][:n_chunks].astype(np.float32)
        starts = outputs["chunk_start_seconds"][:n_chunks].astype(np.float64)
        if not ((probabilities >= -_TOLERANCE) & (probabilities <= 1 + _TOLERANCE)).all():  # nor is NaN
            raise ValueError("probabilities that do not lie in 0..1")
        return Prediction.from_chunks([printable(_text(genre)) for genre in outputs["genres"]], probabilities, starts, seconds)
    except (IndexError, TypeError, ValueError, OverflowError) as error:
        raise UnusableServerError(f"the model's {SIGNATURE} answers something else than train.py exports: {error}") from error


def _text(value: Any) -> str:
    """A string of an answer: JSON's are str, those of gRPC bytes."""
    item = value.item() if isinstance(value, np.ndarray | np.generic) else value
    return item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)
