"""Which model a path means."""

import shutil
from pathlib import Path

import pytest

from keras_model.prediction.finding import find_model, find_model_and_files
from tfrecords.errors import UsageError


def version(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "saved_model.pb").touch()
    return path


def test_the_newest_version_by_number(tmp_path: Path) -> None:
    newest = version(tmp_path / "run" / "export" / "genres" / "10")
    version(tmp_path / "run" / "export" / "genres" / "9")
    version(tmp_path / "run" / "export" / ".export-x" / "11")  # unfinished
    (tmp_path / "run" / "export" / "genres" / "12").mkdir()  # no model
    (tmp_path / "run" / "export" / "models.config").touch()
    for path in (newest, newest.parent, newest.parent.parent, newest.parent.parent.parent):
        assert find_model(path) == newest


def test_versions_right_below_the_export_folder(tmp_path: Path) -> None:
    newest = version(tmp_path / "export" / "2")
    assert find_model(tmp_path) == find_model(tmp_path / "export") == newest


def test_a_run_that_was_exported_elsewhere(tmp_path: Path) -> None:
    """Where others export to as well: its own version is meant, not the newest."""
    versions = [version(tmp_path / "served" / "genres" / number) for number in ("1", "2")]
    for run, model in zip(("first", "second"), versions, strict=True):
        (tmp_path / run).mkdir()
        (tmp_path / run / "exported.txt").write_text(f"{model}\n")
        assert find_model(tmp_path / run) == model
    shutil.rmtree(versions[0])
    with pytest.raises(UsageError, match=r"first was exported to .*served/genres/1, which is gone$"):
        find_model(tmp_path / "first")


def test_several_models_are_named(tmp_path: Path) -> None:
    version(tmp_path / "export" / "shallow" / "1")
    version(tmp_path / "export" / "deep" / "3")
    with pytest.raises(UsageError, match="export holds several models, deep, shallow: give one of them"):
        find_model(tmp_path)
    assert find_model(tmp_path / "export" / "deep").name == "3"


def test_no_model(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no exported model in"):
        find_model(tmp_path)


def test_a_name_that_is_too_long_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no exported model in"):
        find_model(tmp_path / ("x" * 300))


def test_a_file_is_taken_where_there_is_no_saved_model(tmp_path: Path) -> None:
    onnx, litert = tmp_path / "served" / "genres.onnx", tmp_path / "served" / "genres.tflite"
    litert.parent.mkdir()
    litert.touch()
    assert find_model(litert) == find_model(tmp_path / "served") == litert
    onnx.touch()
    assert find_model(tmp_path / "served") == onnx
    (tmp_path / "served" / "deep.onnx").touch()
    with pytest.raises(UsageError, match=r"served holds several models, deep\.onnx, genres\.onnx: give one of them"):
        find_model(tmp_path / "served")
    newest = version(tmp_path / "served" / "genres" / "1")
    assert find_model(tmp_path / "served") == newest


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no exported model in .*none\.onnx"):
        find_model_and_files([str(tmp_path / "none.onnx"), "song.wav"])
