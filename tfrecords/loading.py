"""A dataset as tf.data, in one line."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

    from tfrecords.places import RemotePath


def load_dataset(
    folder: "str | Path | RemotePath", split: str, *, as_supervised: bool = False, cache_dir: str | Path | None = None
) -> "tf.data.Dataset":
    """A split of a dataset that the pipeline wrote, in the order of its shards.

    It is not shuffled: neighbours are chunks of different tracks already.

    Args:
        folder: Path of the dataset, or its URL (`s3://`, `gs://`).
        split: "train", "test" or, where the dataset has it, "validation".
        as_supervised: Whether the elements are pairs of log_mel and label alone.
        cache_dir: For a URL, a folder on this machine that keeps copies of the shards; where none is given they are streamed.

    Returns:
        A dataset that knows its length. An element has log_mel (n_mels, n_frames) float32; label, chunk_index and start_sample,
        int64; genre, track_id and deformation, strings. The deformation of a track as it is is empty.

    Raises:
        DatasetError: If there is no such dataset or split, or a shard of it is missing.
        UsageError: If the URL or the cache cannot be used.
        OSError: If a shard cannot be copied. Iterating raises tf.errors.OpError for one that is damaged or cannot be read.
    """
    # The pipeline's workers import this package and have no TensorFlow; other programs load nothing that they do not need.
    import tensorflow as tf

    from tfrecords import schema
    from tfrecords.manifest import check_shards, read_manifest
    from tfrecords.places import place_of
    from tfrecords.shard_records import ShardRecords

    place = place_of(folder, cache_dir=None if cache_dir is None else Path(cache_dir))
    manifest = read_manifest(place)
    shards = manifest.shards_of(split)
    check_shards(place, shards)

    records = ShardRecords(place, shards).parsed(manifest.spec.shape)
    if as_supervised:
        records = records.map(lambda record: (record[schema.LOG_MEL], record[schema.LABEL]))
    return records.unbatch().apply(tf.data.experimental.assert_cardinality(manifest.splits[split].n_records))
