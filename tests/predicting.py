"""What the tests of prediction share: a model that is loaded once, a song, and what the command printed."""

import functools
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from keras_model.prediction.finding import find_model
from keras_model.prediction.model import Predictor
from keras_model.run_folder import FrontEnd
from tests.conftest import GENRES, SAMPLE_RATE, synthetic_track
from tfrecords.dataset.corpus import CorpusInfo
from tfrecords.front_end.log_mel_spec import LogMelSpec

load_once = functools.cache(Predictor.load)


class SamePredictor(Predictor):
    """Gives every chunk the same probabilities, without a network."""

    def __init__(self, shares: tuple[float, ...] = (0.2, 0.5, 0.3), *, spec: LogMelSpec | None = None) -> None:
        corpus = CorpusInfo(name="x")
        super().__init__(self.probabilities, FrontEnd(spec=spec or LogMelSpec(), genres=GENRES, corpus=corpus, fingerprint="x"))
        self._shares = np.array(shares, np.float32)

    def probabilities(self, log_mels: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.tile(self._shares, (len(log_mels), 1))


@contextmanager
def loading_once() -> Iterator[None]:
    """Within it a model is loaded once: it takes seconds, and most tests ask for the same one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Predictor, "load", lambda path: load_once(find_model(path)))
        yield


def write_song(path: Path) -> Path:
    """Writes a file of five chunks, which the network of the fixture `run` takes for noise."""
    soundfile.write(path, synthetic_track("noise", 90, seconds=3.0), SAMPLE_RATE)
    return path


def json_lines(capsys: pytest.CaptureFixture[str]) -> list[Any]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@contextmanager
def standard_input(data: bytes) -> Iterator[None]:
    """Within it standard input is a pipe with the data, which must not be more than a pipe holds."""
    before = os.dup(0)
    reader, writer = os.pipe()
    os.write(writer, data)
    os.close(writer)
    os.dup2(reader, 0)
    os.close(reader)
    try:
        yield
    finally:
        os.dup2(before, 0)
        os.close(before)
