"""The notebooks, run from top to bottom in an empty folder, with the sounds that they make up."""

import tempfile
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from traitlets.config import Config

from tests.conftest import REPOSITORY
from tests.waiting import HANG_SECONDS


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """What the cells of a notebook printed."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    notebook = nbformat.read(REPOSITORY / "examples" / f"{request.param}.ipynb", as_version=4)
    # They talk through sockets in a folder, whose path may not be long, and not through ports.
    with tempfile.TemporaryDirectory() as jupyter:
        for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
            monkeypatch.setenv(name, jupyter)
        config = Config(KernelManager={"transport": "ipc", "ip": f"{jupyter}/kernel"})
        NotebookClient(notebook, timeout=HANG_SECONDS, resources={"metadata": {"path": tmp_path}}, config=config).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return "".join(output.text for output in outputs if output.get("name") == "stdout")


@pytest.mark.usefixtures("wheel")
@pytest.mark.parametrize("ran", ["quickstart"], indirect=True)
def test_from_a_file_to_a_genre_and_to_fit(ran: str, tmp_path: Path) -> None:
    assert "<Predictor: (96, 126) log-mels to 10 genres" in ran
    assert "train 12 tracks, 96 records\ntest  6 tracks, 48 records\n" in ran
    assert "Epoch 2/2" in ran
    assert "SYNTHETIC" in (tmp_path / "data" / "quickstart" / "README.md").read_text()


@pytest.mark.usefixtures("wheel")
@pytest.mark.parametrize("ran", ["finetune"], indirect=True)
def test_genres_of_ones_own(ran: str, tmp_path: Path) -> None:
    assert "Test split of SYNTHETIC audio: 6 tracks" in ran
    for genre in ("hum", "noise", "pulse"):
        assert f"{genre}.0.wav <Prediction: {genre} " in ran
    assert (tmp_path / "runs" / "finetune" / "export" / "genres" / "1" / "README.md").is_file()


@pytest.mark.parametrize("name", ["quickstart", "finetune"])
def test_what_is_committed_is_code_alone(name: str) -> None:
    notebook = nbformat.read(REPOSITORY / "examples" / f"{name}.ipynb", as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)
    if name == "finetune":
        assert sum(bool(line.strip()) for cell in cells for line in cell.source.splitlines()) < 40
