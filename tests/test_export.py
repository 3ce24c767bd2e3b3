"""Exporting: TF Serving's layout, versions, checks, and what lies beside the model."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2
from tensorflow_serving.config import model_server_config_pb2

from keras_model import export
from keras_model.networks.classifiers import load_model
from keras_model.prediction.runtimes import load_saved_model
from keras_model.quiet import load_tensorflow
from keras_model.run_folder import ExportError
from keras_model.serving.export_check import check_decisions, check_export
from keras_model.serving.serving_files import write_serving_files
from tests.conftest import GENRES, REPOSITORY, synthetic_track
from tests.served import by_pipeline, front_end_of, rows, version_of, wav
from tfrecords.front_end.log_mel import log_mel


@pytest.fixture(scope="module")
def exports(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two models, one with a version 8 of two chunks a track, which a user made whose umask is strict."""
    folder = tmp_path_factory.mktemp("served") / "models"
    shutil.copytree(run / "export", folder)
    shutil.copytree(run / "export" / "genres", folder / "another")
    (folder / "genres" / "7").mkdir()
    umask = os.umask(0o077)
    try:
        assert export.main([str(run), "--to", str(folder), "--chunks", "2"]) == 0
    finally:
        os.umask(umask)
    return folder


def test_versions_are_numbered_and_never_overwritten(exports: Path) -> None:
    assert sorted(path.name for path in (exports / "genres").iterdir()) == ["1", "7", "8"]


def test_a_version_has_labels_and_spec_and_the_result_of_its_check(run: Path, exports: Path) -> None:
    version = exports / "genres" / "1"
    assert (version / "assets" / "labels.txt").read_text() == "".join(f"{genre}\n" for genre in GENRES)
    assert (version / "assets" / "front_end.json").read_text() == (run / "front_end.json").read_text()
    checked = json.loads((version / "assets.extra" / "export_check.json").read_text())
    assert set(checked) == {
        *("log_mel", "probabilities", "examples", "waveforms", "neighbours"),
        *("tracks_22050_hz", "tracks_44100_hz", "tracks_48000_hz"),
    }
    for result in checked.values():
        assert 0 <= result["difference"] <= result["tolerance"]
    assert checked["log_mel"]["tolerance"] == 1e-4
    assert checked["probabilities"]["tolerance"] == 1e-5


def test_models_config_names_every_model(exports: Path) -> None:
    config = text_format.Parse((exports / "models.config").read_text(), model_server_config_pb2.ModelServerConfig())
    models = {model.name: (model.base_path, model.model_platform) for model in config.model_config_list.config}
    assert models == {
        "another": ("/models/another", "tensorflow"),
        "genres": ("/models/genres", "tensorflow"),
    }


def test_files_of_the_user_are_kept(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("mine")
    for name in ("genres/1", 'we"ird/1', ".hidden/1", "empty/1", "7/1"):
        (tmp_path / name).mkdir(parents=True)
        if not name.startswith("empty"):
            (tmp_path / name / "saved_model.pb").write_text("")
    write_serving_files(tmp_path)
    assert (tmp_path / "compose.yaml").read_text() == "mine"
    assert "pad_variable_length_inputs: true" in (tmp_path / "batching.config").read_text()
    assert re.findall(r'name: "(.*?)"', (tmp_path / "models.config").read_text()) == ["genres"]


def test_warm_up_requests_are_answered(exports: Path) -> None:
    version = exports / "genres" / "8"
    signatures = load_saved_model(version).signatures
    names = set()
    for record in tf.data.TFRecordDataset(str(version / "assets.extra" / "tf_serving_warmup_requests")).as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record)
        kind = log.WhichOneof("log_type")
        request = getattr(log, kind).request
        assert request.model_spec.name == "genres"
        names.add(request.model_spec.signature_name)
        if kind == "classify_log":
            examples = [example.SerializeToString() for example in request.input.example_list.examples]
            answer = signatures[request.model_spec.signature_name](inputs=tf.constant(examples))
            assert answer["classes"].numpy().tolist() == [[genre.encode() for genre in GENRES]]
        else:
            inputs = {key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()}
            (row,) = rows(signatures[request.model_spec.signature_name](**inputs))
            assert row["error"] == ""
    assert names == {"serving_default", "classify_waveform", "classify_audio", "classify_examples"}


