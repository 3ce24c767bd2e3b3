"""Reading a dataset's records without TensorFlow."""

from collections.abc import Iterator
from pathlib import Path

from tfrecords.framing import read_records
from tfrecords.manifest import Manifest
from tfrecords.schema import Record, decode


def read_split(folder: Path, manifest: Manifest, split: str) -> Iterator[Record]:
    """Yields the records of one split, in the order of its shards.

    Args:
        folder: The dataset's.
        manifest: Its manifest.
        split: "train" or "test".

    Raises:
        DatasetError: If there is no such split.
        ValueError: If a shard is damaged; with its name and the place in it.
    """
    for shard in manifest.shards_of(split):
        with (folder / shard.name).open("rb") as file:
            for serialized in read_records(file, name=shard.name):
                yield decode(serialized, shape=manifest.spec.shape)
