"""ONNX and LiteRT files: in their own runtimes the network's answer, with the front end in them; a wrong one is not written."""

import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter

from keras_model.run_folder import ExportError, FrontEnd
from keras_model.serving import portable_formats
from keras_model.serving.portable_formats import check_batches, export_portable
from tests.networks import FEW_CASES, build, log_mels, with_random_statistics
from tfrecords.dataset.corpus import CorpusInfo
from tfrecords.errors import UsageError
from tfrecords.front_end.log_mel_spec import PRESETS

GENRES = tuple(f"genre {number}" for number in range(7))
# Per pixel as in preset `schindler`, per band as in `full80`.
STATISTICS = {
    columns: {
        "mean": np.random.default_rng(1).normal(11.5, 1, (80, columns)).tolist(),
        "std": np.random.default_rng(2).uniform(0.5, 2, (80, columns)).tolist(),
    }
    for columns in (1, 80)
}
# The file's ending, and the packages that are needed.
FORMATS = {"onnx": ("onnx", ("tf2onnx", "onnx", "onnxruntime")), "litert": ("tflite", ("ai-edge-litert",))}
both_formats = pytest.mark.parametrize("form", FORMATS)


def front_end(preset: str = "paper") -> FrontEnd:
    return FrontEnd(spec=PRESETS[preset], genres=GENRES, corpus=CorpusInfo(name="Töne", synthetic=True), fingerprint="abc123")


def small_network() -> keras.Model:
    keras.utils.set_random_seed(5)
    inputs = keras.Input((80, 80, 1))
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    return keras.Model(inputs, keras.layers.Dense(len(GENRES), activation="softmax", name="genre")(x))


def in_onnx_runtime(path: Path, values: np.ndarray) -> Any:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], {"log_mel": values})[0]


def in_litert(path: Path, values: np.ndarray) -> Any:
    return Interpreter(model_path=str(path)).get_signature_runner()(log_mel=values)["probabilities"]


