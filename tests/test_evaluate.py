"""`python -m keras_model.evaluate`."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from beam_pipeline.build_dataset import build_dataset
from beam_pipeline.options import BuildOptions
from keras_model import evaluate


def test_evaluate_recomputes_the_metrics(run: Path, dataset: Path, metrics: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main([str(run), "--data", str(dataset), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    for name in ("raw", "maximum", "majority", "product"):
        assert result[name] == pytest.approx(metrics["final"][name])
    assert evaluate.main([str(run), "--data", str(dataset), "--split", "train"]) == 0
    assert "split train" in capsys.readouterr().out


def test_evaluate_refuses_other_data(
    run: Path, corpus: Path, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build_dataset(BuildOptions(input=str(corpus), output=str(tmp_path / "spec"), chunks_per_track=1, preset="schindler"))
    shutil.copytree(corpus, tmp_path / "corpus")
    (tmp_path / "corpus" / "hum").rename(tmp_path / "corpus" / "humming")
    build_dataset(BuildOptions(input=str(tmp_path / "corpus"), output=str(tmp_path / "genres"), chunks_per_track=1))
    for data, message in (
        (tmp_path / "spec", "is of another spec than the run's data: chunk_samples 20736 instead of 20505"),
        (tmp_path / "genres", "has the genres humming, noise, ticks; the run's are hum, noise, ticks"),
        (tmp_path / "none", "there is no dataset in"),
    ):
        assert evaluate.main([str(run), "--data", str(data)]) == 2
        assert message in capsys.readouterr().err
    assert evaluate.main([str(tmp_path), "--data", str(dataset)]) == 2
    assert "is no finished run" in capsys.readouterr().err
    assert evaluate.main([str(run), "--data", str(dataset), "--split", "dev"]) == 2
    assert "no split 'dev'" in capsys.readouterr().err
