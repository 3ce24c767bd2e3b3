"""What `pip install .` installs: a wheel is made of the files of a clone, and run where nothing else of the project is."""

import ast
import shutil
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.conftest import REPOSITORY, made_once
from tests.predicting import write_song
from tfrecords.command_line.extras import EXTRAS
from tfrecords.command_line.programs import COMMANDS

PACKAGES = ("beam_pipeline", "keras_model", "tfrecords")
# Finds the installed packages and nothing else of the project's, and none of those that are to be missing.
_BEGIN = """
import sys
sys.path.insert(0, {site!r})
sys.modules.update(dict.fromkeys({missing!r}))
"""
# As the installer's script does.
_CONSOLE = """
sys.argv = ["/usr/bin/gtzan-genres", *{arguments!r}]
from tfrecords.console import main
sys.exit(main())
"""
_LIBRARY = """
import beam_pipeline, keras_model, tfrecords
assert {{one.__version__ for one in (beam_pipeline, keras_model, tfrecords)}} == {{"0.1.0"}}
assert tfrecords.__file__.startswith({site!r})
print(tfrecords.log_mels({song!r}).shape)
assert not {{"tensorflow", "apache_beam"}} & {{name for name, module in sys.modules.items() if module}}
for use in (lambda: keras_model.build, keras_model.load):
    try:
        use()
    except ValueError as error:
        print(error)
"""


def files_in(root: Path) -> set[str]:
    """The packages' files, by their paths."""
    paths = (path for package in PACKAGES for path in (root / package).rglob("*"))
    return {str(path.relative_to(root)) for path in paths if path.is_file() and "__pycache__" not in path.parts}


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel was unpacked to; beside it the wheel."""

    def make(folder: Path) -> None:
        clone = folder / "clone"
        for name in {*files_in(REPOSITORY), "setup.py", "pyproject.toml"}:
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, clone / name)
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
        subprocess.run([*pip, "--wheel-dir", folder, clone], check=True)
        (wheel,) = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder / "site")

    return made_once("installed", make, tmp_path_factory) / "site"


def python(code: str, *, site: Path, missing: tuple[str, ...] = ()) -> tuple[int, str, str]:
    command = [sys.executable, "-I", "-c", _BEGIN.format(site=str(site), missing=missing) + code]
    done = subprocess.run(command, cwd=site.parent, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def console(site: Path, *arguments: str, missing: tuple[str, ...] = ()) -> tuple[int, str, str]:
    return python(_CONSOLE.format(arguments=arguments), site=site, missing=missing)


def test_the_wheel_holds_the_three_packages_whole_and_nothing_else(installed: Path) -> None:
    info = "gtzan_genres-0.1.0.dist-info"
    assert {path.name for path in installed.iterdir()} == {*PACKAGES, info}
    assert files_in(installed) == files_in(REPOSITORY)
    points = (installed / info / "entry_points.txt").read_text()
    assert points.strip() == "[console_scripts]\ngtzan-genres = tfrecords.console:main"


def test_the_console_script_has_every_command(installed: Path) -> None:
    status, out, _ = console(installed, "--help")
    assert status == 0
    assert all(f"\n  {name} " in out for name in COMMANDS)
    assert console(installed, "--version") == (0, "gtzan-genres 0.1.0\n", "")
    status, _, err = console(installed, "trian")
    assert (status, err.splitlines()[1:]) == (2, [])
    assert err.startswith("gtzan-genres: argument COMMAND: invalid choice: 'trian'")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_its_help_without_any_extra(command: str, installed: Path) -> None:
    extras = tuple(package for packages in EXTRAS.values() for package in packages)
    status, out, err = console(installed, command, "--help", missing=extras)
    assert (status, err) == (0, "")
    assert out.startswith(f"usage: gtzan-genres {command} ")
    assert "python -m" not in out
    assert ".py " not in out


def test_its_hints_name_the_console_script(installed: Path) -> None:
    assert console(installed, "train")[2].endswith("make one with: gtzan-genres pipeline --runner DirectRunner\n")
    status, _, err = console(installed, "pipeline", "--input", "none")
    assert (status, err.partition(": ")[0]) == (2, "pipeline")
    assert console(installed, "predict", "none", "song.mp3")[2].endswith("one that gtzan-genres train --export wrote to\n")


def test_without_the_extra_a_line_says_what_to_install(installed: Path, tmp_path: Path) -> None:
    song = tmp_path / "song.wav"
    write_song(song)
    reason = "this needs {}, which the extra 'train' brings: pip install 'gtzan-genres[train]'\n"
    missing = ("tensorflow", "keras")
    assert console(installed, "predict", str(song), missing=missing) == (2, "", f"predict: {reason.format('tensorflow')}")
    code = _LIBRARY.format(site=str(installed), song=str(song))
    expected = "(5, 80, 80)\n" + 2 * reason.format("keras")
    assert python(code, site=installed, missing=missing) == (0, expected, "")


def test_every_import_is_a_requirement_or_of_an_extra(installed: Path) -> None:
    metadata = message_from_bytes((installed / "gtzan_genres-0.1.0.dist-info" / "METADATA").read_bytes())
    needed = [Requirement(line) for line in metadata.get_all("Requires-Dist", [])]
    brought = {one.name for one in needed if one.marker is None}
    imported = set()
    for path in installed.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    extras = {package for packages in EXTRAS.values() for package in packages}
    # boto3 is Beam's client of S3, jax the backend of Keras that the user chose.
    imported -= {*sys.stdlib_module_names, *PACKAGES, *extras, "_typeshed", "boto3", "jax"}
    assert {"protobuf" if name == "google" else name.replace("_", "-") for name in imported} <= brought
