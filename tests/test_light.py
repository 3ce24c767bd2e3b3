"""Prediction from an ONNX or a LiteRT file: Keras' decisions, with nothing heavy loaded; and files that are none of ours."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest

import keras_model
from keras_model import predict
from keras_model.prediction.model import Predictor
from keras_model.prediction.runtimes import of_tensorflow
from keras_model.serving.portable_formats import export_portable
from tests.conftest import REPOSITORY
from tests.predicting import write_song
from tests.test_portable_formats import front_end, small_network
from tfrecords.errors import UsageError

HEAVY = ("tensorflow", "keras", "apache_beam", "librosa", "sklearn", "matplotlib", "pyarrow")
SUFFIXES = {"onnx": ".onnx", "litert": ".tflite"}
both_formats = pytest.mark.parametrize("form", SUFFIXES)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same network in both formats."""
    folder = tmp_path_factory.mktemp("exported")
    return {form: export_portable(small_network(), front_end(), form, folder=folder, name="genres") for form in SUFFIXES}


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return write_song(tmp_path / "song.wav")


@both_formats
def test_its_answers_are_those_of_keras_and_nothing_heavy_is_loaded(form: str, files: dict[str, Path], song: Path) -> None:
    code = f"import sys; from keras_model import predict; predict.main(sys.argv[1:]); print(set({HEAVY}) & set(sys.modules))"
    command = [sys.executable, "-c", code, str(files[form]), str(song), "--json"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    line, loaded = done.stdout.splitlines()
    assert (loaded, done.stderr) == ("set()", "predict: this model was trained on SYNTHETIC audio; its genres are not music's\n")
    model = small_network()
    expected = Predictor(of_tensorflow(lambda log_mels: model(log_mels[..., np.newaxis])), front_end()).predict(song)
    found = json.loads(line)
    assert (found["genre"], found["genre_majority"]) == (expected.genre, expected.genre_majority)
    assert found["probabilities"] == pytest.approx(dict(expected.ranked), abs=1e-5)


@both_formats
def test_a_library_asks_it_alike(form: str, files: dict[str, Path], song: Path) -> None:
    model = keras_model.load(files[form])
    assert model.front_end == front_end()
    alone = model.predict(song)
    many = np.concatenate([model.probabilities(np.zeros((n, 80, 80), np.float32)) for n in (1, 3, 2)])
    np.testing.assert_allclose(many, np.tile(many[:1], (6, 1)), atol=1e-6)
    assert model.predict(song).to_dict() == alone.to_dict()


@both_formats
def test_what_is_no_model_is_refused_in_one_line(
    form: str, files: dict[str, Path], tmp_path: Path, song: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / files[form].name
    whole = files[form].read_bytes()
    for data in (b"", b"no model", whole[: len(whole) // 2]):
        path.write_bytes(data)
        assert predict.main([str(path), str(song)]) == 2
        printed = capfd.readouterr()
        assert printed.out == ""
        (line,) = printed.err.splitlines()
        assert line.startswith(f"predict: {path} is no whole model that train.py exported: ")
    assert predict.main([str(files[form])]) == 2
    assert capfd.readouterr().err == f"predict: no audio file is named for the model in {files[form]}\n"


def test_a_file_of_another_program_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    proto = onnx.load(files["onnx"])
    del proto.metadata_props[:]
    onnx.save(proto, tmp_path / "a.onnx")
    with zipfile.ZipFile(files["litert"]) as archive:
        start = archive.infolist()[0].header_offset
    (tmp_path / "a.tflite").write_bytes(files["litert"].read_bytes()[:start])
    described = front_end().to_json().replace('"genre 6"', '"genre 6", "genre 7"')
    onnx.helper.set_model_props(proto, {"front_end": described})
    onnx.save(proto, tmp_path / "b.onnx")
    for name, reason in (
        ("a.onnx", "'front_end'"),
        ("a.tflite", "File is not a zip file"),
        ("b.onnx", r"of one log-mel it makes the shape \(1, 7\), expected \(1, 8\)"),
    ):
        with pytest.raises(UsageError, match=rf"{name} is no whole model that train\.py exported: {reason}$"):
            keras_model.load(tmp_path / name)


@pytest.mark.parametrize(
    ("form", "package", "extra"), [("onnx", "onnxruntime", "light"), ("litert", "ai_edge_litert", "formats")]
)
def test_a_missing_runtime_is_named_with_its_installation(
    form: str, package: str, extra: str, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in {package, *(module for module in sys.modules if module.split(".")[0] == package)}:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        UsageError, match=rf"^this needs {package}, which the extra '{extra}' brings: pip install '\.\[{extra}\]'$"
    ):
        keras_model.load(files[form])
