"""Records, their framing and the manifest: what is written is what TensorFlow reads."""

import dataclasses
import io
import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrecords.augmentation import AUGMENTATIONS
from tfrecords.corpus import CorpusInfo
from tfrecords.example_proto import Example
from tfrecords.framing import frame, read_records, scan_records, unframe
from tfrecords.log_mel_spec import PRESETS
from tfrecords.manifest import DatasetError, Manifest, Shard, SplitSummary, read_dataset, read_manifest
from tfrecords.schema import Record, decode, encode, parse_batch
from tfrecords.statistics import STD_FLOOR, LogMelStatistics

SHAPE = (5, 7)
NAMED = {"name": "a", "rate": 0.5, "semitones": 0}


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


@pytest.mark.parametrize(("preset", "axis"), [("schindler", 0), ("full80", (0, 2)), ("paper", None)])
def test_statistics_are_numpys(preset: str, axis: int | tuple[int, ...] | None) -> None:
    spec = dataclasses.replace(PRESETS[preset], n_mels=4, n_frames=6)
    log_mels = (11 + 1.5 * np.random.default_rng(0).standard_normal((30, *spec.shape))).astype(np.float32)
    log_mels[:, 2] = 5.0  # a band that never varies
    parts = [LogMelStatistics(spec), LogMelStatistics(spec), LogMelStatistics(spec)]
    for number, log_mel in enumerate(log_mels):
        parts[number % 2].add(log_mel[np.newaxis])
    merged = LogMelStatistics(spec)
    for part in parts:
        merged.merge(LogMelStatistics.unpack(part.pack(), spec=spec))
    summary, exact = merged.summary(), log_mels.astype(np.float64)
    assert merged.n_records == 30
    assert summary["mean"] == pytest.approx(exact.mean(), abs=1e-9)
    assert summary["std"] == pytest.approx(exact.std(), abs=1e-9)
    assert (summary["min"], summary["max"]) == (exact.min(), exact.max())
    np.testing.assert_allclose(summary["band_mean"], exact.mean(axis=(0, 2)), atol=1e-9)
    np.testing.assert_allclose(summary["band_std"], exact.std(axis=(0, 2)), atol=1e-6)
    standardization = merged.standardization()
    if axis is None:
        assert standardization is None
        return
    assert standardization is not None
    expected_std = np.maximum(exact.std(axis=axis, keepdims=True), STD_FLOOR)[0]
    np.testing.assert_allclose(standardization["mean"], exact.mean(axis=axis, keepdims=True)[0], atol=1e-9)
    np.testing.assert_allclose(standardization["std"], expected_std, atol=1e-9)
    assert np.min(standardization["std"]) == STD_FLOOR


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