@pytest.mark.parametrize(("name", "batchnorm"), FEW_CASES)
def test_the_files_answer_as_the_network_does(
    name: str, batchnorm: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The whole batch of 64 is for the other tests' network, which takes it in no time.
    monkeypatch.setattr(portable_formats, "check_batches", lambda spec: [batch[:7] for batch in check_batches(spec)])
    # Every network with and without standardisation would double the time: the one with batch normalisation has it.
    options: dict[str, Any] = {"batchnorm": batchnorm, "n_genres": len(GENRES)}
    if batchnorm or name == "bbnn":
        options["standardization"] = STATISTICS[1 if name == "deep" else 80]
    if batchnorm and name == "shallow":
        options["robust_spec"] = PRESETS["paper"]
    model = with_random_statistics(build(name, **options))
    values = log_mels(2)[..., 0]
    expected = np.asarray(model(values[..., np.newaxis], training=False))
    path = export_portable(model, front_end(), "onnx", folder=tmp_path / "new", name="network")
    np.testing.assert_allclose(in_onnx_runtime(path, values), expected, atol=1e-4)
    path = export_portable(model, front_end(), "litert", folder=tmp_path / "new", name="network")
    np.testing.assert_allclose(in_litert(path, values), expected, atol=1e-4)
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == ["network.onnx", "network.tflite"]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_presets_check_has_batches_of_1_3_and_64(preset: str) -> None:
    batches = check_batches(PRESETS[preset])
    assert [batch.shape for batch in batches] == [(n, *PRESETS[preset].shape) for n in (1, 3, 64)]
    assert all(np.isfinite(batch).all() and batch.dtype == np.float32 for batch in batches)
    assert len(np.unique(batches[2], axis=0)) == 64


def test_an_onnx_file_names_its_front_end_input_and_output(tmp_path: Path) -> None:
    path = export_portable(small_network(), front_end("schindler"), "onnx", folder=tmp_path, name="a")
    onnx.checker.check_model(str(path))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [(value.name, value.shape, value.type) for value in (*session.get_inputs(), *session.get_outputs())] == [
        ("log_mel", ["batch", 80, 80], "tensor(float)"),
        ("probabilities", ["batch", 7], "tensor(float)"),
    ]
    metadata = session.get_modelmeta().custom_metadata_map
    assert FrontEnd.from_json(metadata["front_end"]) == front_end("schindler")
    assert json.loads(metadata["genres"]) == list(GENRES)


def test_a_litert_file_names_its_front_end_input_and_output(tmp_path: Path) -> None:
    path = export_portable(small_network(), front_end("full80"), "litert", folder=tmp_path, name="a")
    interpreter = Interpreter(model_path=str(path))
    assert interpreter.get_signature_list() == {"serving_default": {"inputs": ["log_mel"], "outputs": ["probabilities"]}}
    (taken,) = interpreter.get_input_details()
    assert (taken["shape_signature"].tolist(), taken["dtype"]) == ([-1, 80, 80], np.float32)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert FrontEnd.from_json(archive.read("front_end.json").decode()) == front_end("full80")
        assert archive.read("genres.txt").decode().splitlines() == list(GENRES)


def test_the_same_network_is_the_same_litert_file(tmp_path: Path) -> None:
    model = small_network()
    files = [export_portable(model, front_end(), "litert", folder=tmp_path, name=name) for name in "ab"]
    assert files[0].read_bytes() == files[1].read_bytes()


@both_formats
def test_nothing_is_said(form: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    export_portable(small_network(), front_end(), form, folder=tmp_path, name="a")
    assert capfd.readouterr() == ("", "")


@both_formats
def test_a_network_that_changes_after_its_conversion_is_not_written(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    format_ = portable_formats.FORMATS[form]

    def convert_and_change(model: keras.Model, front_end: FrontEnd) -> bytes:
        data = format_.convert(model, front_end)
        model.get_layer("genre").bias.assign_add([1e-2, *[0.0] * (len(GENRES) - 1)])
        return data

    monkeypatch.setitem(portable_formats.FORMATS, form, format_._replace(convert=convert_and_change))
    with pytest.raises(
        ExportError, match=rf"^a\.{FORMATS[form][0]} is not written: for a batch of 1, its probabilities differ .* by 0\.00"
    ):
        export_portable(small_network(), front_end(), form, folder=tmp_path / "new", name="a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("tampered", "problem"),
    [
        (lambda values: values + np.float32(1e-3), r"differ from the network's by 0\.001, more than 1e-04"),
        (lambda values: np.where(values == values.max(), np.nan, values), "differ from the network's by nan"),
        (lambda values: values[:, :-1], r"have the shape \(1, 6\), the network's \(1, 7\)"),
        (lambda values: values[:1], r"for a batch of 3, its probabilities have the shape \(1, 7\)"),
    ],
)
def test_a_file_with_other_answers_is_not_written(
    tampered: Callable[..., Any], problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx_format = portable_formats.FORMATS["onnx"]

    def open_tampered(data: bytes) -> tuple[Callable[..., Any], str]:
        network, description = onnx_format.opened(data)
        return lambda values: tampered(network(values)), description

    monkeypatch.setitem(portable_formats.FORMATS, "onnx", onnx_format._replace(opened=open_tampered))
    with pytest.raises(ExportError, match=problem):
        export_portable(small_network(), front_end(), "onnx", folder=tmp_path, name="a")
    assert list(tmp_path.iterdir()) == []


@both_formats
def test_bytes_that_are_no_model_are_not_written(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_model = portable_formats.FORMATS[form]._replace(convert=lambda model, front_end: b"no model at all" * 9)
    monkeypatch.setitem(portable_formats.FORMATS, form, no_model)
    with pytest.raises(ExportError, match=rf"^a\.{FORMATS[form][0]} cannot be made of this network: .+") as error:
        export_portable(small_network(), front_end(), form, folder=tmp_path, name="a")
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


@both_formats
def test_an_existing_file_stays_as_it_is(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{FORMATS[form][0]}"
    path.write_text("here already")
    with pytest.raises(UsageError, match=rf"a\.{FORMATS[form][0]} exists; choose another name"):
        export_portable(small_network(), front_end(), form, folder=tmp_path, name="a")
    assert path.read_text() == "here already"


@pytest.mark.parametrize(("form", "package"), [(form, package) for form in FORMATS for package in FORMATS[form][1]])
def test_a_missing_package_is_named_with_its_installation(
    form: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = package.replace("-", "_")
    for module in {name, *(module for module in sys.modules if module.split(".")[0] == name)}:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        UsageError, match=rf"a \.{FORMATS[form][0]} file needs {package}, .*pip install '\.\[formats\]'$"
    ) as error:
        export_portable(small_network(), front_end(), form, folder=tmp_path, name="a")
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


@both_formats
def test_a_folder_that_cannot_be_made(form: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match=rf"file/new/a\.{FORMATS[form][0]} cannot be written: Not a directory"):
        export_portable(small_network(), front_end(), form, folder=tmp_path / "file" / "new", name="a")
