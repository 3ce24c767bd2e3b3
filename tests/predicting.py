"""What the tests of prediction share: a model that is loaded once, a song, and the answer computed by hand."""

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

from keras_model.find_model import find_saved_model
from keras_model.front_end import FrontEnd
from keras_model.predictor import Predictor
from tests.conftest import SAMPLE_RATE, synthetic_track
from tfrecords.audio import decode_audio
from tfrecords.log_mel import cut_chunks, log_mel

load_once = functools.cache(Predictor.load)


@contextmanager
def loading_once() -> Iterator[None]:
    """Within it a model is loaded once: it takes seconds, and most tests ask for the same one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Predictor, "load", lambda path: load_once(find_saved_model(path)))
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


def by_hand(run: Path, data: bytes) -> np.ndarray:
    """Probabilities of all candidate chunks, (n_chunks, n_genres)."""
    spec = FrontEnd.from_json((run / "front_end.json").read_text()).spec
    waveform = decode_audio(data, sample_rate=spec.sample_rate).waveform
    starts = np.arange(spec.n_candidate_chunks(len(waveform))) * spec.chunk_step
    features = log_mel(cut_chunks(waveform, starts, spec=spec), spec=spec)
    return load_once(find_saved_model(run)).probabilities(features)
