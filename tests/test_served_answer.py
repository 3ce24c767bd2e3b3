"""What the client makes of a served model's answer, whatever it holds."""

from typing import Any

import numpy as np
import pytest
from tensorflow_serving.apis import predict_pb2

from keras_model.serving_client.answer import answered_prediction
from keras_model.serving_client.grpc_messages import predict_outputs
from keras_model.serving_client.protocol import ServingError, UnusableServerError, one_line

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
    assert answered_prediction(answer(), seconds=None).genre == HARMLESS
    with pytest.raises(ServingError) as error:
        answered_prediction(answer(error=f"{HOSTILE}\nx"), seconds=None)
    assert str(error.value) == f"{HARMLESS} x"
    assert one_line(HOSTILE) == HARMLESS


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"chunk_probabilities": [[0.0, 1.01], [0.5, 0.5]]}, "do not lie in 0..1"),
        ({"chunk_probabilities": [[-0.1, 1.0], [0.5, 0.5]]}, "do not lie in 0..1"),
        ({"chunk_probabilities": [[np.nan, 1.0], [0.5, 0.5]]}, "do not lie in 0..1"),
        ({"n_chunks": np.inf}, "infinity"),
        ({"n_chunks": 3, "chunk_start_seconds": [0.0, 1.0, 2.0]}, "must have the shape"),
        ({"error": ["", ""]}, "size 1"),
    ],
)
def test_what_no_model_of_ours_answers(changes: Any, message: str) -> None:
    with pytest.raises(UnusableServerError, match=f"answers something else than train.py exports: .*{message}"):
        answered_prediction(answer(**changes), seconds=None)


def test_rounding_is_no_error() -> None:
    assert answered_prediction(answer(chunk_probabilities=[[0.0, 1.0001], [0.5, 0.5]]), seconds=None).n_chunks == 2


@pytest.mark.parametrize("sizes", [(10**12,), (2**40, 2**40), (-1,)])
def test_a_shape_that_no_answer_has_takes_no_memory(sizes: tuple[int, ...]) -> None:
    response = predict_pb2.PredictResponse()
    tensor = response.outputs["x"]
    tensor.dtype = 1
    tensor.float_val.append(0.5)  # which stands for all values
    for size in sizes:
        tensor.tensor_shape.dim.add(size=size)
    with pytest.raises(ValueError, match="output 'x' has the shape .*, which no answer has"):
        predict_outputs(response.SerializeToString())