def test_the_method_names_are_those_that_tf_serving_looks_for(exports: Path) -> None:
    saved_model = saved_model_pb2.SavedModel.FromString((exports / "genres" / "1" / "saved_model.pb").read_bytes())
    (graph,) = saved_model.meta_graphs
    methods = {name: signature.method_name.removeprefix("tensorflow/serving/") for name, signature in graph.signature_def.items()}
    assert methods == {
        "__saved_model_init_op": "",
        "serving_default": "predict",
        "classify_waveform": "predict",
        "classify_audio": "predict",
        "classify_examples": "classify",
    }


def test_as_many_chunks_as_asked_for(run: Path, exports: Path) -> None:
    file = wav(synthetic_track("ticks", 3, seconds=5.0))
    (row,) = rows(load_saved_model(exports / "genres" / "8").signatures["classify_audio"](audio=tf.constant([file])))
    expected = by_pipeline(run, file, n_wanted=2)
    assert row["n_chunks"] == expected.n_chunks == 2
    np.testing.assert_allclose(row["chunk_start_seconds"], expected.chunk_start_seconds, rtol=1e-6)
    np.testing.assert_allclose(row["probabilities"], expected.probabilities, atol=1e-4)


def test_what_an_export_writes_is_readable_by_everyone(exports: Path) -> None:
    """TF Serving's container runs as it likes, over a volume that is mounted read-only; whatever the umask of who exports."""
    version = exports / "genres" / "8"
    for path in (exports / "models.config", version, *version.rglob("*")):
        mode = path.stat().st_mode
        assert mode & stat.S_IROTH, path
        assert not path.is_dir() or mode & stat.S_IXOTH, path


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_loads_it(run: Path, exports: Path) -> None:
    """As nobody, from a copy whose folders nobody may write to; Python and TensorFlow are imported before the change."""
    code = """
import os, shutil, sys, tempfile
import tensorflow as tf
open_to_all = tempfile.mkdtemp()
os.chmod(open_to_all, 0o755)
model = shutil.copytree(sys.argv[1], os.path.join(open_to_all, "model"))
os.setgid(65534), os.setuid(65534)
assert not os.access(model, os.W_OK)
served = tf.saved_model.load(model)
answer = served.signatures["serving_default"](log_mel=tf.zeros((1, 80, 80)))
print(sorted(served.signatures), float(answer["probabilities"][0, 0]) >= 0)
"""
    command = [sys.executable, "-c", code, str(exports / "genres" / "1")]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "classify_audio" in done.stdout
    assert "True" in done.stdout


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ("PROBABILITY_TOLERANCE", r"the served probabilities differ from the network's by [\d.e-]+, more than"),
        ("TRACK_TOLERANCE", r"the served probabilities of tracks of 22050 Hz differ from the pipeline's by"),
        ("RESAMPLED_TOLERANCE", r"the served probabilities of tracks of 44100 Hz differ from the pipeline's by"),
        ("NEIGHBOUR_TOLERANCE", r"the served probabilities of waveforms differ from those of files by"),
    ],
)
def test_the_check_refuses_what_is_beyond_a_tolerance(
    run: Path, monkeypatch: pytest.MonkeyPatch, attribute: str, message: str
) -> None:
    monkeypatch.setattr(f"keras_model.serving.export_check.{attribute}", -1.0)
    with pytest.raises(ExportError, match=message):
        check_export(version_of(run), load_model(run / "model.keras"), front_end_of(run))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("genre", r"a track of 22050 Hz is served as '(hum|noise|ticks)', by the pipeline's front end it is"),
        ("genre_majority", r"a track of 22050 Hz is served as '(hum|noise|ticks)', by the pipeline's front end it is"),
        ("n_chunks", r"a track of 22050 Hz is served by 9 chunks, it has \d"),
        ("votes", r"the chunks of a track of 22050 Hz are taken for others"),
    ],
)
def test_the_check_refuses_other_decisions(run: Path, name: str, message: str) -> None:
    file = wav(synthetic_track("noise", 6, seconds=2.5))
    expected = by_pipeline(run, file)
    answer = dict(load_saved_model(version_of(run)).signatures["classify_audio"](audio=tf.constant([file])))
    check_decisions(answer, [expected], 1e-3, 22050)
    other = next(genre for genre in GENRES if genre not in (expected.genre, expected.genre_majority))
    answer[name] = {
        "genre": tf.constant([other]),
        "genre_majority": tf.constant([other]),
        "n_chunks": tf.constant([9]),
        "votes": tf.constant([np.roll(expected.votes, 1)]),
    }[name]
    with pytest.raises(ExportError, match=message):
        check_decisions(answer, [expected], 1e-3, 22050)


