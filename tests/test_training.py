"""From a dataset to a trained network and out again: data, training, report, export, prediction, evaluation."""

import csv
import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import tensorflow as tf

import train
from beam_pipeline.build_dataset import build_dataset
from beam_pipeline.options import BuildOptions
from keras_model import evaluate, predict
from keras_model.dataset import SplitData, load_split
from keras_model.export import ExportError, export_model
from keras_model.front_end import FrontEnd
from keras_model.served_model import ServedModel
from keras_model.training import evaluate_model, load_model
from keras_model.voting import vote
from tests.conftest import GENRES, REPOSITORY, SAMPLE_RATE, synthetic_track
from tfrecords.log_mel import cut_chunks, log_mel
from tfrecords.manifest import Manifest, read_dataset

OPTIONS = ("--batchnorm", "--batch-size", "16", "--learning-rate", "3e-4")
EPOCHS = 8


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    for genre in GENRES:
        (folder / genre).mkdir()
        for number in range(6):
            soundfile.write(
                folder / genre / f"{genre}.{number:05d}.wav", synthetic_track(genre, number, seconds=4.0), SAMPLE_RATE
            )
    return folder


@pytest.fixture(scope="module")
def dataset(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "dataset"
    build_dataset(BuildOptions(input=corpus, output=folder, chunks_per_track=4, num_shards=2, test_fraction=0.34))
    return folder


@pytest.fixture(scope="module")
def run(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert train.main([*OPTIONS, "--data", str(dataset), "--output", str(folder), "--epochs", str(EPOCHS)]) == 0
    return folder


@pytest.fixture(scope="module")
def metrics(run: Path) -> Any:
    return json.loads((run / "metrics.json").read_text())


def epochs_of(split: SplitData, *, seed: int, n_epochs: int) -> list[list[tuple[float, int]]]:
    """Per epoch the first pixel and the label of each sample, in order."""
    samples = [
        (float(log_mel[0, 3, 0]), int(label))
        for log_mels, labels in split.training_batches(batch_size=16, seed=seed, n_epochs=n_epochs)
        for log_mel, label in zip(log_mels.numpy(), labels.numpy(), strict=True)
    ]
    return [samples[start : start + split.n_records] for start in range(0, len(samples), split.n_records)]


@pytest.mark.parametrize("cache_bytes", [2**30, 0])
def test_order_of_samples_is_a_function_of_seed_and_epoch(dataset: Path, cache_bytes: int) -> None:
    manifest = read_dataset(dataset)
    split = load_split(dataset, manifest, "train", cache_bytes=cache_bytes, for_training=True)
    assert (split.cached is None) == (cache_bytes == 0)
    epochs = epochs_of(split, seed=7, n_epochs=3)
    assert [len(epoch) for epoch in epochs] == [48, 48, 48]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(epochs[2])
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert epochs_of(split, seed=7, n_epochs=2) == epochs[:2]
    assert epochs_of(split, seed=8, n_epochs=1) != epochs[:1]


def test_cached_and_streamed_splits_hold_the_same(dataset: Path) -> None:
    manifest = read_dataset(dataset)
    cached, streamed = (load_split(dataset, manifest, "test", cache_bytes=size) for size in (2**30, 0))
    assert cached.track_ids == streamed.track_ids
    assert cached.labels.tolist() == streamed.labels.tolist()
    for one, other in zip(cached.ordered_batches(batch_size=10), streamed.ordered_batches(batch_size=10), strict=True):
        np.testing.assert_array_equal(one, other)


def test_metrics(metrics: Any, dataset: Path) -> None:
    final = metrics["final"]
    assert (final["n_tracks"], final["n_chunks"]) == (6, 24)
    assert final["maximum"] >= 0.6, "hum, noise and ticks are easy to tell apart"
    assert set(final["per_genre"]) == set(GENRES)
    assert len(metrics["epochs"]) == EPOCHS
    for name in ("raw", "maximum", "majority"):
        assert metrics["epochs"][-1][f"test_{name}"] == pytest.approx(final[name])
    assert metrics["dataset"]["fingerprint"] == read_dataset(dataset).fingerprint
    assert metrics["options"]["learning_rate"] == pytest.approx(3e-4)
    assert metrics["versions"]["tensorflow"] == tf.__version__
    assert np.trace(np.array(final["raw_confusion"])) / 24 == pytest.approx(final["raw"])


def test_history_and_tensorboard(run: Path) -> None:
    rows = list(csv.DictReader((run / "history.csv").open()))
    assert [row["epoch"] for row in rows] == [str(epoch) for epoch in range(EPOCHS)]
    assert {"loss", "accuracy", "cross_entropy", "test_raw", "test_maximum", "test_majority"} <= set(rows[0])
    assert list((run / "tensorboard").rglob("events.*"))


def test_report_is_one_self_contained_page(run: Path) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 4
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    assert {path.name for path in (run / "figures").iterdir()} == {
        "accuracy.png",
        "loss.png",
        "confusion_raw.png",
        "confusion_maximum.png",
    }


def test_the_same_seed_gives_the_same_metrics(dataset: Path, run: Path, metrics: Any, tmp_path: Path) -> None:
    command: list[str | Path] = [
        sys.executable,
        "train.py",
        *OPTIONS,
        "--data",
        dataset,
        "--output",
        tmp_path / "again",
        "--epochs",
        str(EPOCHS),
    ]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert json.loads((tmp_path / "again" / "metrics.json").read_text())["epochs"] == metrics["epochs"]
    # As a user sees it: no wall of TensorFlow's own lines.
    assert done.stderr == ""
    assert "step" in done.stdout


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
    build_dataset(BuildOptions(input=corpus, output=tmp_path / "spec", chunks_per_track=1, preset="schindler"))
    shutil.copytree(corpus, tmp_path / "corpus")
    (tmp_path / "corpus" / "hum").rename(tmp_path / "corpus" / "humming")
    build_dataset(BuildOptions(input=tmp_path / "corpus", output=tmp_path / "genres", chunks_per_track=1))
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


def test_saved_model_signatures(run: Path, corpus: Path) -> None:
    served = tf.saved_model.load(str(run / "export" / "1"))
    manifest = json.loads((run / "front_end.json").read_text())
    spec = FrontEnd.from_json(json.dumps(manifest)).spec
    paths = sorted(corpus.rglob("*.wav"))[::5]
    answer = served.signatures["classify_audio"](audio=tf.constant([path.read_bytes() for path in paths]))
    for row, path in enumerate(paths):
        waveform = soundfile.read(path, dtype="float32")[0]
        starts = np.arange(spec.n_candidate_chunks(len(waveform))) * spec.chunk_step
        features = log_mel(cut_chunks(waveform, starts, spec=spec), spec=spec)
        chunks = served.signatures["serving_default"](log_mel=tf.constant(features))
        expected = np.asarray(load_model(run / "model.keras")(features[..., np.newaxis], training=False))
        np.testing.assert_allclose(chunks["probabilities"], expected, atol=1e-5)
        assert chunks["genres"].numpy().tolist() == [[genre.encode() for genre in GENRES]] * len(starts)
        assert chunks["genre"].numpy().tolist() == [GENRES[index].encode() for index in expected.argmax(axis=1)]
        np.testing.assert_allclose(answer["probabilities"][row], expected.mean(axis=0), atol=1e-4)
        assert answer["genre"][row].numpy().decode() == GENRES[expected.mean(axis=0).argmax()]
        votes = np.bincount(expected.argmax(axis=1), minlength=3)
        assert votes[GENRES.index(answer["genre_majority"][row].numpy().decode())] == votes.max()
        assert answer["n_chunks"][row] == len(starts)


def test_saved_model_says_what_it_takes(run: Path, tmp_path: Path) -> None:
    classify = tf.saved_model.load(str(run / "export" / "1")).signatures["classify_audio"]
    for samples, rate, message in (
        (np.zeros(30000), 44100, "WAV files of 22050 Hz"),
        (np.zeros(20504), 22050, "at least 20505 samples"),
    ):
        soundfile.write(tmp_path / "x.wav", samples, rate, subtype="PCM_16")
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            classify(audio=tf.constant([(tmp_path / "x.wav").read_bytes()]))


def test_an_export_gets_the_next_version(run: Path, tmp_path: Path) -> None:
    model, front_end = load_model(run / "model.keras"), FrontEnd.from_json((run / "front_end.json").read_text())
    (tmp_path / "7").mkdir()
    assert export_model(model, front_end, folder=tmp_path) == tmp_path / "8"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["7", "8"]


def test_a_model_with_other_features_is_not_published(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, front_end = load_model(run / "model.keras"), FrontEnd.from_json((run / "front_end.json").read_text())
    monkeypatch.setattr("keras_model.export.log_mel", lambda chunks, spec: log_mel(chunks, spec=spec) + np.float32(2e-4))
    with pytest.raises(ExportError, match=r"the served log-mels differ from the pipeline's by 0\.0002"):
        export_model(model, front_end, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_predict_prints_genres_and_bars(run: Path, corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = corpus / "noise" / "noise.00001.wav"
    for model in (run, run / "export", run / "export" / "1"):
        assert predict.main([str(model), str(path)]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == f"{path}: noise"
        assert re.fullmatch(r"  noise +\d+\.\d% █+", lines[1])
        assert len(lines) == 1 + len(GENRES)


def test_predict_reads_every_format_and_goes_on_after_a_bad_file(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = synthetic_track("noise", 90, seconds=3.0)
    soundfile.write(tmp_path / "a.flac", samples, SAMPLE_RATE)
    soundfile.write(tmp_path / "b.au", np.stack([samples, samples], axis=1), SAMPLE_RATE)
    soundfile.write(tmp_path / "short.wav", samples[:9000], SAMPLE_RATE)
    (tmp_path / "text.wav").write_text("not audio")
    names = ("a.flac", "text.wav", "none.wav", "short.wav", "b.au")
    assert predict.main([str(run), "--json", *(str(tmp_path / name) for name in names)]) == 1
    captured = capsys.readouterr()
    lines = [json.loads(line) for line in captured.out.splitlines()]
    assert [line.get("genre") for line in lines] == ["noise", None, None, None, "noise"]
    assert lines[0]["n_chunks"] == 5
    assert sum(lines[0]["probabilities"].values()) == pytest.approx(1.0, abs=1e-5)
    for name, reason in (
        ("text.wav", "does not decode"),
        ("none.wav", "No such file"),
        ("short.wav", "too short: 0.41 s, need 0.93 s"),
    ):
        assert re.search(rf"predict: .*{name}: {reason}", captured.err)


def test_outputs_of_a_synthetic_corpus_say_so(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a folder whose name TensorFlow would take for a pattern, exported to another place."""
    shutil.copytree(corpus, tmp_path / "corpus")
    (tmp_path / "corpus" / "corpus.json").write_text('{"name": "beeps", "synthetic": true}')
    data, run, export = tmp_path / "data [1]", tmp_path / "run [é] *", tmp_path / "served [2]"
    build_dataset(BuildOptions(input=tmp_path / "corpus", output=data, chunks_per_track=2))
    options = ["--data", str(data), "--output", str(run), "--export", str(export), "--epochs", "1", "--cache-gib", "0"]
    assert train.main(options) == 0
    screen = capsys.readouterr().out
    assert "Data     beeps (SYNTHETIC): accuracies on it say nothing about music" in screen
    assert "Test split of SYNTHETIC audio" in screen
    assert f"SavedModel  {export / '1'}" in screen
    assert json.loads((run / "metrics.json").read_text())["corpus"] == {"name": "beeps", "synthetic": True}
    assert "Synthetic audio." in (run / "report.html").read_text(encoding="utf-8")
    for model in (run, export):
        assert predict.main([str(model), "--json", str(corpus / "hum" / "hum.00000.wav")]) == 0
        captured = capsys.readouterr()
        assert "trained on SYNTHETIC audio" in captured.err
        assert json.loads(captured.out)["synthetic_model"] is True
    assert evaluate.main([str(run), "--data", str(data)]) == 0
    assert "of beeps (SYNTHETIC)" in capsys.readouterr().out


def test_a_failed_export_costs_nothing_else(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("keras_model.export.FEATURE_TOLERANCE", -1.0)
    assert train.main(["--data", str(dataset), "--output", str(tmp_path / "run"), "--epochs", "1"]) == 1
    assert "train.py: the served log-mels differ" in capsys.readouterr().err
    assert (tmp_path / "run" / "metrics.json").is_file()
    assert (tmp_path / "run" / "report.html").is_file()
    assert list((tmp_path / "run" / "export").iterdir()) == []


def test_a_training_that_diverges_says_so(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--data", str(dataset), "--output", str(tmp_path / "run"), "--epochs", "9", "--learning-rate", "1e30"]
    assert train.main(options) == 1
    assert re.search(
        r"train\.py: the loss became (nan|inf) in epoch \d; a lower --learning-rate may help", capsys.readouterr().err
    )
    assert not (tmp_path / "run" / "metrics.json").exists()


TWO_REPLICAS = """
import sys, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras_model.training
keras_model.training._devices = lambda: ["CPU:0", "CPU:1"]
import train
sys.exit(train.main(sys.argv[1:]))
"""


def test_two_replicas_share_ragged_batches_and_agree_with_the_saved_model(dataset: Path, tmp_path: Path) -> None:
    """48 records in batches of 14: the last one has 6, three for each replica."""
    options: list[str | Path] = [
        "--data",
        dataset,
        "--output",
        tmp_path / "run",
        "--batchnorm",
        "--epochs",
        "2",
        "--learning-rate",
        "3e-4",
    ]
    command: list[str | Path] = [sys.executable, "-c", TWO_REPLICAS, *options, "--batch-size", "14"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Devices  CPU:0, CPU:1" in done.stdout
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    split = load_split(dataset, read_dataset(dataset), "test", cache_bytes=2**30)
    again = evaluate_model(load_model(tmp_path / "run" / "model.keras"), split, GENRES)
    assert again.cross_entropy == pytest.approx(metrics["final"]["cross_entropy"], rel=1e-4)

    command[-1] = "15"
    command[command.index(tmp_path / "run")] = tmp_path / "odd"
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "train.py: the batch size must be a multiple of 2, the number of devices, got 15" in done.stderr


@pytest.mark.parametrize("cache_bytes", [2**30, 0])
def test_replicas_never_get_an_uneven_batch(dataset: Path, cache_bytes: int) -> None:
    split = load_split(dataset, read_dataset(dataset), "train", cache_bytes=cache_bytes, for_training=True)
    sizes = [len(labels) for _, labels in split.training_batches(batch_size=20, seed=0, n_epochs=2, n_replicas=5)]
    assert sizes == [20, 20, 5] * 2
    assert split.n_batches(20, n_replicas=5) == 3
    assert split.n_batches(16, n_replicas=4) == 3


def test_a_served_tie_goes_to_the_higher_sum(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two chunks for the first genre, two for the second, whose probabilities are higher by less than float32 adds to a vote."""
    table = np.array([[0.6, 0.4, 0.0], [0.6, 0.4, 0.0], [0.4, 0.6000001, 0.0], [0.4, 0.6000001, 0.0]], np.float32)
    front_end = FrontEnd.from_json((run / "front_end.json").read_text())
    served = ServedModel(load_model(run / "model.keras"), front_end, run / "front_end.json")
    monkeypatch.setattr(served, "_probabilities", lambda log_mel: tf.constant(table))
    spec = front_end.spec
    soundfile.write(tmp_path / "x.wav", np.zeros(spec.chunk_samples + 3 * spec.chunk_step), SAMPLE_RATE, subtype="PCM_16")
    answer = served.classify_audio(tf.constant([(tmp_path / "x.wav").read_bytes()]))
    votes = vote(table, ["x"] * 4)
    assert GENRES[votes.majority[0]] == answer["genre_majority"][0].numpy().decode() == GENRES[1]


def test_predict_without_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict.main([str(tmp_path), "x.wav"]) == 2
    assert "there is no exported model in" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["assets", "variables", "saved_model.pb"])
def test_predict_with_a_damaged_model(run: Path, tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(run / "export" / "1", tmp_path / "model")
    if damage == "saved_model.pb":
        (tmp_path / "model" / damage).write_bytes(b"not a model")
    else:
        shutil.rmtree(tmp_path / "model" / damage)
    assert predict.main([str(tmp_path / "model"), "x.wav"]) == 2
    error = capsys.readouterr().err
    assert "is no whole model that train.py exported" in error
    assert len(error.splitlines()) == 1


def altered(dataset: Path, folder: Path, change: str) -> Path:
    shutil.copytree(dataset, folder)
    shard = sorted(folder.glob("train-*.tfrecord"))[0]
    if change == "manifest":
        (folder / "dataset.json").unlink()
    elif change == "missing":
        shard.unlink()
    elif change == "tracks":
        (folder / "tracks.jsonl").write_text("")
    elif change == "spec":
        manifest = read_dataset(dataset)
        spec = dataclasses.replace(manifest.spec, n_fft=1024)
        (folder / "dataset.json").write_text(dataclasses.replace(manifest, spec=spec).to_json())
    else:
        data = bytearray(shard.read_bytes())
        data[len(data) // 2] ^= 1
        shard.write_bytes(data)
    return folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("manifest", r"no dataset: .* has no dataset\.json; make one with: .*run_pipeline\.py --runner DirectRunner --output"),
        ("tracks", r"tracks\.jsonl was altered"),
        ("spec", r"was made with another spec than preset 'paper' has in this version"),
        ("missing", r"train-00000-of-00002\.tfrecord is missing; make it again"),
        ("flipped bit", r"train-00000-of-00002\.tfrecord was altered: its SHA-256 differs"),
    ],
)
def test_a_damaged_dataset_is_refused(
    dataset: Path, tmp_path: Path, change: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = altered(dataset, tmp_path / "dataset", change)
    assert train.main(["--data", str(folder), "--output", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_without_data_the_command_that_makes_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ((), ("data/tfrecords",)):
        for name in folder:
            Path(name).mkdir(parents=True)
        assert train.main([]) == 2
        assert re.fullmatch(
            r"train\.py: no dataset: .*data/tfrecords.*; make one with: \S*python run_pipeline\.py --runner DirectRunner\n",
            capsys.readouterr().err,
        )


def test_a_run_never_mixes_with_another(dataset: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(["--data", str(dataset), "--output", str(run)]) == 2
    assert f"the output {run} exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options", [["--epochs", "0"], ["--seed", "-1"], ["--learning-rate", "nan"], ["--dropout", "1"], ["--l1", "x"], ["--bn"]]
)
def test_unusable_options_are_status_2(options: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        train.main(options)
    assert caught.value.code == 2


def test_ctrl_c_saves_what_was_trained(dataset: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command: list[str | Path] = [sys.executable, "train.py", *OPTIONS, "--data", dataset, "--output", folder, "--epochs", "500"]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    history, deadline = folder / "history.csv", time.monotonic() + 120
    while not (history.exists() and len(history.read_text().splitlines()) > 2):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    output, error = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Interrupted: saving what was trained so far." in output
    assert "Traceback" not in error
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["interrupted"]
    assert 2 <= len(metrics["epochs"]) < 500
    assert (folder / "report.html").is_file()
    assert (folder / "export" / "1" / "saved_model.pb").is_file()
    manifest: Manifest = read_dataset(dataset)
    assert load_model(folder / "model.keras").output_shape == (None, len(manifest.genres))
