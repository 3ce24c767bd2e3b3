"""`train.py --model probe`: a linear layer on the pre-trained tagger's features, from the data to what is served."""

import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_model import evaluate, export, predict, train
from keras_model.data.features import features_of
from keras_model.data.train_and_test import load_train_and_test
from keras_model.networks.classifiers import load_model
from keras_model.networks.probe import tagger_features
from keras_model.options import TrainOptions
from keras_model.prediction.finding import find_model
from keras_model.prediction.runtimes import load_saved_model
from tests.tiny_dataset import TinyDataset


@pytest.mark.usefixtures("wheel")
def test_a_run_of_the_probe_is_saved_served_and_predicts(
    heard: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    command = ["--model", "probe", "--data", str(heard), "--output", str(run), "--epochs", "20", "--learning-rate", "1e-3"]
    assert train.main(command) == 0
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["final"]["maximum"] == 1.0, "hum, noise and ticks are told apart by anyone who listens"
    with zipfile.ZipFile(run / "model.keras") as file:
        assert "keras_model" not in file.read("config.json").decode()
    model = load_model(run / "model.keras")
    assert {tuple(weight.shape) for weight in model.trainable_weights} == {(712, 3), (3,)}
    assert metrics["model"] == {"name": "probe", "parameters": model.count_params(), "pretrained": True}
    assert metrics["baseline"]["accuracy"] == 1.0, "of log-mels, and not of the features that stand in their place"
    assert "Note        Its pre-trained part may have heard GTZAN's recordings" in capsys.readouterr().out
    assert [values["changed"] for values in metrics["level"].values()] == [0.0, 0.0]
    # The tagger in it is as it was.
    values = np.random.default_rng(0).uniform(-4, 2, (3, 96, 126, 1)).astype(np.float32)
    features = tagger_features((96, 126))
    np.testing.assert_array_equal(keras.Model(model.input, model.get_layer("bands").input)(values), features(values))
    softer = np.log10(np.maximum(10.0**values - 1e-4, 0) / 16 + 1e-4)  # by 12 dB
    np.testing.assert_allclose(model(softer.astype(np.float32)), model(values), atol=1e-4)
    capsys.readouterr()
    assert evaluate.main([str(run), "--data", str(heard), "--json"]) == 0
    evaluated = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert evaluated["cross_entropy"] == pytest.approx(metrics["final"]["cross_entropy"], abs=1e-5)
    signature = load_saved_model(find_model(run)).signatures["serving_default"]
    served = signature(log_mel=tf.constant(values[..., 0]))["probabilities"]
    np.testing.assert_allclose(served, model.predict(values, verbose=0), atol=1e-5)
    assert predict.main([str(run), "--json", str(corpus / "hum" / "hum.00000.wav")]) == 0
    assert json.loads(capsys.readouterr().out)["genre"] == "hum"
    assert export.main([str(run), "--to", str(tmp_path / "files"), "--format", "onnx"]) == 0


@pytest.mark.parametrize("cache_gib", [4.0, 0.0], ids=["cached", "streamed"])
def test_features_are_those_of_each_record(cache_gib: float, tmp_path: Path) -> None:
    tiny = TinyDataset(tmp_path / "tiny")
    tiny.write()
    n_mels, n_frames = tiny.manifest.spec.shape
    inputs = keras.Input((n_mels, n_frames, 1))
    network = keras.Model(inputs, keras.layers.Dense(4)(keras.layers.Flatten()(inputs)))
    before = load_train_and_test(TrainOptions(data=tiny.folder, model="probe", cache_gib=cache_gib), tiny.manifest)
    data = features_of(before, network)
    for split, records in ((data.train, before.train), (data.test, before.test)):
        assert split.shape == (4, 1)
        assert split.cached is not None
        log_mels = np.concatenate(list(records.ordered_batches(batch_size=3).as_numpy_iterator()))
        np.testing.assert_allclose(split.cached[..., 0, 0], network.predict(log_mels, verbose=0), atol=1e-5)
        assert split.track_ids == records.track_ids
        assert len(split.labels) == split.n_records == len(log_mels)
    features = np.asarray(data.train.cached)[..., 0]
    assert data.standardization is not None
    np.testing.assert_allclose(data.standardization["mean"], features.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(data.standardization["std"], features.std(axis=0), rtol=1e-5)


def test_what_it_cannot_be_trained_with_is_said_in_one_line(
    dataset: Path, heard: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for options, message in (
        (
            ["--data", str(heard), "--mixup", "0.3"],
            "--augment, --mixup, --random-crop and --band-shift change log-mels,",
        ),
        (["--data", str(heard), "--standardize", "per_band"], "--standardize and --robust are for other networks: the tagger"),
        (["--data", str(heard), "--reprogramming", "skip"], "--model reprogrammed and --reprogramming noise, input, skip belong"),
        (["--data", str(dataset)], f"--model probe needs log-mels of preset musicnn, and {dataset} has those of paper: make a"),
        (["--data", str(heard)], f"there is no pre-trained network at {tmp_path}"),
    ):
        assert train.main(["--model", "probe", "--output", str(tmp_path / "run"), *options]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"train.py: {message}")
        assert not (tmp_path / "run").exists()
