"""The SavedModel and prediction: the same answer as the network and the pipeline, and clear words on bad files."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from keras_model import predict
from keras_model.export import ExportError, export_model
from keras_model.front_end import FrontEnd
from keras_model.served_model import ServedModel
from keras_model.training import load_model
from keras_model.voting import vote
from tests.conftest import GENRES, SAMPLE_RATE, synthetic_track
from tfrecords.log_mel import cut_chunks, log_mel


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
