"""`tfrecords.verify` as a whole: intact datasets, several damages at once, one pass in little memory, and the command line."""

import dataclasses
import re
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from tests import test_verify_claims as claims
from tests import test_verify_shards as shards
from tests.tiny_dataset import SPEC, TinyDataset, problems
from tfrecords import verify
from tfrecords.records.framing import frame
from tfrecords.records.schema import encode
from tfrecords.verification.dataset_check import DatasetCheck


@pytest.fixture
def tiny(tmp_path: Path) -> TinyDataset:
    return TinyDataset(tmp_path / "tiny")


@pytest.mark.parametrize("standardization", ["none", "per_band", "per_pixel"])
def test_an_intact_dataset_passes(tmp_path: Path, standardization: Any) -> None:
    tiny = TinyDataset(tmp_path / "tiny", spec=dataclasses.replace(SPEC, standardization=standardization))
    (tiny.folder / "rejected.jsonl").touch()
    (tiny.folder / "a folder").mkdir()
    assert problems(tiny.folder) == []


def test_the_pipelines_own_dataset_passes(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main([str(dataset)]) == 0
    out, err = capsys.readouterr()
    assert re.fullmatch(
        rf"{dataset}: all as dataset\.json says; 4 shard\(s\), 18 tracks, 72 records, \d\.\d MiB in \d+\.\d s\n", out
    )
    assert err == ""  # no progress bar, for this is no terminal


def test_several_damages_are_all_found(tiny: TinyDataset) -> None:
    claims.give_two_splits_one_group(tiny)
    shards.double_a_record(tiny)
    claims.alter_statistics(tiny)
    claims.rename_the_corpus(tiny)
    shards.flip_a_bit_in_a_record(tiny)
    shards.add_stray_files(tiny)
    (tiny.folder / "validation-00001-of-00002.tfrecord").unlink()
    found = "\n".join(problems(tiny.folder))
    for part in (
        "dataset.json: was altered",
        "group 'an artist' lies in two splits",
        f"{shards.TRAIN_0}: record 1 (byte 0): damaged record",
        "dataset.json: split 'train' has 19 records, tracks.jsonl lists 18",
        "dataset.json: split 'test': statistics.band_mean[0]",
        "test-00002-of-00003.tfrecord: is not named",
        "validation-00001-of-00002.tfrecord: is missing",
    ):
        assert part in found


def test_each_byte_is_read_once(tiny: TinyDataset) -> None:
    sizes: list[int] = []
    assert not list(DatasetCheck(tiny.folder).problems(progress=sizes.append))
    files = [path for path in tiny.folder.iterdir() if path.name != "dataset.json"]
    assert sum(sizes) == sum(path.stat().st_size for path in files)


def test_memory_does_not_grow_with_a_shard(tiny: TinyDataset) -> None:
    def peak(n_records: int) -> int:
        tiny.edit(shards.TRAIN_0, frame(encode(tiny.shards[shards.TRAIN_0][0])) * n_records)
        tracemalloc.start()
        n_problems = sum(1 for _ in DatasetCheck(tiny.folder).problems())
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert n_problems > n_records - 1
        return most

    peak(1)  # imports and caches
    assert peak(3000) < peak(30) + 100_000


def test_the_command_line_lists_and_counts(tiny: TinyDataset, capsys: pytest.CaptureFixture[str]) -> None:
    claims.claim_more_chunks(tiny)
    shards.remove_a_shard(tiny)
    assert verify.main([str(tiny.folder), "--limit", "3"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if line.startswith("tracks.jsonl: line")]) == 3
    assert "tracks.jsonl: 15 more problem(s)" in lines
    assert re.fullmatch(r".*tiny: 21 PROBLEM\(S\); 6 shard\(s\), 18 tracks, \d+ records, 0\.0 MiB in \d+\.\d s", lines[-1])
    assert verify.main([str(tiny.folder), "--limit", "0"]) == 1
    assert len(capsys.readouterr().out.splitlines()) == 22


def test_where_there_is_no_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    for folder, message in (("none", "there is no dataset in "), ("empty", "is no whole dataset: it has no dataset.json")):
        assert verify.main([str(tmp_path / folder)]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert message in err
        assert len(err.splitlines()) == 1
    with pytest.raises(SystemExit) as caught:
        verify.main([str(tmp_path), "--limit", "-1"])
    assert caught.value.code == 2
