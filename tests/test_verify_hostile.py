"""Nothing that stands in a dataset's files brings `tfrecords.verify` down, or onto another line of the screen."""

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tiny_dataset import TinyDataset, problems
from tfrecords import verify
from tfrecords.front_end.augmentation import Augmentation, Deformation
from tfrecords.records.framing import frame

HOSTILE: list[Any] = [
    None,
    True,
    -1,
    0,
    1.5,
    10**400,
    float("nan"),
    float("inf"),
    "",
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    "a\nb\x1b[31m",
    "\ud800",
    "x" * 5000,
    "\0",
    [],
    {},
    [None],
    {"mean": []},
]
SHARD = "train-00000-of-00002.tfrecord"
AUGMENTATION = Augmentation(name="one", deformations=(Deformation(name="fast", rate=1.5),), chunks_per_deformation=2)


@pytest.fixture
def tiny(tmp_path: Path) -> TinyDataset:
    return TinyDataset(tmp_path / "tiny", tracks_per_genre=3, chunks=2, augmentation=AUGMENTATION)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to everything in a JSON value."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, child in children for place in places(child, (*path, key)))]


def altered(value: Any, data: st.DataObject) -> Any:
    """The value with something in it replaced or removed."""
    value = copy.deepcopy(value)
    *parents, last = data.draw(st.sampled_from(places(value)[1:]))
    target = value
    for key in parents:
        target = target[key]
    if data.draw(st.booleans()):
        target[last] = data.draw(st.sampled_from(HOSTILE))
    else:
        del target[last]
    return value


def check(tiny: TinyDataset) -> list[str]:
    texts = problems(tiny.folder)
    for text in texts:
        assert text.isprintable()
        assert len(text) < 1100
    return texts


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_hostile_manifests(tiny: TinyDataset, data: st.DataObject) -> None:
    tiny.write()
    before = json.loads(tiny.bytes_of("dataset.json"))
    after = altered(before, data)
    tiny.edit("dataset.json", json.dumps(after).encode())
    found = check(tiny)
    if json.dumps(after) != json.dumps(before) and after.get("code_version") == before["code_version"]:
        assert found


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_hostile_tracks(tiny: TinyDataset, data: st.DataObject) -> None:
    tiny.write()
    after = [altered(track, data) for track in tiny.tracks]
    tiny.edit("tracks.jsonl", "".join(json.dumps(track) + "\n" for track in after).encode())
    assert check(tiny)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_hostile_bytes(tiny: TinyDataset, data: st.DataObject) -> None:
    tiny.write()
    name = data.draw(st.sampled_from([SHARD, "tracks.jsonl", "dataset.json"]))
    content = bytes(tiny.bytes_of(name))
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(len(content), start + 300)))
    replacement = data.draw(st.binary(max_size=40))
    tiny.edit(name, content[:start] + replacement + content[end:])
    found = check(tiny)
    assert found or content[start:end] == replacement or name == "dataset.json"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_hostile_records(tiny: TinyDataset, record: bytes) -> None:
    tiny.write()
    tiny.edit(SHARD, frame(record))
    assert any(text.startswith(f"{SHARD}: record 1 (byte 0): not a record") for text in check(tiny))


@pytest.mark.parametrize("name", ["a\nb\x1b[31m", "x" * 5000, "\ud800"])
def test_hostile_names(tiny: TinyDataset, name: str) -> None:
    """Wherever they stand, also in a leak."""
    for track, split in zip(tiny.tracks, ("train", name, "test"), strict=False):
        track |= {"split": split, "group": name, "genre": name, "track_id": name, "audio_blake3": name}
    tiny.write(split_scheme=name, genres=(name,), shards=(dataclasses.replace(tiny.manifest.shards[0], split=name),))
    assert sum("lies in two splits" in text for text in check(tiny)) == 4


@pytest.mark.parametrize("text", ["[" * 100_000, "\ufeff{}", "{}", "null", '{"format_version": 2, "fingerprint": []}'])
def test_a_manifest_that_is_none_is_one_problem(tiny: TinyDataset, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.edit("dataset.json", text.encode())
    assert verify.main([str(tiny.folder)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("dataset.json: cannot be used: ")
    assert "1 PROBLEM(S)" in lines[1]
