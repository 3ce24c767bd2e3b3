"""The output folder opens in TensorFlow Datasets itself."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import tensorflow_datasets as tfds

from tests.conftest import SAMPLE_RATE, tone, write_tracks
from tests.helpers import build, records_of
from tests.tiny_dataset import problems


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tfds") / "corpus"
    write_tracks(folder / "genres", n_tracks=3, seconds=4.0)
    return folder


@pytest.fixture(scope="module")
def output(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("out") / "out"
    build(corpus, output, num_shards=2, augment="stretch-pitch", test_fraction=0.34, license="CC-BY-4.0")
    return output


def opened(folder: Path, split: str, **options: Any) -> Any:
    """A split; its shards one after the other, of which TFDS would else read several at a time."""
    in_order = tfds.ReadConfig(interleave_cycle_length=1)
    return tfds.builder_from_directory(str(folder)).as_dataset(split=split, read_config=in_order, **options)


def test_it_says_what_there_is(output: Path) -> None:
    info = tfds.builder_from_directory(str(output)).info
    assert (info.name, str(info.version), info.supervised_keys) == ("corpus", "3.0.0", ("log_mel", "label"))
    assert info.redistribution_info.license == "CC-BY-4.0"
    label = info.features["label"]
    assert (label.names, label.int2str(1), label.str2int("ticks")) == (["hum", "noise", "ticks"], "noise", 2)
    assert info.features["log_mel"].shape == (80, 80)
    assert {name: (split.num_examples, split.num_shards) for name, split in info.splits.items()} == {
        "train": (6 * (4 + 24), 2),
        "test": (3 * 4, 2),
    }
    assert info.splits["test"].num_bytes == sum(path.stat().st_size for path in output.glob("test-*.tfrecord"))


@pytest.mark.parametrize("split", ["train", "test"])
def test_it_reads_the_records(output: Path, split: str) -> None:
    """Those of deformed chunks with the deformation, the others with an empty one."""
    expected = records_of(output, split)
    deformations = {record.deformation for record in expected}
    assert len(deformations) == (9 if split == "train" else 1)
    for one, record in zip(tfds.as_numpy(opened(output, split)), expected, strict=True):
        np.testing.assert_array_equal(one.pop("log_mel"), record.log_mel)
        assert one == {
            "label": record.label,
            "genre": record.genre.encode(),
            "track_id": record.track_id.encode(),
            "chunk_index": record.chunk_index,
            "start_sample": record.start_sample,
            "deformation": record.deformation.encode(),
        }


def test_it_takes_parts_and_pairs(output: Path) -> None:
    expected = records_of(output, "train")
    part = list(opened(output, "train[:10%]", as_supervised=True))
    assert len(part) == round(len(expected) / 10)
    for (log_mel, label), record in zip(part, expected, strict=False):
        np.testing.assert_array_equal(log_mel, record.log_mel)
        assert label == record.label
    shuffled = opened(output, "train+test", shuffle_files=True)
    assert sorted(one["track_id"].numpy().decode() for one in shuffled) == sorted(
        record.track_id for split in ("train", "test") for record in records_of(output, split)
    )


def test_a_dataset_that_takes_the_place_of_another(corpus: Path, tmp_path: Path) -> None:
    """With another genre, another shape and other shards, of which some stay empty."""
    build(corpus, tmp_path / "out", num_shards=2)
    (corpus / "genres" / "beep").mkdir()
    for hz in (1000, 1500):
        soundfile.write(corpus / "genres" / "beep" / f"{hz}.wav", tone(hz, seconds=4.0), SAMPLE_RATE)
    build(corpus, tmp_path / "out", num_shards=30, preset="full80", overwrite=True)
    info = tfds.builder_from_directory(str(tmp_path / "out")).info
    assert info.features["label"].names == ["beep", "hum", "noise", "ticks"]
    assert "deformation" not in info.features
    assert 0 in info.splits["test"].shard_lengths
    for split in ("train", "test"):
        expected = [(record.track_id.encode(), record.chunk_index) for record in records_of(tmp_path / "out", split)]
        assert [(one["track_id"], one["chunk_index"]) for one in tfds.as_numpy(opened(tmp_path / "out", split))] == expected
    assert problems(tmp_path / "out") == []


def test_the_card_tells_how_to_load_it(output: Path) -> None:
    """Its programs run as they stand there, in the dataset's folder."""
    programs = re.findall(r"```python\n(.*?)```", (output / "README.md").read_text(), re.DOTALL)
    first = records_of(output, "train")[0]
    results = []
    for program in programs:
        names: dict[str, Any] = {}
        exec(program.replace('"DIR"', repr(str(output))), names)  # noqa: S102
        results.append(next(iter(names["dataset"])))
    pair, parsed = results
    np.testing.assert_array_equal(pair[0], first.log_mel)
    np.testing.assert_array_equal(parsed["log_mel"], first.log_mel)
    assert pair[1] == parsed["label"] == first.label
