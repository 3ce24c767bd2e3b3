"""The direction of imports, and what workers must not load."""

import ast
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

ALLOWED = {
    "tfrecords": {"tfrecords"},
    "beam_pipeline": {"beam_pipeline", "tfrecords"},
    "keras_model": {"keras_model", "tfrecords"},
}
# Of a package's own packages, which others each may import.
ALLOWED_WITHIN: dict[str, dict[str, set[str]]] = {
    "keras_model": {
        "pretrained": set(),
        "networks": {"pretrained"},
        "data": set(),
        "evaluation": {"data"},
        "training": {"networks", "pretrained", "data", "evaluation"},
        "reports": {"evaluation"},
        "prediction": {"networks", "evaluation"},
        "page": {"prediction"},
        "serving": {"prediction", "evaluation"},
        "serving_client": {"prediction"},
    },
    "tfrecords": {
        "audio": set(),
        "command_line": set(),
        "front_end": set(),
        "dataset": {"command_line", "front_end"},
        "records": {"dataset"},
        "cards": {"dataset", "records"},
        "display": {"dataset", "front_end", "records"},
        "verification": {"cards", "dataset", "front_end", "records"},
    },
}


def imported_modules(folder: str) -> dict[str, set[str]]:
    found = {}
    for path in (REPOSITORY / folder).rglob("*.py"):
        names = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
        found[str(path.relative_to(REPOSITORY))] = names
    return found


def imported_packages(package: str) -> dict[str, set[str]]:
    return {path: {name.split(".")[0] for name in names} for path, names in imported_modules(package).items()}


@pytest.mark.parametrize("package", ALLOWED)
def test_packages_import_in_one_direction(package: str) -> None:
    files = imported_packages(package)
    assert files
    for name, names in files.items():
        ours = names & {*ALLOWED, "run_pipeline", "train", "tests", "benchmarks"}
        assert ours <= ALLOWED[package], f"{name} imports {ours - ALLOWED[package]}"


@pytest.mark.parametrize("package", ALLOWED_WITHIN)
def test_what_is_within_a_package_imports_in_one_direction(package: str) -> None:
    allowed = ALLOWED_WITHIN[package]
    assert {path.parent.name for path in (REPOSITORY / package).glob("*/__init__.py")} == set(allowed)
    for inner in allowed:
        for path, names in imported_modules(f"{package}/{inner}").items():
            used = {name.split(".")[1] for name in names if name.startswith(f"{package}.")} & set(allowed)
            assert used <= {inner} | allowed[inner], f"{path} imports {used}"


def test_only_the_pipeline_imports_beam() -> None:
    for package in ("tfrecords", "keras_model"):
        assert all("apache_beam" not in names for names in imported_packages(package).values())


@pytest.mark.parametrize(
    ("modules", "forbidden"),
    [
        ("beam_pipeline.run, beam_pipeline.extract.extractor, beam_pipeline.corpora.demo", ("tensorflow", "keras")),
        (
            "keras_model.augmentation, keras_model.run, keras_model.predict, train",
            ("tensorflow", "keras", "apache_beam", "huggingface_hub", "jinja2"),
        ),
        ("beam_pipeline.extract.extractor, beam_pipeline.extract.deform", ("librosa", "numba", "tensorflow")),
        ("keras_model.app", ("tensorflow", "keras", "gradio", "matplotlib")),
        ("keras_model.download", ("tensorflow", "keras", "apache_beam")),
        ("keras_model.summary", ("tensorflow", "keras", "apache_beam", "matplotlib", "jinja2")),
        ("run_pipeline", ("apache_beam", "tensorflow", "requests", "huggingface_hub")),
        ("beam_pipeline.download", ("apache_beam", "tensorflow", "librosa", "numpy", "huggingface_hub")),
        ("tfrecords.cards", ("tensorflow", "tensorflow_datasets", "mlcroissant", "huggingface_hub", "yaml", "jinja2")),
        ("tfrecords.verify, tfrecords.show", ("apache_beam", "jinja2", "matplotlib", "tensorflow", "pyarrow")),
        ("tfrecords", ("apache_beam", "tensorflow", "pyarrow", "numpy")),
    ],
)
def test_heavy_packages_are_not_loaded(modules: str, forbidden: tuple[str, ...]) -> None:
    code = f"import sys, {modules}; print(sorted(set(sys.modules) & set({forbidden!r})))"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
