"""What a dataset says of its deformed chunks is verified like all else."""

import dataclasses
from pathlib import Path

import pytest

from tests.tiny_dataset import SEED, Damage, TinyDataset, assert_found, problems
from tfrecords.dataset.stable_hash import record_order, shard_index
from tfrecords.front_end.augmentation import Augmentation, Deformation

AUGMENTATION = Augmentation(
    name="two", deformations=(Deformation(name="fast", rate=3.0), Deformation(name="low", semitones=-7)), chunks_per_deformation=2
)
FIRST = "tracks.jsonl: line 1: track 'blues.00000'"
LACKS = "tracks.jsonl: track '@' lacks 1 of its"


@pytest.fixture
def tiny(tmp_path: Path) -> TinyDataset:
    return TinyDataset(tmp_path / "tiny", augmentation=AUGMENTATION)


def replace_one(tiny: TinyDataset, before: str, after: str) -> None:
    """Changes the deformation of a record, and puts it where it belongs then."""
    names = [name for name in tiny.shards if name.startswith("train")]
    records = [record for name in names for record in tiny.shards[name]]
    number = next(number for number, record in enumerate(records) if record.deformation == before)
    records[number] = dataclasses.replace(records[number], deformation=after)
    placed = sorted((record_order(SEED, one.track_id, one.chunk_index, one.deformation), one) for one in records)
    for index, name in enumerate(names):
        tiny.shards[name] = [one for order, one in placed if shard_index(order, n_shards=len(names)) == index]
    tiny.write()


def forget_the_deformation_of_a_record(tiny: TinyDataset) -> None:
    replace_one(tiny, "fast", "")


def call_a_record_another_deformation(tiny: TinyDataset) -> None:
    replace_one(tiny, "fast", "low")


def call_a_record_an_unknown_deformation(tiny: TinyDataset) -> None:
    replace_one(tiny, "", "loud")


def forget_the_augmentation(tiny: TinyDataset) -> None:
    tiny.write(augmentation=None)


def forget_the_chunks_of_a_track(tiny: TinyDataset) -> None:
    del tiny.tracks[0]["deformed_start_samples"]
    tiny.write()


def claim_chunks_of_a_test_track(tiny: TinyDataset) -> None:
    tiny.tracks[2]["deformed_start_samples"] = {"fast": [0, 10240]}
    tiny.write()


def claim_impossible_chunks(tiny: TinyDataset) -> None:
    """At three times the tempo, 30 s are 220500 samples."""
    tiny.tracks[0]["deformed_start_samples"]["fast"] = [30 * 10240, 5]
    tiny.write()


def lose_a_record(tiny: TinyDataset) -> None:
    records = tiny.shards["train-00000-of-00002.tfrecord"]
    records.remove(next(record for record in records if record.deformation == "low"))
    tiny.write()


DAMAGES: dict[Damage, tuple[str, ...]] = {
    forget_the_deformation_of_a_record: (
        "train-#: record # (byte #): starts at sample #, which tracks.jsonl does not list for '@'",
        f"{LACKS} 2 records of deformation 'fast', with the start samples #",
    ),
    call_a_record_another_deformation: (
        "train-#: record # (byte #): starts at sample # of deformation 'low', which tracks.jsonl does not list for '@'",
        f"{LACKS} 2 records of deformation 'fast', with the start samples #",
    ),
    call_a_record_an_unknown_deformation: (
        "train-#: record # (byte #): is of deformation 'loud', which dataset.json does not have for its split",
        "train-#: record # (byte #): starts at sample # of deformation 'loud', which tracks.jsonl does not list for '@'",
        f"{LACKS} 3 records, with the start samples #",
    ),
    forget_the_augmentation: (
        *(
            f"tracks.jsonl: line #: track '@' has start samples of deformation '{name}', "
            "which dataset.json does not have for its split"
            for name in AUGMENTATION.names * 6
        ),
        *(
            f"train-#: record # (byte #): is of deformation '{name}', which dataset.json does not have for its split"
            for name in AUGMENTATION.names * 12
        ),
    ),
    forget_the_chunks_of_a_track: (
        *(
            f"{FIRST} has 0 start samples of deformation {name}, dataset.json says 2 chunks per deformation"
            for name in AUGMENTATION.names
        ),
        *(
            f"train-#: record # (byte #): starts at sample # of deformation '{name}', which tracks.jsonl does not list for '@'"
            for name in AUGMENTATION.names * 2
        ),
        "dataset.json: split 'train' has 42 records, tracks.jsonl lists 38",
    ),
    claim_chunks_of_a_test_track: (
        "tracks.jsonl: line 3: track 'blues.00002' has start samples of deformation 'fast', "
        "which dataset.json does not have for its split",
        "dataset.json: split 'test' has 18 records, tracks.jsonl lists 20",
        "tracks.jsonl: track 'blues.00002' lacks 2 of its 2 records of deformation 'fast', with the start samples 0, 10240",
    ),
    claim_impossible_chunks: (
        f"{FIRST} has, of deformation fast, start samples that do not ascend",
        f"{FIRST} has, of deformation fast, start samples that are no multiples of 10240",
        f"{FIRST} has, of deformation fast, chunks that do not lie in its 220500 samples",
        *("train-#: record # (byte #): starts at sample # of deformation 'fast', which tracks.jsonl does not list for '@'",) * 2,
        "tracks.jsonl: track 'blues.00000' lacks 2 of its 2 records of deformation 'fast', with the start samples 5, 307200",
    ),
    lose_a_record: (
        "dataset.json: split 'train' has 41 records, tracks.jsonl lists 42",
        f"{LACKS} 2 records of deformation 'low', with the start samples #",
    ),
}


def test_a_sound_dataset_has_no_problems(tiny: TinyDataset) -> None:
    assert problems(tiny.folder) == []


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_every_damage_is_found(tiny: TinyDataset, damage: Damage) -> None:
    damage(tiny)
    assert_found(tiny, DAMAGES[damage])


@pytest.mark.parametrize("claimed", [None, [0], {"fast": 3}, {"fast": ["0"]}, {"fast": [0.0]}])
def test_start_samples_of_deformations_are_lists_of_integers(tiny: TinyDataset, claimed: object) -> None:
    tiny.tracks[0]["deformed_start_samples"] = claimed
    tiny.write()
    assert any(
        problem.startswith("tracks.jsonl: line 1: 'deformed_start_samples' of a track must be")
        for problem in problems(tiny.folder)
    )
