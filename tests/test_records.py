"""Records and their framing: what is written is what TensorFlow reads."""

import dataclasses
import io
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrecords.records.example_proto import Example
from tfrecords.records.framing import frame, read_records, scan_records, unframe
from tfrecords.records.schema import Record, decode, encode, parse_batch

SHAPE = (5, 7)


def record(number: int = 0) -> Record:
    values = np.random.default_rng(number).standard_normal(SHAPE).astype(np.float32)
    return Record(
        log_mel=values, label=3, genre="dïsco", track_id=f"dïsco.{number}", chunk_index=number, start_sample=10252 * number
    )


def deformed(number: int = 0) -> Record:
    return dataclasses.replace(record(number), deformation="pitch-5")


def test_tensorflow_parses_what_was_encoded() -> None:
    records = [record(number) for number in range(4)]
    parsed = parse_batch([encode(one) for one in records], shape=SHAPE)
    np.testing.assert_array_equal(parsed["log_mel"], np.stack([one.log_mel for one in records]))
    assert parsed["label"].numpy().tolist() == [3, 3, 3, 3]
    assert [text.decode() for text in parsed["track_id"].numpy()] == [one.track_id for one in records]
    assert [text.decode() for text in parsed["genre"].numpy()] == ["dïsco"] * 4
    assert parsed["chunk_index"].numpy().tolist() == [0, 1, 2, 3]
    assert parsed["start_sample"].numpy().tolist() == [0, 10252, 20504, 30756]


def test_bytes_are_those_of_tensorflows_own_message() -> None:
    import tensorflow as tf

    one = record(2)
    example = tf.train.Example()
    example.features.feature["log_mel"].float_list.value.extend(one.log_mel.ravel().tolist())
    example.features.feature["label"].int64_list.value.append(one.label)
    example.features.feature["genre"].bytes_list.value.append(one.genre.encode())
    example.features.feature["track_id"].bytes_list.value.append(one.track_id.encode())
    example.features.feature["chunk_index"].int64_list.value.append(one.chunk_index)
    example.features.feature["start_sample"].int64_list.value.append(one.start_sample)
    assert encode(one) == example.SerializeToString(deterministic=True)


def test_bytes_do_not_depend_on_the_process() -> None:
    code = "from tests.test_records import encode, record; import sys; sys.stdout.write(encode(record(1)).hex())"
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            cwd=Path(__file__).parent.parent,
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert runs == {encode(record(1)).hex().encode()}


def test_decode_reads_what_encode_wrote() -> None:
    one, other = record(6), decode(encode(record(6)), shape=SHAPE)
    np.testing.assert_array_equal(one.log_mel, other.log_mel)
    for name in ("label", "genre", "track_id", "chunk_index", "start_sample"):
        assert getattr(one, name) == getattr(other, name)


def test_a_deformation_is_written_where_there_is_one() -> None:
    assert b"deformation" not in encode(record())
    assert decode(encode(record()), shape=SHAPE).deformation == ""
    assert decode(encode(deformed()), shape=SHAPE).deformation == "pitch-5"
    parsed = parse_batch([encode(record()), encode(deformed())], shape=SHAPE)
    assert parsed["deformation"].numpy().tolist() == [b"", b"pitch-5"]


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        ("bytes_list", [b""], "deformation is empty"),
        ("bytes_list", [b"a", b"b"], "deformation has 2 values of bytes_list instead of 1"),
        ("bytes_list", [], "deformation has 0 values of bytes_list instead of 1"),
        ("int64_list", [3], "deformation has 0 values of bytes_list instead of 1"),
        ("bytes_list", [b"\xff"], "can't decode byte 0xff"),
    ],
)
def test_a_deformation_has_one_name(kind: str, values: list[object], message: str) -> None:
    example = Example.FromString(encode(record()))
    getattr(example.features.feature["deformation"], kind).value.extend(values)
    if not values:
        example.features.feature["deformation"].bytes_list.SetInParent()
    with pytest.raises(ValueError, match=message):
        decode(example.SerializeToString(), shape=SHAPE)


@pytest.mark.parametrize("data", [b"", b"\xff\xff\xff", encode(record())[:-40]])
def test_what_is_no_record_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a record with a log-mel of shape \(5, 7\)"):
        decode(data, shape=SHAPE)


def test_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="not a record"):
        decode(encode(record()), shape=(5, 8))


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_framing_round_trip(records: list[bytes]) -> None:
    file = io.BytesIO(b"".join(map(frame, records)))
    assert list(read_records(file, name="x")) == records


@given(st.binary(max_size=300), st.integers(0, 400), st.integers(0, 7))
def test_unframe_gives_the_record_back_or_refuses(record: bytes, position: int, bit: int) -> None:
    framed = bytearray(frame(record))
    assert unframe(bytes(framed)) == record
    framed[position % len(framed)] ^= 1 << bit
    for damaged in (bytes(framed), frame(record)[:-1], b"", frame(record) + b"x"):
        with pytest.raises(ValueError, match="damaged record"):
            unframe(damaged)


def test_tensorflow_reads_the_framing(tmp_path: Path) -> None:
    import tensorflow as tf

    records = [b"", b"abc", bytes(70000)]
    (tmp_path / "x").write_bytes(b"".join(map(frame, records)))
    assert [one.numpy() for one in tf.data.TFRecordDataset(str(tmp_path / "x"))] == records


@given(position=st.integers(0, 40), bit=st.integers(0, 7))
def test_a_flipped_bit_is_found(position: int, bit: int) -> None:
    data = bytearray(frame(b"first") + frame(b"second record"))
    data[position] ^= 1 << bit
    with pytest.raises(ValueError, match="shard-7: damaged record"):
        list(read_records(io.BytesIO(bytes(data)), name="shard-7"))


@pytest.mark.parametrize("length", [5, 12, 18, 23])
def test_a_file_that_ends_early_is_found(length: int) -> None:
    with pytest.raises(ValueError, match="damaged record"):
        list(read_records(io.BytesIO(frame(b"a record")[:length]), name="x"))


def test_an_absurd_length_takes_no_memory() -> None:
    length = struct.pack("<Q", 2**62)
    header = length + frame(length)[-4:]  # with the right sum
    with pytest.raises(ValueError, match="x: damaged record at byte 0"):
        list(read_records(io.BytesIO(header + bytes(100)), name="x"))


def test_a_scan_goes_on_after_a_damaged_record() -> None:
    data = bytearray(frame(b"first") + frame(b"second") + frame(b"third, too long") + frame(b"fourth"))
    data[12] ^= 1
    assert list(scan_records(io.BytesIO(bytes(data)), longest=10)) == [
        (0, b"", "damaged record"),
        (21, b"second", ""),
        (43, b"", "record of 15 bytes, expected at most 10"),
        (74, b"fourth", ""),
    ]
