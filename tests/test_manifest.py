"""`dataset.json`: what it says, and what is refused."""

import dataclasses
import json
from pathlib import Path

import pytest

from tfrecords.dataset.corpus import CorpusInfo
from tfrecords.dataset.folder import read_dataset, read_manifest
from tfrecords.dataset.manifest import DatasetError, Manifest, Shard, SplitSummary
from tfrecords.front_end.augmentation import AUGMENTATIONS
from tfrecords.front_end.log_mel_spec import PRESETS

NAMED = {"name": "a", "rate": 0.5, "semitones": 0}


def manifest() -> Manifest:
    return Manifest(
        corpus=CorpusInfo(name="test"),
        preset="paper",
        spec=PRESETS["paper"],
        split_scheme="stratified",
        seed=0,
        test_fraction=0.25,
        validation_fraction=None,
        chunks_per_track=15,
        genres=("a", "b"),
        splits={"test": SplitSummary(n_tracks=1, n_records=15, statistics={"mean": 1.5})},
        shards=(Shard(name="test-00000-of-00001.tfrecord", split="test", n_records=15, n_bytes=3, sha256="ba7816bf"),),
        standardization=None,
        tracks_sha256="0" * 64,
        code_version="1",
    )


def test_manifest_round_trip() -> None:
    assert Manifest.from_json(manifest().to_json()) == manifest()


def test_an_augmentation_stands_in_the_manifest_where_there_is_one() -> None:
    """A dataset without one has the fingerprint that it had before there were any."""
    assert "augmentation" not in manifest().to_json()
    one = dataclasses.replace(manifest(), augmentation=AUGMENTATIONS["stretch-pitch"])
    assert Manifest.from_json(one.to_json()) == one
    assert one.fingerprint != manifest().fingerprint
    assert json.loads(one.to_json())["augmentation"]["deformations"][0] == {"name": "stretch-0.2", "rate": 0.2, "semitones": 0}


@pytest.mark.parametrize(
    ("augmentation", "message"),
    [
        (None, "damaged"),
        ({}, "damaged"),
        ({"name": "x", "chunks_per_deformation": 3, "deformations": []}, "at least one"),
        ({"name": "x", "chunks_per_deformation": 0, "deformations": [NAMED]}, "must be a positive integer, got 0"),
        ({"name": "x", "chunks_per_deformation": 3, "deformations": [NAMED, NAMED]}, "names of their own"),
        ({"name": "x", "chunks_per_deformation": 3, "deformations": [NAMED | {"rate": 0}]}, "rate of a must lie in"),
        ({"name": "x", "chunks_per_deformation": 3, "deformations": [NAMED | {"rate": "1"}]}, "must be of type float"),
        ({"name": "x", "chunks_per_deformation": 3, "deformations": [NAMED], "more": 1}, "unexpected keyword"),
    ],
)
def test_a_damaged_augmentation_is_refused(augmentation: object, message: str) -> None:
    text = json.dumps(json.loads(manifest().to_json()) | {"augmentation": augmentation})
    with pytest.raises(DatasetError, match=message):
        Manifest.from_json(text)


def test_fingerprint_is_of_the_data_and_not_of_the_code() -> None:
    one = manifest()
    assert dataclasses.replace(one, code_version="2").fingerprint == one.fingerprint
    assert dataclasses.replace(one, seed=1).fingerprint != one.fingerprint
    assert dataclasses.replace(one, spec=PRESETS["full80"]).fingerprint != one.fingerprint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "damaged"),
        ("[]", "damaged"),
        ("{}", "damaged"),
        (manifest().to_json().replace('"seed": 0', '"seed": 1'), "was altered"),
        (manifest().to_json().replace('"format_version": 2', '"format_version": 9'), "format version 9"),
        (manifest().to_json().replace('"n_mels": 80', '"n_mels": 0'), "n_mels must be a positive integer"),
        (manifest().to_json().replace('"seed": 0', '"seed": "0"'), "'seed' of Manifest must be of type int, got '0'"),
        (manifest().to_json().replace('"n_bytes": 3', '"n_bytes": null'), "'n_bytes' of Shard must be of type int, got None"),
        (manifest().to_json().replace('"synthetic": false', '"synthetic": 0'), "'synthetic' of CorpusInfo must be of type bool"),
        *(
            (manifest().to_json().replace("test-00000-of-00001.tfrecord", name), "must be that of a file in the folder, got ")
            for name in ("../x", "/etc/passwd", "a/b", "..", ".", "", "a\\\\b", "\\n")
        ),
    ],
)
def test_a_damaged_manifest_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_manifest(tmp_path)


def test_a_folder_without_a_manifest_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"it has no dataset\.json"):
        read_manifest(tmp_path)
    with pytest.raises(DatasetError, match="there is no dataset in"):
        read_manifest(tmp_path / "none")


def test_every_missing_or_altered_shard_is_named(tmp_path: Path) -> None:
    whole = Shard(
        name="test-00000-of-00004.tfrecord",
        split="test",
        n_records=0,
        n_bytes=3,
        sha256="ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",  # of b"abc"
    )
    shards = tuple(dataclasses.replace(whole, name=f"test-{number:05d}-of-00004.tfrecord") for number in range(4))
    for shard, data in zip(shards, (b"abc", b"abcd", b"abd", None), strict=True):
        if data is not None:
            (tmp_path / shard.name).write_bytes(data)
    (tmp_path / "dataset.json").write_text(dataclasses.replace(manifest(), shards=shards).to_json())
    with pytest.raises(
        DatasetError, match="00001-of.* has 4 bytes instead of 3; .*00002-of.* was altered.*; .*00003-of.* is missing"
    ) as caught:
        read_dataset(tmp_path)
    assert "00000-of" not in str(caught.value)
