"""`train.py --model`: whole runs with the networks beside the shallow one, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import train
from keras_model import evaluate, predict
from keras_model.networks.classifiers import load_model
from keras_model.networks.settings import NETWORKS
from keras_model.prediction.model import load_saved_model
from keras_model.reports.comparison import network_title
from tests.conftest import GENRES, STOCK
from tests.networks import log_mels


@pytest.mark.parametrize(
    ("model", "options", "name", "parameters", "settings"),
    [
        ("deep", ["--batchnorm"], "deep_batchnorm", 1_280_515, {"batchnorm": True, "l1": 1e-4, "dropout": 0.25}),
        ("bbnn", ["--l1", "1e-5"], "bbnn", 190_595, {"batchnorm": True, "l1": 1e-5, "dropout": 0.0}),
    ],
)
def test_a_run_is_of_the_network_that_was_asked_for(
    model: str,
    options: list[str],
    name: str,
    parameters: int,
    settings: dict[str, float],
    dataset: Path,
    corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "run"
    command = ["--data", str(dataset), "--output", str(run), "--epochs", "1", "--batch-size", "16", "--model", model]
    assert train.main([*command, *options, *STOCK]) == 0
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["model"] == {"name": name, "parameters": parameters}
    assert metrics["options"] | settings | {"model": model} == metrics["options"]
    assert f"<h1>{network_title(name)} on " in (run / "report.html").read_text(encoding="utf-8")

    assert evaluate.main([str(run), "--data", str(dataset), "--json"]) == 0
    evaluated = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert evaluated["maximum"] == pytest.approx(metrics["final"]["maximum"])
    values = log_mels(3)
    trained = load_model(run / "model.keras")
    assert trained.get_layer("dropout").rate == pytest.approx(settings["dropout"])
    served = load_saved_model(run / "export" / "genres" / "1").signatures["serving_default"](log_mel=tf.constant(values[..., 0]))
    np.testing.assert_allclose(served["probabilities"], trained(values, training=False), atol=1e-4)
    assert predict.main([str(run), "--json", str(corpus / "hum" / "hum.00000.wav")]) == 0
    assert json.loads(capsys.readouterr().out)["genre"] in GENRES


def test_the_networks_that_can_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    for name in NETWORKS:
        assert train.parse_options(["--model", name])[0].model == name
    assert train.parse_options([])[0].model == "shallow"
    assert train.parse_options(["--dropout", "0"])[0].network.dropout == 0
    for options, message in (
        (["--model", "wide"], "argument --model: invalid choice: 'wide' (choose from 'shallow', 'deep', 'bbnn')"),
        (["--model", "bbnn", "--batchnorm"], "--batchnorm cannot be added to bbnn, which always has batch normalisation"),
        (["--model", "deep", "--dropout", "1"], "argument --dropout: must be less than 1, got 1.0"),
    ):
        try:
            status: object = train.main(options)
        except SystemExit as stopped:
            status = stopped.code
        assert status == 2
        assert message in capsys.readouterr().err.splitlines()[-1]