def test_a_command_for_one_machine_waits_for_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """With TF_CONFIG, TensorFlow would wait for the workers that it names."""
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}')
    load_tensorflow()
    assert "TF_CONFIG" not in os.environ


def test_chunks_are_for_tracks(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export.main([str(run), "--to", str(tmp_path / "x"), "--format", "onnx", "--chunks", "2"]) == 2
    assert "--chunks is for --format saved-model" in capsys.readouterr().err


def test_a_model_with_other_features_is_not_published(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def shifted(chunks: Any, spec: Any) -> Any:
        return log_mel(chunks, spec=spec) + np.float32(2e-4)

    monkeypatch.setattr("keras_model.serving.export_check.log_mel", shifted)
    assert export.main([str(run), "--to", str(tmp_path)]) == 1
    assert re.search(r"^export: the served log-mels differ from the pipeline's by 0\.0002", capsys.readouterr().err)
    assert [path.name for path in tmp_path.rglob("*")] == ["genres"]


@pytest.mark.parametrize("name", ["", "a/b", "..", "7", "with space", "-x", "é", "models.config", "compose.yaml"])
def test_a_name_that_cannot_be_served_is_refused(
    run: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export.main([str(run), "--to", str(tmp_path / "served"), f"--name={name}"]) == 2
    assert "a model's name has letters, digits" in capsys.readouterr().err
    assert not (tmp_path / "served").exists()


def test_an_empty_name_of_a_folder_is_not_the_current_one(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        export.main([str(run), "--to", ""])
    assert error.value.code == 2
    assert "--to: must name a folder, got ''" in capsys.readouterr().err


def test_an_unfinished_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export.main([str(tmp_path), "--to", str(tmp_path / "served")]) == 2
    assert capsys.readouterr().err == f"export: {tmp_path} is no finished run: it has no model.keras\n"


def test_a_folder_that_cannot_be_written_is_named(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert export.main([str(run), "--to", str(tmp_path / "file")]) == 1
    assert (
        capsys.readouterr().err
        == f"export: the export folder {tmp_path / 'file' / 'genres'} cannot be written: Not a directory\n"
    )


def test_a_full_disk_is_told_in_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorFlow has errors of its own for it."""

    def full(*_: Any) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "variables/variables.data; No space left on device\nmore")

    monkeypatch.setattr("keras_model.serving.served_model.ServedModel.save", full)
    assert export.main([str(run), "--to", str(tmp_path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert (
        line
        == f"export: the export folder {tmp_path / 'genres'} cannot be written: variables/variables.data; No space left on device"
    )
    assert [path.name for path in tmp_path.rglob("*")] == ["genres"]


def test_nothing_is_published_where_another_format_cannot_be(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "genres.onnx").touch()
    assert export.main([str(run), "--to", str(tmp_path), "--format", "saved-model", "onnx"]) == 2
    assert capsys.readouterr().err == f"export: {tmp_path / 'genres.onnx'} exists; choose another name\n"
    assert [path.name for path in tmp_path.rglob("*")] == ["genres.onnx"]


def test_a_damaged_network_is_named(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("export", "backup"))
    data = bytearray((damaged / "model.keras").read_bytes())
    data[len(data) // 2] ^= 1
    (damaged / "model.keras").write_bytes(data)
    assert export.main([str(damaged), "--to", str(tmp_path / "served")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"export: {damaged / 'model.keras'} is damaged: ")


def test_the_runs_own_export_has_the_same_layout(run: Path) -> None:
    assert (version_of(run) / "saved_model.pb").is_file()
    assert {path.name for path in (run / "export").iterdir()} == {"genres", "models.config", "batching.config", "compose.yaml"}


def test_a_copy_of_a_version_is_whole(exports: Path, tmp_path: Path) -> None:
    """Nothing in it points out of it."""
    copy = shutil.copytree(exports / "genres" / "1", tmp_path / "elsewhere")
    answer = load_saved_model(copy).signatures["classify_audio"](
        audio=tf.constant([wav(synthetic_track("noise", 1, seconds=2.0))])
    )
    assert rows(answer)[0]["genre"] in GENRES
    assert not any(path.is_symlink() for path in copy.rglob("*"))
