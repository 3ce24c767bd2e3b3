"""`train.py --model`: whole runs with the networks beside the shallow one, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_model import evaluate, predict, train
from keras_model.networks.classifiers import load_model
from keras_model.networks.settings import NETWORKS
from keras_model.prediction.runtimes import load_saved_model
from keras_model.reports.comparison import network_title
from tests.conftest import GENRES, STOCK
from tests.networks import log_mels


def trained_run(dataset: Path, run: Path, *options: str) -> Path:
    """A run of one epoch that was asked for by its network."""
    command = ["--data", str(dataset), "--output", str(run), "--epochs", "1", "--batch-size", "16", *STOCK]
    assert train.main([*command, *options]) == 0
    return run


def assert_is_of(run: Path, name: str, *, parameters: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Checks what a run says of its network, and returns its metrics."""
    metrics: dict[str, Any] = json.loads((run / "metrics.json").read_text())
    assert metrics["model"] == {"name": name, "parameters": parameters, "pretrained": False}
    assert metrics["options"] | settings == metrics["options"]
    assert f"<h1>{network_title(name)}, recipe paper, on " in (run / "report.html").read_text(encoding="utf-8")
    assert load_model(run / "model.keras").get_layer("dropout").rate == pytest.approx(settings["dropout"])
    return metrics


def test_tuned_goes_with_what_is_always_normalised() -> None:
    options, _ = train.parse_options(["--recipe", "tuned", "--model", "bbnn"])
    assert (options.batchnorm, options.network.batchnorm, options.band_shift) == (False, True, 4)


@pytest.mark.long
def test_a_run_of_bbnn(dataset: Path, tmp_path: Path) -> None:
    run = trained_run(dataset, tmp_path / "run", "--model", "bbnn", "--l1", "1e-5", "--no-export")
    settings = {"model": "bbnn", "batchnorm": True, "l1": 1e-5, "dropout": 0.0}
    assert_is_of(run, "bbnn", parameters=190_595, settings=settings)


def test_a_run_of_the_deep_network_is_evaluated_and_served(
    dataset: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained_run(dataset, tmp_path / "run", "--model", "deep", "--batchnorm")
    settings = {"model": "deep", "batchnorm": True, "l1": 1e-4, "dropout": 0.25}
    metrics = assert_is_of(run, "deep_batchnorm", parameters=1_280_515, settings=settings)
    assert evaluate.main([str(run), "--data", str(dataset), "--json"]) == 0
    evaluated = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert evaluated["maximum"] == pytest.approx(metrics["final"]["maximum"])
    values = log_mels(3)
    expected = load_model(run / "model.keras")(values, training=False)
    served = load_saved_model(run / "export" / "genres" / "1").signatures["serving_default"](log_mel=tf.constant(values[..., 0]))
    np.testing.assert_allclose(served["probabilities"], expected, atol=1e-4)
    assert predict.main([str(run), "--json", str(corpus / "hum" / "hum.00000.wav")]) == 0
    assert json.loads(capsys.readouterr().out)["genre"] in GENRES


def test_the_networks_that_can_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    for name in NETWORKS:
        assert train.parse_options(["--model", name])[0].model == name
    assert train.parse_options([])[0].model == "shallow"
    assert train.parse_options(["--model", "reprogrammed"])[0].reprogramming == "skip"
    assert train.parse_options(["--dropout", "0"])[0].network.dropout == 0
    for options, message in (
        (["--model", "wide"], "argument --model: invalid choice: 'wide' (choose from 'shallow', 'deep', 'bbnn', 'probe', "),
        (["--model", "bbnn", "--batchnorm"], "--batchnorm cannot be added to bbnn, which always has batch normalisation"),
        (["--model", "deep", "--dropout", "1"], "argument --dropout: must be less than 1, got 1.0"),
    ):
        try:
            status: object = train.main(options)
        except SystemExit as stopped:
            status = stopped.code
        assert status == 2
        assert message in capsys.readouterr().err.splitlines()[-1]
