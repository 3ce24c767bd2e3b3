"""What the client makes of a served model's answer, whatever it holds."""

from typing import Any

import numpy as np
import pytest

from keras_model.serving_client.protocol import ServingError, UnusableServerError, answered_prediction, one_line

HOSTILE = "\x1b[2J\ud800"
HARMLESS = "\\x1b[2J\\ud800"


def answer(**changes: Any) -> dict[str, Any]:
    values = {
        "genres": ["a", HOSTILE],
        "chunk_probabilities": [[0.25, 0.75], [0.5, 0.5]],
        "chunk_start_seconds": [0.0, 0.5],
        "n_chunks": 2,
        "error": "",
    }
    return {name: np.array(value) for name, value in (values | changes).items()}


def test_genres_and_errors_are_fit_for_a_terminal() -> None:
    assert answered_prediction(answer(), seconds=1.5).genre == HARMLESS
    with pytest.raises(ServingError) as error:
        answered_prediction(answer(error=f"{HOSTILE}\nx"), seconds=1.5)
    assert str(error.value) == f"{HARMLESS} x"
    assert one_line(HOSTILE) == HARMLESS


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_chunks": np.nan}, "NaN"),
        ({"n_chunks": 0}, "at least one chunk"),
        ({"n_chunks": 3, "chunk_start_seconds": [0.0, 1.0, 2.0]}, "must have the shape"),
        ({"error": ["", ""]}, "size 1"),
    ],
)
def test_what_no_model_of_ours_answers(changes: Any, message: str) -> None:
    with pytest.raises(UnusableServerError, match=f"answers something else than train.py exports: .*{message}"):
        answered_prediction(answer(**changes), seconds=1.5)


def test_an_output_that_is_missing_is_named() -> None:
    outputs = answer()
    del outputs["chunk_probabilities"]
    with pytest.raises(UnusableServerError, match="has no output 'chunk_probabilities': not exported by this version"):
        answered_prediction(outputs, seconds=1.5)
