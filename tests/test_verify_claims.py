"""Every false claim of `dataset.json` and `tracks.jsonl` is found, and nothing else is said."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_dataset import GENRES, SPEC, Damage, TinyDataset, assert_found, problems
from tfrecords.dataset.manifest import SplitSummary
from tfrecords.verification.problem import TOLERANCE, differences

TRACKS_ALTERED = "tracks.jsonl: was altered: its SHA-256 differs"


def alter_tracks(tiny: TinyDataset) -> None:
    tiny.edit("tracks.jsonl", tiny.bytes_of("tracks.jsonl").replace(b'"path": "blues/blues.00000.wav"', b'"path": "elsewhere"'))


def remove_tracks(tiny: TinyDataset) -> None:
    (tiny.folder / "tracks.jsonl").unlink()


def add_lines_that_are_no_tracks(tiny: TinyDataset) -> None:
    lines = (b"\xff", b"[]", b"[" * 100_000, b'{"track_id": 3}', bytes(2**24 + 1))
    tiny.edit("tracks.jsonl", b"".join(line + b"\n" for line in lines) + tiny.bytes_of("tracks.jsonl"))


def rename_the_corpus(tiny: TinyDataset) -> None:
    tiny.edit("dataset.json", tiny.bytes_of("dataset.json").replace(b'"tiny"', b'"huge"'))


def alter_statistics(tiny: TinyDataset) -> None:
    split = tiny.manifest.splits["test"]
    bands = [split.statistics["band_mean"][0] + 20 * TOLERANCE, *split.statistics["band_mean"][1:]]
    altered = dataclasses.replace(split, statistics={**split.statistics, "band_mean": bands, "max": 3})
    tiny.write(splits={**tiny.manifest.splits, "test": altered})


def forget_the_standardization(tiny: TinyDataset) -> None:
    tiny.write(standardization=None)


def list_a_track_in_two_splits(tiny: TinyDataset) -> None:
    tiny.tracks.append({**tiny.tracks[0], "split": "test"})
    tiny.write()


def list_a_track_twice(tiny: TinyDataset) -> None:
    tiny.tracks.append(tiny.tracks[0])
    tiny.write()


def list_a_track_without_records(tiny: TinyDataset) -> None:
    tiny.tracks.append({**tiny.tracks[0], "track_id": "rock.00009", "audio_blake3": "0" * 64})
    tiny.write()


def give_two_tracks_the_same_audio(tiny: TinyDataset) -> None:
    tiny.tracks[2]["audio_blake3"] = tiny.tracks[0]["audio_blake3"]
    tiny.write()


def give_two_splits_one_group(tiny: TinyDataset) -> None:
    for track in tiny.tracks[:2]:
        track["group"] = "an artist"
    tiny.write()


def claim_more_chunks(tiny: TinyDataset) -> None:
    tiny.write(chunks_per_track=4)


def claim_other_numbers(tiny: TinyDataset) -> None:
    splits = tiny.manifest.splits
    tiny.write(
        splits={**splits, "train": SplitSummary(n_tracks=7, n_records=21, statistics=splits["train"].statistics)},
        shards=(*tiny.manifest.shards[:-1], dataclasses.replace(tiny.manifest.shards[-1], n_records=99)),
    )


def name_a_shard_twice(tiny: TinyDataset) -> None:
    tiny.write(shards=(tiny.manifest.shards[0], *tiny.manifest.shards))


def alter_genre_split_audio_and_length(tiny: TinyDataset) -> None:
    tiny.tracks[0] |= {"genre": "polka", "split": "dev", "audio_blake3": "?", "n_samples": 1}
    tiny.write()


def alter_a_label(tiny: TinyDataset) -> None:
    tiny.tracks[0]["label"] = 2
    tiny.write()


def alter_start_samples(tiny: TinyDataset) -> None:
    tiny.tracks[0]["start_samples"] = [2**70, -1, 5]
    tiny.write()


FIRST = "tracks.jsonl: line 1: track 'blues.00000'"
DAMAGES: dict[Damage, tuple[str, ...]] = {
    alter_tracks: (TRACKS_ALTERED,),
    remove_tracks: ("tracks.jsonl: is missing",),
    add_lines_that_are_no_tracks: (
        "tracks.jsonl: line 1: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
        "tracks.jsonl: line 2: it is no JSON object",
        "tracks.jsonl: line 3: its JSON is nested too deeply",
        "tracks.jsonl: line 4: 'track_id' of a track must be of type str, got 3",
        "tracks.jsonl: line 5: is longer than 16777216 bytes",
        TRACKS_ALTERED,
    ),
    rename_the_corpus: ("dataset.json: was altered: its content does not match its fingerprint",),
    alter_statistics: (
        "dataset.json: split 'test': statistics.band_mean[0] is #.#, but the records give #.# (and 1 more of its values differ)",
    ),
    forget_the_standardization: (
        "dataset.json: standardization is None, but the records give an object with the keys mean, std",
    ),
    list_a_track_in_two_splits: (
        "tracks.jsonl: line 19: track 'blues.00000' lies in two splits, train and test",
        "dataset.json: split 'test' has 18 records, tracks.jsonl lists 21",
    ),
    list_a_track_twice: (
        "tracks.jsonl: line 19: track 'blues.00000' is listed twice",
        "dataset.json: split 'train' has 18 records, tracks.jsonl lists 21",
    ),
    list_a_track_without_records: (
        "dataset.json: split 'train' has 18 records, tracks.jsonl lists 21",
        "tracks.jsonl: track 'rock.00009' lacks 3 of its 3 records, with the start samples #, #, #",
    ),
    give_two_tracks_the_same_audio: (
        "tracks.jsonl: line 3: tracks 'blues.00000' (train) and 'blues.00002' (test) hold the same audio",
    ),
    give_two_splits_one_group: (
        "tracks.jsonl: line 2: group 'an artist' lies in two splits: its tracks 'blues.00000' (train) and "
        "'blues.00001' (validation)",
    ),
    claim_more_chunks: ("tracks.jsonl: line #: track '@' has 3 start samples, dataset.json says 4 chunks per track",) * 18,
    claim_other_numbers: (
        "dataset.json: split 'train' has 21 records, those of its shards add up to 18",
        "dataset.json: split 'validation' has 18 records, those of its shards add up to #",
        "validation-1: holds # records instead of 99",
        "dataset.json: split 'train' has 7 tracks, tracks.jsonl lists 6",
        "dataset.json: split 'train' has 21 records, tracks.jsonl lists 18",
    ),
    name_a_shard_twice: (
        "dataset.json: its shards are doubled, or not in the order of their names",
        "dataset.json: split 'test' has 18 records, those of its shards add up to #",
    ),
    alter_genre_split_audio_and_length: (
        f"{FIRST} is of split 'dev', which dataset.json does not have",
        f"{FIRST} is of genre 'polka', which dataset.json does not have",
        f"{FIRST} has no SHA-256 of its audio",
        f"{FIRST} has chunks that do not lie in its 1 samples",
        *("train-#: record # (byte #): is of track 'blues.00000' of split 'dev', but lies in split 'train'",) * 3,
        *("train-#: record # (byte #): has genre 'blues', its track 'blues.00000' has 'polka'",) * 3,
        "dataset.json: split 'train' has 18 records, tracks.jsonl lists 15",
    ),
    alter_a_label: (f"{FIRST} has label 2, but its genre 'blues' is number 0",),
    alter_start_samples: (
        f"{FIRST} has start samples that do not ascend",
        f"{FIRST} has start samples that are no multiples of 10240",
        f"{FIRST} has chunks that do not lie in its 661500 samples",
        *("train-#: record # (byte #): starts at sample #, which tracks.jsonl does not list for 'blues.00000'",) * 3,
        "tracks.jsonl: track 'blues.00000' lacks 1 of its 1 records, with the start samples 5",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_every_false_claim_is_found(tmp_path: Path, damage: Damage) -> None:
    tiny = TinyDataset(tmp_path / "tiny")
    damage(tiny)
    assert_found(tiny, DAMAGES[damage])


@pytest.mark.parametrize("spec", [{"n_frames": 8}, {"n_mels": 10**12}])
def test_a_spec_that_fits_no_record(tmp_path: Path, spec: dict[str, Any]) -> None:
    tiny = TinyDataset(tmp_path / "tiny")
    tiny.write(spec=dataclasses.replace(SPEC, **spec))
    assert sum("log_mel has 35 values of float_list instead of" in problem for problem in problems(tiny.folder)) == 54


def test_other_genres_and_a_forgotten_split(tmp_path: Path) -> None:
    tiny = TinyDataset(tmp_path / "tiny")
    splits = {name: split for name, split in tiny.manifest.splits.items() if name != "validation"}
    tiny.write(genres=GENRES[::-1], splits=splits)
    found = problems(tiny.folder)
    assert "dataset.json: its genres are doubled, or not in alphabetical order" in found
    assert sum("has genre 'blues' and label 0, which is 'rock'" in problem for problem in found) == 18
    assert "dataset.json: it names shards of split 'validation', which is not among its splits" in found
    assert sum("is of split 'validation', which dataset.json does not have" in problem for problem in found) == 6


@pytest.mark.parametrize(
    ("stated", "actual", "difference"),
    [
        ({"mean": 10.0}, {"mean": 10.0 + 5 * TOLERANCE}, ""),
        ({"mean": 10}, {"mean": 10.0}, ""),
        ({"mean": 10.0}, {"mean": 10.0 + 20 * TOLERANCE}, "x.mean is 10.0, but the records give 10.00002"),
        ({"mean": math.nan}, {"mean": 1.0}, "x.mean is nan, but the records give 1.0"),
        ({"mean": True}, {"mean": 1.0}, "x.mean is True, but the records give 1.0"),
        ({"mean": [1.0]}, {"mean": 1.0}, "x.mean is [1.0], but the records give 1.0"),
        ({"mean": 10**400}, {"mean": 1.0}, "x.mean is 1000"),
        ({"a\n": 1}, {"b": 1.0}, r"x.'a\n' is unknown (and 1 more of its values differ)"),
        ([[1.0, 2.0], [3.0]], [[1.0, 2.0], [4.0]], "x[1][0] is 3.0, but the records give 4.0"),
        ([1.0], [1.0, 2.0], "x is [1.0], but the records give a list of 2"),
        (None, None, ""),
    ],
)
def test_differences(stated: Any, actual: Any, difference: str) -> None:
    found = differences(stated, actual, name="x")
    assert found == difference or (difference and found.startswith(difference))
