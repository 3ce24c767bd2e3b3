"""What test modules share: synthesised audio, a small corpus, one finished run on it, and reference data where it is at hand."""

import fcntl
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import settings
from numpy.typing import NDArray

from beam_pipeline.options import BuildOptions
from beam_pipeline.run import build_dataset
from keras_model import train
from tfrecords.errors import UsageError

# The same examples each time, however slow the machine is: a failure is one of the code.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

# A shell that starts the tests in the background has them ignore Ctrl-C, and what they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# They take minutes each. Begun first, none of them is left to one process at the end while the others have nothing to do.
_LONGEST_MODULES = ("test_training", "test_resume", "test_devices", "test_experiment", "test_model_option", "test_export")

SAMPLE_RATE = 22050
REPOSITORY = Path(__file__).parent.parent
# Reference data that is not part of the project: original inputs of the paper's networks, real recordings.
SHARED = REPOSITORY.parent / "shared"

GENRES = ("hum", "noise", "ticks")
# The fused convolution takes three seconds to compile in each process: it is for the tests that are about it.
STOCK = ("--convolution", "stock")
# The training that several test modules look at.
OPTIONS = ("--batchnorm", "--batch-size", "16", "--learning-rate", "3e-4", *STOCK)
EPOCHS = 6


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.stem not in _LONGEST_MODULES)


def tone(hz: float, *, seconds: float, sample_rate: int = SAMPLE_RATE, amplitude: float = 0.5) -> NDArray[np.float32]:
    """A sine, (n_samples,) float32."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return (amplitude * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def synthetic_track(genre: str, number: int, *, seconds: float) -> NDArray[np.float32]:
    """A track that even a small network tells from those of other genres, (n_samples,) float32."""
    rng = np.random.default_rng([GENRES.index(genre), number])
    n_samples = round(seconds * SAMPLE_RATE)
    background = 0.002 * rng.standard_normal(n_samples).astype(np.float32)
    if genre == "hum":
        return background + tone(rng.uniform(150, 250), seconds=seconds)
    if genre == "noise":
        return background + 0.1 * rng.standard_normal(n_samples).astype(np.float32)
    background[:: int(rng.integers(2500, 3500))] = 0.9
    return background


def write_tracks(folder: Path, *, n_tracks: int, seconds: float = 3.0) -> None:
    """Writes a folder for each of three genres with so many tracks, 16-bit WAV."""
    for genre in GENRES:
        (folder / genre).mkdir(parents=True)
        for number in range(n_tracks):
            path = folder / genre / f"{genre}.{number:05d}.wav"
            soundfile.write(path, synthetic_track(genre, number, seconds=seconds), SAMPLE_RATE, subtype="PCM_16")


@pytest.fixture
def write_corpus(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a corpus of short tracks."""

    def write(name: str = "corpus", *, n_tracks: int = 4, seconds: float = 3.0, parent: str = "genres") -> Path:
        write_tracks(tmp_path / name / parent, n_tracks=n_tracks, seconds=seconds)
        return tmp_path / name

    return write


@pytest.fixture
def shared() -> Path:
    """The folder of reference data; skips where it is not there."""
    if not SHARED.is_dir():
        pytest.skip("the reference data (../shared) is not on this machine")
    return SHARED


@pytest.fixture(scope="session")
def heard(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of what the tagger hears."""

    def make(folder: Path) -> None:
        build_dataset(
            BuildOptions(
                input=str(corpus), output=str(folder), chunks_per_track=2, test_fraction=0.34, preset="musicnn", workers=1
            )
        )

    return made_once("heard", make, tmp_path_factory)


@pytest.fixture(autouse=True)
def _few_parts(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Attribution by two parts rather than 24, which would cost each training of the tests seconds."""
    if request.module.__name__ not in (f"tests.test_{name}" for name in ("occlusion", "gallery", "report", "pages_in_browser")):
        monkeypatch.setattr("keras_model.reports.occlusion._PARTS", (1, 2))


@pytest.fixture
def wheel() -> Path:
    """The wheel of the pre-trained network; skips where it is not there."""
    from keras_model.pretrained.wheel import read_wheel, wheel_path

    try:
        read_wheel()
    except UsageError as error:
        pytest.skip(str(error))
    return wheel_path()


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    write_tracks(folder, n_tracks=6, seconds=4.0)
    return folder


def made_once(name: str, make: Callable[[Path], object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that one of the processes that share the tests makes, and all of them look at."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared" / name
    folder.parent.mkdir(exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.with_suffix(".made").exists():
            make(folder)
            folder.with_suffix(".made").touch()
    return folder


@pytest.fixture(scope="session")
def dataset(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    def make(folder: Path) -> None:
        build_dataset(BuildOptions(input=str(corpus), output=str(folder), chunks_per_track=4, num_shards=2, test_fraction=0.34))

    return made_once("dataset", make, tmp_path_factory)


@pytest.fixture(scope="session")
def run(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""

    def make(folder: Path) -> None:
        assert train.main([*OPTIONS, "--data", str(dataset), "--output", str(folder), "--epochs", str(EPOCHS)]) == 0

    return made_once("run", make, tmp_path_factory)


@pytest.fixture(scope="session")
def metrics(run: Path) -> Any:
    return json.loads((run / "metrics.json").read_text())


@pytest.fixture
def endpoint() -> Iterator[str]:
    """The address of an S3 server."""
    from tests.object_store import server

    with server() as address:
        yield address


@pytest.fixture
def bucket(endpoint: str) -> Any:
    """A client of that server, in which there is a bucket."""
    from tests.object_store import make_bucket

    return make_bucket(endpoint)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Names bytes by their number: some hold the time, and the processes that share the tests must agree on the names."""
    return f"{argname} of {len(val)} bytes" if isinstance(val, bytes) else None
