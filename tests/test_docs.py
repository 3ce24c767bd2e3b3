"""The documentation as a site: it has all public names, its links lead somewhere, and it asks no server for anything."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import beam_pipeline
import keras_model
import tfrecords
from tests.conftest import REPOSITORY
from tests.html_page import Page

PACKAGES = (keras_model, tfrecords, beam_pipeline)
SOURCES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs", "examples", "scripts", "zensical.toml")
_LOADED = re.compile(r'<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)="([^"]*)"')
_STYLED = re.compile(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//")


def build(copy: Path) -> subprocess.CompletedProcess[str]:
    command = ["sh", "scripts/make_docs.sh", str(Path(sys.executable).with_name("zensical"))]
    return subprocess.run(command, cwd=copy, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def copied(folder: Path) -> Path:
    """The folder, with a copy of the pages and of the packages that they tell of."""
    for name in (*SOURCES, *(package.__name__ for package in PACKAGES)):
        source, target = REPOSITORY / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = copied(tmp_path_factory.mktemp("docs"))
    done = build(copy)
    assert done.returncode == 0, done.stdout
    return copy / "build" / "site"


def test_every_public_name_is_told_of(site: Path) -> None:
    page = (site / "docs" / "api.html").read_text()
    names = {f"{package.__name__}.{name}" for package in PACKAGES for name in package.__all__ if not name.startswith("_")}
    assert {name for name in names if f'id="{name}"' not in page} == set()


def test_links_lead_somewhere_and_all_that_is_loaded_lies_beside_the_page(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 15
    for page in pages:
        text = page.read_text()
        loaded = _LOADED.findall(text)
        assert [address for address in loaded if "//" in address] == []
        for address in {*loaded, *Page(page).links}:
            path = address.partition("#")[0]
            if path and "://" not in path and page.name != "404.html":
                assert (page.parent / path).is_file(), f"{page.name} links to {address}"
    assert [style.name for style in site.rglob("*.css") if _STYLED.search(style.read_text())] == []


@pytest.mark.parametrize("line", ["[x](training.md#nowhere)", "::: keras_model.nothing"])
def test_what_leads_nowhere_fails(line: str, tmp_path: Path) -> None:
    with (copied(tmp_path) / "docs" / "api.md").open("a") as page:
        page.write(f"\n{line}\n")
    done = build(tmp_path)
    assert done.returncode != 0
    assert re.search(r"api\.md|keras_model\.nothing", done.stdout)
