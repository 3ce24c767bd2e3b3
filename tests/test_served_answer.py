"""What the client makes of a served model's answer, whatever it holds."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from keras_model.prediction.track import Prediction
from keras_model.run_folder import FrontEnd
from keras_model.serving_client.protocol import ServingError, UnusableServerError, one_line
from keras_model.serving_client.remote_predictor import RemotePredictor
from tests.conftest import synthetic_track
from tests.served import wav
from tfrecords.audio import as_file
from tfrecords.dataset.corpus import CorpusInfo
from tfrecords.front_end.log_mel_spec import LogMelSpec

HOSTILE = "\x1b[2J\ud800"
HARMLESS = "\\x1b[2J\\ud800"
FRONT_END = FrontEnd(spec=LogMelSpec(), genres=("a", HOSTILE), corpus=CorpusInfo(name="a corpus"), fingerprint="0")
# What is asked first, and a track of two chunks.
NOTHING = {"error": ["too short"], "n_chunks": [0], "chunk_probabilities": np.zeros((1, 0, 2))}
ANSWER = {"error": [""], "n_chunks": [2], "chunk_probabilities": [[[0.25, 0.75], [0.5, 0.5], [0.0, 0.0]]]}


def description(**changes: Any) -> str:
    return json.dumps(asdict(FRONT_END) | {"chunks": None} | changes)


class Server:
    """Answers in turn; the answers are of no server, but what one may send."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)

    def ask(self, *_: Any) -> dict[str, Any]:
        return {name: np.array(value) for name, value in self.answers.pop(0).items()}


def predicted(*answers: dict[str, Any]) -> Prediction:
    with as_file(wav(synthetic_track("noise", 1, seconds=1.5))) as file:
        return RemotePredictor(Server(*answers), n_retries=0).predict(file)


def answered(text: str | None = None, **changes: Any) -> Prediction:
    about = {"front_end": [text or description()]}
    return predicted(NOTHING | about, ANSWER | about | changes)


def test_genres_and_errors_are_fit_for_a_terminal() -> None:
    assert answered().genre == HARMLESS
    with pytest.raises(ServingError) as error:
        answered(error=[f"{HOSTILE}\nx"])
    assert str(error.value) == f"{HARMLESS} x"
    assert one_line(HOSTILE) == HARMLESS


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_chunks": [np.nan]}, "NaN"),
        ({"n_chunks": [0]}, r"must have the shape .* \(2, 2\), got \(0, 2\)"),
        ({"n_chunks": [3]}, r"must have the shape .* \(2, 2\), got \(3, 2\)"),
        ({"n_chunks": 2}, "zip|iterable"),
        ({"error": [["", ""]]}, "size 1"),
    ],
)
def test_what_no_model_of_ours_answers(changes: Any, message: str) -> None:
    with pytest.raises(UnusableServerError, match=f"answers something else than train.py exports: .*{message}"):
        answered(**changes)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", description(spec={}), description(genres=[1]), description(chunks=0), json.dumps(asdict(FRONT_END))],
)
def test_what_no_model_of_ours_says_of_itself(text: str) -> None:
    with pytest.raises(UnusableServerError, match="describes itself otherwise than train.py exports it"):
        predicted(NOTHING | {"front_end": [text]})


def test_an_output_that_is_missing_is_named() -> None:
    about = {"front_end": [description()]}
    with pytest.raises(UnusableServerError, match="has no output 'chunk_probabilities': not exported by this version"):
        predicted(NOTHING | about, {"error": [""], "n_chunks": [2]} | about)
    with pytest.raises(UnusableServerError, match="has no output front_end: not exported by this version"):
        predicted(NOTHING)


def test_a_model_that_changes_within_a_file_is_asked_anew() -> None:
    """Other genres, or another front end, would make one track of two models' answers."""
    old, new = ({"front_end": [description(fingerprint=name)]} for name in ("old", "new"))
    predictor = RemotePredictor(Server(NOTHING | old, ANSWER | new, NOTHING | new, ANSWER | new), n_retries=0)
    data = wav(synthetic_track("noise", 1, seconds=1.5))
    with as_file(data) as file, pytest.raises(ServingError, match="changed to another version"):
        predictor.predict(file)
    with as_file(data) as file:
        assert predictor.predict(file).n_chunks == 2
