"""Networks that go onto the Hugging Face Hub and come from there: a server on loopback stands for it."""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_model
from keras_model import export, predict
from keras_model.hub import upload
from keras_model.run_folder import ExportError
from tests.conftest import STOCK
from tests.model_hub import ModelHub, serving
from tests.predicting import write_song
from tests.served import front_end_of
from tfrecords.errors import UsageError

KERAS_FILES = {"config.json", "metadata.json", "model.weights.h5"}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelHub]:
    """What HF_ENDPOINT and HF_HOME would say, which the client reads as it is imported."""
    with serving() as hub, pytest.MonkeyPatch.context() as patch:
        constants = "huggingface_hub.constants."
        patch.setattr(constants + "ENDPOINT", hub.url)
        patch.setattr(constants + "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}")
        patch.setattr(constants + "HF_HUB_CACHE", str(tmp_path_factory.mktemp("hub")))
        patch.setenv("HF_TOKEN", "hf_of_nobody")
        patch.setenv("no_proxy", "127.0.0.1")
        yield hub


@pytest.fixture(scope="module")
def uploaded(run: Path, hub: ModelHub) -> ModelHub:
    """A Hub with the session's run in `me/genres`."""
    assert export.main([str(run), "--to", "hf://me/genres", *STOCK]) == 0
    return hub


def test_an_export_is_one_commit_that_a_clone_of_serves(run: Path, uploaded: ModelHub, tmp_path: Path) -> None:
    files = uploaded.repositories["me/genres"]
    assert uploaded.commits == [set(files)]
    assert {path for path in files if "/" not in path} == {
        *KERAS_FILES,
        *("README.md", "front_end.json", "models.config", "batching.config", "compose.yaml"),
    }
    assert files["README.md"] == files["genres/1/README.md"] == uploaded.cards[0].encode()
    for path, data in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    song = write_song(tmp_path / "song.wav")
    np.testing.assert_allclose(
        keras_model.load(tmp_path).predict(song).probabilities, keras_model.load(run).predict(song).probabilities, atol=1e-6
    )


def test_it_is_loaded_by_its_address_and_so_does_keras(
    run: Path, uploaded: ModelHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predictor = keras_model.load("hf://me/genres")
    song = write_song(tmp_path / "song.wav")
    expected = keras_model.load(run).predict(song)
    np.testing.assert_allclose(predictor.predict(song).chunk_probabilities, expected.chunk_probabilities, atol=1e-5)
    assert predictor.front_end == front_end_of(run)
    network, saved = keras.saving.load_model("hf://me/genres"), keras.saving.load_model(run / "model.keras")
    assert predict.main(["hf://me/genres", str(song), "--csv"]) == 0
    assert f",{expected.genre}," in capsys.readouterr().out
    for found, weights in zip(network.get_weights(), saved.get_weights(), strict=True):
        np.testing.assert_array_equal(found, weights)


def strangers(hub: ModelHub, shape: tuple[int, ...], layers: Sequence[keras.Layer], folder: Path) -> None:
    """Puts another network than the run's into `me/strange`, beside the run's front end."""
    inputs = outputs = keras.Input(shape)
    for layer in layers:
        outputs = layer(outputs)
    keras.Model(inputs, outputs).save(folder / "model.keras")
    shutil.unpack_archive(folder / "model.keras", folder, "zip")
    files = {name: (folder / name).read_bytes() for name in KERAS_FILES}
    hub.repositories["me/strange"] = files | {"front_end.json": hub.repositories["me/genres"]["front_end.json"]}


def test_code_in_a_strangers_network_is_not_run(uploaded: ModelHub, tmp_path: Path) -> None:
    strangers(uploaded, (80, 80, 1), [keras.layers.Flatten(), keras.layers.Dense(3), keras.layers.Lambda(lambda x: x)], tmp_path)
    with pytest.raises(UsageError, match=r"^hf://me/strange holds no network that this project exported: .*[Ll]ambda") as error:
        keras_model.load("hf://me/strange")
    assert "\n" not in str(error.value)


def test_a_network_that_its_front_end_does_not_fit_is_refused(uploaded: ModelHub, tmp_path: Path) -> None:
    strangers(uploaded, (7, 5, 1), [keras.layers.Flatten(), keras.layers.Dense(3)], tmp_path)
    with pytest.raises(UsageError, match=r"^hf://me/strange holds a network that does not fit its front_end\.json$"):
        keras_model.load("hf://me/strange")
    for key, value in {"genres": ["a", "b\x1b]0;x\x07", "c"], "spec": {"fmax_hz": 20.0}}.items():
        front_end = json.loads(uploaded.repositories["me/genres"]["front_end.json"])
        front_end[key] = front_end[key] | value if isinstance(value, dict) else value
        uploaded.repositories["me/strange"]["front_end.json"] = json.dumps(front_end).encode()
        with pytest.raises(UsageError, match=r"^hf://me/strange holds no network that this project exported: "):
            keras_model.load("hf://me/strange")
    uploaded.repositories["me/strange"]["front_end.json"] = b"{}"
    with pytest.raises(
        UsageError, match=r"^hf://me/strange holds no network that this project exported: front_end\.json is damaged"
    ):
        keras_model.load("hf://me/strange")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("hf://me/none", r"^hf://me/none cannot be read: 404 .*Repository Not Found"),
        ("hf://me", r"^Invalid HF URI 'hf://me'\. Repository id must be 'namespace/name', got 'me'\.$"),
        ("hf://datasets/me/it", r"^an address of a network reads hf://OWNER/NAME or .*, got 'hf://datasets/me/it'$"),
    ],
)
@pytest.mark.usefixtures("hub")
def test_an_address_where_no_network_is(address: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        keras_model.load(address)


@pytest.mark.usefixtures("hub")
def test_an_address_that_cannot_be_written(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        export.main([str(run), "--to", "hf://me"])
    assert "--to: Invalid HF URI 'hf://me'" in capsys.readouterr().err


def test_a_repository_of_others_is_refused(run: Path, hub: ModelHub, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"^hf://others/genres cannot be written: 403 "):
        upload(tmp_path, run, card="", address="hf://others/genres")
    assert "others/genres" not in hub.repositories
