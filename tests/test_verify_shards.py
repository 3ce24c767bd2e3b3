"""Every kind of damage to shards and records is found, and nothing else is said."""

import dataclasses
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from tests.tiny_dataset import Damage, TinyDataset, assert_found
from tfrecords.records.example_proto import Example
from tfrecords.records.framing import frame
from tfrecords.records.schema import encode

TRAIN_0, TRAIN_1 = "train-00000-of-00002.tfrecord", "train-00001-of-00002.tfrecord"
TEST_0, TEST_1 = "test-00000-of-00002.tfrecord", "test-00001-of-00002.tfrecord"
ALTERED = "train-0: was altered: its SHA-256 differs"
RESIZED = "train-0: has # bytes instead of #"
LOST = "train-0: lacks # of the records that tracks.jsonl lists for it"
UNCHECKED = "dataset.json: the statistics of split 'train' cannot be checked: not all of its records can be used"
NO_RECORD = "train-0: record 1 (byte 0): not a record with a log-mel of shape (5, 7)"
TEST_GONE = (
    "test-1: is missing",
    "test-1: lacks # of the records that tracks.jsonl lists for it",
    UNCHECKED.replace("train", "test"),
)


def flip_a_bit_in_a_record(tiny: TinyDataset) -> None:
    data = tiny.bytes_of(TRAIN_0)
    data[40] ^= 4
    tiny.edit(TRAIN_0, data)


def flip_a_bit_in_a_length(tiny: TinyDataset) -> None:
    data = tiny.bytes_of(TRAIN_0)
    data[len(frame(encode(tiny.shards[TRAIN_0][0]))) + 1] ^= 1
    tiny.edit(TRAIN_0, data)


def truncate(tiny: TinyDataset) -> None:
    tiny.edit(TRAIN_0, tiny.bytes_of(TRAIN_0)[:-9])


def write_an_absurd_length(tiny: TinyDataset) -> None:
    length = struct.pack("<Q", 2**64 - 1)
    tiny.edit(TRAIN_0, length + frame(length)[-4:] + tiny.bytes_of(TRAIN_0))


def write_a_long_record(tiny: TinyDataset) -> None:
    tiny.edit(TRAIN_0, frame(bytes(3 * 2**20)) + tiny.bytes_of(TRAIN_0))


def alter_a_record_and_its_sum(tiny: TinyDataset) -> None:
    """By less than the statistics tell."""
    first, *others = tiny.shards[TRAIN_0]
    first = dataclasses.replace(first, log_mel=first.log_mel + np.float32(1e-5))
    tiny.edit(TRAIN_0, b"".join(frame(encode(record)) for record in (first, *others)))


def remove_a_shard(tiny: TinyDataset) -> None:
    (tiny.folder / TEST_1).unlink()


def put_a_folder_for_a_shard(tiny: TinyDataset) -> None:
    remove_a_shard(tiny)
    (tiny.folder / TEST_1).mkdir()


def put_a_pipe_for_a_shard(tiny: TinyDataset) -> None:
    remove_a_shard(tiny)
    os.mkfifo(tiny.folder / TEST_1)


def add_stray_files(tiny: TinyDataset) -> None:
    tiny.edit("test-00002-of-00003.tfrecord", b"")
    tiny.edit("\x1b[31m", b"")


def put_nan_into_a_record(tiny: TinyDataset) -> None:
    values = tiny.shards[TRAIN_0][1].log_mel.copy()
    values[2, 3] = np.nan
    tiny.replace_record(TRAIN_0, 1, log_mel=values)


def swap_a_label(tiny: TinyDataset) -> None:
    tiny.replace_record(TRAIN_0, 0, label=1)


def write_a_label_of_no_genre(tiny: TinyDataset) -> None:
    tiny.replace_record(TRAIN_0, 0, label=-1)


def swap_label_and_genre(tiny: TinyDataset) -> None:
    tiny.replace_record(TRAIN_0, 0, label=0, genre="blues")


def shift_a_start(tiny: TinyDataset) -> None:
    tiny.replace_record(TRAIN_0, 0, start_sample=tiny.shards[TRAIN_0][0].start_sample + 1)


def give_a_record_to_nobody(tiny: TinyDataset) -> None:
    tiny.replace_record(TRAIN_1, 0, track_id="nobody's")


def double_a_record(tiny: TinyDataset) -> None:
    tiny.shards[TRAIN_0].insert(1, tiny.shards[TRAIN_0][0])
    tiny.write()


def leave_out_a_record(tiny: TinyDataset) -> None:
    del tiny.shards[TRAIN_0][1]
    tiny.write()


def swap_two_records(tiny: TinyDataset) -> None:
    records = tiny.shards[TRAIN_0]
    records[1], records[2] = records[2], records[1]
    tiny.write()


