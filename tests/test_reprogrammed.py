"""The pre-trained tagger reprogrammed and fine-tuned: what they begin with, what is trained, what is saved."""

import dataclasses
import json
import re
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_model import predict, train
from keras_model.networks.classifiers import build_classifier, load_model
from keras_model.networks.hearing import tagger_input, tagger_up_to
from keras_model.networks.reprogrammed import TagMapping, reprogrammed
from keras_model.networks.settings import network_settings
from keras_model.options import TrainOptions
from keras_model.pretrained.musicnn import LOGITS
from keras_model.training.on_tagger import _PROBE, prepare
from tfrecords.errors import UsageError
from tfrecords.front_end.log_mel_spec import PRESETS

SHAPE = (96, 126)
N_TAGS = 50


def test_each_tag_goes_to_the_genre_whose_tracks_activate_it_most() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    track_ids = ["a", "a", "b", "c", "c", "d"]  # a and b of genre 0, c of 1, d of 2
    logits = np.zeros((6, 4), np.float32)
    logits[[0, 1, 2], 0] = 5  # tag 0: genre 0
    logits[[3, 4], 1] = 5
    logits[5, 2] = 5
    logits[[0, 2], 3] = 3, 3  # a is twice in the records, and once among the tracks
    logits[5, 3] = 4
    mapping = TagMapping.of(logits, labels=labels, track_ids=track_ids, n_genres=3)
    np.testing.assert_array_equal(mapping.genre_of_tag, [0, 1, 2, 2])
    np.testing.assert_allclose(mapping.mean, [2.5, 1.25, 1.25, (1.5 + 3 + 0 + 4) / 4])
    np.testing.assert_array_equal(mapping.kernel != 0, mapping.genre_of_tag[:, np.newaxis] == np.arange(3))
    assert mapping.kernel[2, 2] > mapping.kernel[3, 2] > 0, "tag 2 is of genre 2 alone, tag 3 of genre 0 nearly as much"
    of_tracks = np.stack([logits[:2].mean(axis=0), logits[2], logits[3:5].mean(axis=0), logits[5]])
    scores = (of_tracks - mapping.mean) / mapping.std @ mapping.kernel + mapping.bias
    np.testing.assert_allclose(scores.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(scores.std(axis=0), 2.5, rtol=1e-5)


@given(
    logits=st.lists(st.lists(st.floats(-20, 20, width=32), min_size=8, max_size=8), min_size=6, max_size=12),
    n_genres=st.integers(2, 6),
)
def test_every_genre_has_a_tag(logits: list[list[float]], n_genres: int) -> None:
    labels = np.arange(len(logits)) % n_genres
    mapping = TagMapping.of(
        np.array(logits, np.float32), labels=labels, track_ids=[f"t{row}" for row in range(len(logits))], n_genres=n_genres
    )
    assert set(mapping.genre_of_tag.tolist()) == set(range(n_genres))
    assert np.isfinite(mapping.kernel).all()
    assert np.isfinite(mapping.bias).all()


@pytest.mark.usefixtures("wheel")
@pytest.mark.parametrize(
    ("way", "n_trained"), [("noise", 96 * 126), ("input", 96 * 97 + 2 * 96 * 289), ("skip", 96 * 97 + 2 * 96 * 289)]
)
def test_it_begins_with_what_the_mapping_gives(way: str, n_trained: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    log_mels = rng.uniform(-4, 2, (3, *SHAPE, 1)).astype(np.float32)
    mapping = TagMapping(
        genre_of_tag=np.arange(N_TAGS) % 3,
        mean=rng.normal(size=N_TAGS).astype(np.float32),
        std=rng.uniform(0.5, 2, N_TAGS).astype(np.float32),
        kernel=rng.normal(scale=0.01, size=(N_TAGS, 3)).astype(np.float32),
        bias=rng.normal(size=3).astype(np.float32),
    )
    model = reprogrammed(SHAPE, mapping=mapping, n_genres=3, reprogramming=way, settings=network_settings("reprogrammed"))
    assert sum(weight.shape.num_elements() for weight in model.trainable_weights) == n_trained
    inputs, leveled = tagger_input(SHAPE)
    logits = keras.Model(inputs, tagger_up_to(LOGITS)(leveled))(log_mels).numpy()
    standardized = (logits - mapping.mean) / mapping.std
    exponentials = np.exp(standardized @ mapping.kernel + mapping.bias)
    expected = exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model(log_mels), expected, atol=1e-4)
    assert np.ptp(expected, axis=0).max() > 0.01, "the three inputs are told apart"
    model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as file:
        assert "keras_model" not in file.read("config.json").decode()
    np.testing.assert_array_equal(load_model(tmp_path / "model.keras")(log_mels), model(log_mels))


@pytest.mark.usefixtures("wheel")
@pytest.mark.parametrize(
    "options", [["reprogrammed", "--reprogramming", "skip"], ["finetuned", "--cache-gib", "0"]], ids="-".join
)
def test_a_run_is_saved_and_predicts(
    options: list[str], heard: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    command = ["--model", *options, "--data", str(heard), "--output", str(run), "--epochs", "1"]
    assert train.main(command) == 0
    printed = capsys.readouterr().out
    metrics = json.loads((run / "metrics.json").read_text())
    model = load_model(run / "model.keras")
    assert metrics["model"] == {"name": options[0], "parameters": model.count_params(), "pretrained": True}
    if options[0] == "finetuned":
        assert len(model.get_layer("MSD_musicnn").trainable_weights) > 2
        assert metrics["final"]["maximum"] == 1.0, "it begins as the probe, which tells hum, noise and ticks apart"
    else:
        assert not model.get_layer("MSD_musicnn").trainable_weights
        assert re.search(r"^Tags     hum: \w", printed, re.MULTILINE)
        assert re.search(r"^Mapping  \d+\.\d% of the test tracks right with nothing trained$", printed, re.MULTILINE)
    assert predict.main([str(run), "--json", str(corpus / "hum" / "hum.00000.wav")]) == 0
    assert json.loads(capsys.readouterr().out)["genre"] in metrics["dataset"]["genres"]


@pytest.mark.parametrize(
    ("genres", "labels", "reason"),
    [
        (("a",), [0, 0], "for 2 to 50 genres, got 1"),
        (("a", "b", "c"), [0, 2], "and b has none"),
        (tuple(map(str, range(51))), range(51), "for 2 to 50 genres, got 51"),
    ],
)
def test_every_genre_needs_a_tag_and_tracks(genres: tuple[str, ...], labels: Any, reason: str) -> None:
    data: Any = SimpleNamespace(train=SimpleNamespace(labels=np.array(labels)))
    options = TrainOptions(model="reprogrammed", reprogramming="skip")
    with pytest.raises(UsageError, match=f"^--model reprogrammed needs train tracks of every genre, {reason}$"):
        prepare(options, data, genres, PRESETS["musicnn"])


def test_networks_that_are_made_of_their_data_are_built_by_train_alone() -> None:
    for name in ("finetuned", "reprogrammed"):
        with pytest.raises(UsageError, match=f"^the network {name} is made of its train split: train.py --model {name}$"):
            build_classifier(name, SHAPE, n_genres=3)


def test_what_a_fine_tuned_network_begins_as_is_trained_without_a_validation_split() -> None:
    options = TrainOptions(model="finetuned", keep="best", early_stopping=3, ema=0.9, epochs=2)
    assert not dataclasses.replace(options, **_PROBE).selects


@pytest.mark.usefixtures("wheel")
def test_ctrl_c_ends_it_before_the_training_too(heard: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: Any, **options: Any) -> Any:
        return SimpleNamespace(interrupted=True)

    monkeypatch.setattr("keras_model.training.on_tagger.fit", interrupted)
    assert train.main(["--model", "finetuned", "--data", str(heard), "--output", str(tmp_path / "run"), "--epochs", "1"]) == 130
