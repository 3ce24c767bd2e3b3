"""Reading a dataset's records without TensorFlow."""

from collections.abc import Collection, Iterator, Sequence

from tfrecords.dataset.manifest import Manifest
from tfrecords.places import Place
from tfrecords.records.framing import read_records
from tfrecords.records.schema import Record, decode
from tfrecords.records.shards import open_shard


def read_split(folder: Place, manifest: Manifest, split: str) -> Iterator[Record]:
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
        with open_shard(folder, shard) as file:
            for serialized in read_records(file, name=shard.name):
                yield decode(serialized, shape=manifest.spec.shape)


def read_records_at(
    folder: Place, manifest: Manifest, splits: Sequence[str], places: Collection[int]
) -> Iterator[tuple[int, Record]]:
    """Yields some records of some splits with their places, in order. Shards that hold none of them are not opened.

    Args:
        folder: The dataset's.
        manifest: Its manifest.
        splits: For instance "test"; one after the other.
        places: Of the records, counted from 0 over the splits' shards.

    Raises:
        DatasetError: If there is no such split.
        ValueError: If a shard is damaged, or the splits have no record at one of the places.
    """
    first = 0
    for shard in (shard for split in splits for shard in manifest.shards_of(split)):
        here = {place - first for place in places if first <= place < first + shard.n_records}
        if here:
            with open_shard(folder, shard) as file:
                for number, serialized in enumerate(read_records(file, name=shard.name)):
                    if number in here:
                        yield first + number, decode(serialized, shape=manifest.spec.shape)
                    if number == max(here):
                        break
        first += shard.n_records
    if outside := [place for place in places if not 0 <= place < first]:
        raise ValueError(f"split {', '.join(splits)} has {first} records; there is none at {outside[0]}")