def put_a_record_into_another_split(tiny: TinyDataset) -> None:
    tiny.shards[TEST_0].insert(0, tiny.shards[TRAIN_0].pop(0))
    tiny.write()


def garble_features(tiny: TinyDataset) -> None:
    first, *others = tiny.shards[TRAIN_0]
    example = Example.FromString(encode(first))
    feature = example.features.feature
    del feature["genre"]
    feature["label"].int64_list.value.append(1)
    feature["chunk_index"].bytes_list.value.append(b"1")
    feature["colour"].bytes_list.value.append(b"red")
    tiny.edit(TRAIN_0, frame(example.SerializeToString()) + b"".join(frame(encode(record)) for record in others))


def write_a_name_that_is_not_utf8(tiny: TinyDataset) -> None:
    data = tiny.bytes_of(TRAIN_0)
    first = len(frame(encode(tiny.shards[TRAIN_0][0])))
    tiny.edit(TRAIN_0, frame(bytes(data[12 : first - 4]).replace(b".0000", b".\xff000")) + data[first:])


DAMAGES: dict[Damage, tuple[str, ...]] = {
    flip_a_bit_in_a_record: ("train-0: record 1 (byte 0): damaged record", ALTERED, LOST, UNCHECKED),
    flip_a_bit_in_a_length: ("train-0: record 2 (byte #): damaged record length", ALTERED, LOST, UNCHECKED),
    truncate: ("train-0: record # (byte #): damaged record", RESIZED, LOST, UNCHECKED),
    write_an_absurd_length: ("train-0: record 1 (byte 0): damaged record", RESIZED, LOST, UNCHECKED),
    write_a_long_record: (
        "train-0: record 1 (byte 0): record of 3145728 bytes, expected at most 65676",
        RESIZED,
        UNCHECKED,
    ),
    alter_a_record_and_its_sum: (ALTERED,),
    remove_a_shard: TEST_GONE,
    put_a_folder_for_a_shard: TEST_GONE,
    put_a_pipe_for_a_shard: TEST_GONE,
    add_stray_files: (
        r"'\x1b[31m': is not named by dataset.json",
        "test-00002-of-00003.tfrecord: is not named by dataset.json",
    ),
    put_nan_into_a_record: ("train-0: record 2 (byte #): its log-mel holds values that are NaN or infinite", UNCHECKED),
    swap_a_label: ("train-0: record 1 (byte 0): has genre 'rock' and label 1, which is 'jazz'",),
    write_a_label_of_no_genre: ("train-0: record 1 (byte 0): has label -1, dataset.json has 3 genres",),
    swap_label_and_genre: ("train-0: record 1 (byte 0): has genre 'blues', its track '@' has 'rock'",),
    shift_a_start: (
        "train-0: record 1 (byte 0): starts at sample #, but is chunk # × 10240",
        "train-0: record 1 (byte 0): starts at sample #, which tracks.jsonl does not list for '@'",
        "tracks.jsonl: track '@' lacks 1 of its 3 records, with the start samples #",
    ),
    give_a_record_to_nobody: (
        'train-1: record 1 (byte 0): is of track "nobody\'s", which tracks.jsonl does not list',
        "train-1: 1 record(s) are out of order, record # (byte #) first",
        "tracks.jsonl: track '@' lacks 1 of its 3 records, with the start samples #",
    ),
    double_a_record: (
        "train-0: record 2 (byte #): is doubled: track '@' has another record that starts at sample #",
        "dataset.json: split 'train' has 19 records, tracks.jsonl lists 18",
    ),
    leave_out_a_record: (
        "dataset.json: split 'train' has 17 records, tracks.jsonl lists 18",
        "tracks.jsonl: track '@' lacks 1 of its 3 records, with the start samples #",
    ),
    swap_two_records: ("train-0: 1 record(s) are out of order, record 3 (byte #) first",),
    put_a_record_into_another_split: (
        "test-0: record 1 (byte 0): is of track '@' of split 'train', but lies in split 'test'",
        "dataset.json: split 'train' has 17 records, tracks.jsonl lists 18",
        "dataset.json: split 'test' has 19 records, tracks.jsonl lists 18",
    ),
    garble_features: (
        f"{NO_RECORD}: the unknown feature 'colour'; label has 2 values of int64_list instead of 1; genre has 0 values of "
        "bytes_list instead of 1; chunk_index has 0 values of int64_list instead of 1",
        RESIZED,
        LOST,
        UNCHECKED,
    ),
    write_a_name_that_is_not_utf8: (
        f"{NO_RECORD}: 'utf-8' codec can't decode byte 0xff in position #: invalid start byte",
        ALTERED,
        LOST,
        UNCHECKED,
    ),
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_every_damage_is_found(tmp_path: Path, damage: Damage) -> None:
    tiny = TinyDataset(tmp_path / "tiny")
    damage(tiny)
    assert_found(tiny, DAMAGES[damage])
