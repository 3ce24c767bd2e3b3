"""`python -m keras_model.evaluate`."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from beam_pipeline.options import BuildOptions
from beam_pipeline.run import build_dataset
from keras_model import evaluate
from tfrecords.dataset.tracks import read_tracks


def test_evaluate_recomputes_the_metrics(run: Path, dataset: Path, metrics: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main([str(run), "--data", str(dataset), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    for name in ("raw", "maximum", "majority", "product"):
        assert result[name] == pytest.approx(metrics["final"][name])


def test_tracks_that_the_run_was_trained_on_are_refused(
    run: Path, dataset: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By their names, and by their audio under other names; asked for all the same, the result says so."""
    assert evaluate.main([str(run), "--data", str(dataset), "--split", "train"]) == 2
    assert re.search(r"was trained on 12 of the tracks of split train of .*: an accuracy on them", capsys.readouterr().err)
    for genre in corpus.iterdir():
        for number, path in enumerate(sorted(genre.iterdir())):
            (tmp_path / "corpus" / genre.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, tmp_path / "corpus" / genre.name / f"other name {number}.wav")
    build_dataset(BuildOptions(input=str(tmp_path / "corpus"), output=str(tmp_path / "data"), chunks_per_track=4, seed=3))
    of_run = {track["audio_blake3"] for track in read_tracks(dataset) if track["split"] == "train"}
    known = [track for track in read_tracks(tmp_path / "data") if track["split"] == "test" and track["audio_blake3"] in of_run]
    command = [str(run), "--data", str(tmp_path / "data")]
    capsys.readouterr()
    assert evaluate.main(command) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert f"was trained on {len(known)} of the tracks of split test of {tmp_path / 'data'}" in error
    assert known
    assert "--allow-overlap evaluates all the same" in error
    assert evaluate.main([*command, "--allow-overlap"]) == 0
    assert f"The run was trained on {len(known)} of these tracks" in capsys.readouterr().out
    assert evaluate.main([*command, "--allow-overlap", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tracks_trained_on"] == len(known)


def test_a_run_that_does_not_tell_its_tracks_is_refused(
    run: Path, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(run, tmp_path / "copy", ignore=shutil.ignore_patterns("export", "figures", "tensorboard"))
    for text in (None, "[", '[{"track_id": "a"}]', '{"a": 1}'):
        (copy / "tracks.json").unlink(missing_ok=True)
        if text is not None:
            (copy / "tracks.json").write_text(text)
        assert evaluate.main([str(copy), "--data", str(dataset)]) == 2
        assert "does not tell what it was trained on: tracks.json is missing or damaged" in capsys.readouterr().err


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
