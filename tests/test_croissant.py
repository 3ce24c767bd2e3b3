"""The output folder opens in Croissant's own reader."""

import hashlib
from pathlib import Path

import mlcroissant
import pytest

from tests.conftest import write_tracks
from tests.helpers import build, json_lines
from tfrecords.dataset.folder import read_dataset
from tfrecords.dataset.manifest import Manifest


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("croissant")
    write_tracks(folder / "corpus" / "genres", n_tracks=2)
    build(folder / "corpus", folder / "out", num_shards=2)
    return folder / "out"


@pytest.fixture(scope="module")
def croissant(output: Path) -> mlcroissant.Dataset:
    return mlcroissant.Dataset(str(output / "croissant.json"))


def test_it_is_valid(croissant: mlcroissant.Dataset) -> None:
    """Nothing is missing but what the pipeline does not know: whom to cite, and a date, which would differ from run to run."""
    issues = croissant.metadata.issues
    assert not issues.errors
    missing = sorted(str(warning).split('"')[1].rpartition("/")[2] for warning in issues.warnings)
    assert missing == ["citeAs", "datePublished"]


def test_its_records_are_the_tracks(croissant: mlcroissant.Dataset, output: Path) -> None:
    (listed,) = output.glob("tracks-*.jsonl")
    expected = json_lines(listed)
    records = list(croissant.records("tracks"))
    assert len(records) == len(expected) == 6
    for record, track in zip(records, expected, strict=True):
        texts = {key: value.decode() if isinstance(value, bytes) else value for key, value in record.items()}
        assert texts == {f"tracks/{key}": value for key, value in track.items()}


def test_its_files_are_the_datasets(croissant: mlcroissant.Dataset, output: Path) -> None:
    manifest: Manifest = read_dataset(output)
    named = {file.content_url: file.sha256 for file in croissant.metadata.distribution}
    assert set(named) == {"dataset.json", manifest.tracks_file, *(shard.name for shard in manifest.shards)}
    assert named == {name: hashlib.sha256((output / name).read_bytes()).hexdigest() for name in named}
