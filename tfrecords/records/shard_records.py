"""Shards as tf.data, from this machine or a store. Needs TensorFlow, which nothing else here loads when it is imported."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

import numpy as np
import tensorflow as tf

from tfrecords.dataset.manifest import DatasetError, Shard
from tfrecords.places import Place
from tfrecords.records import schema
from tfrecords.records.framing import read_records
from tfrecords.records.shards import local_shard, open_shard

_PARSE_BATCH = 256
_BATCHES_AHEAD = 4
_BLOCK_RECORDS = 64  # that Python hands to TensorFlow at once
_failures: list[Exception] = []


class ShardRecords:
    """The serialized records of some shards. They come in the same order from a store as from this machine.

    Attributes:
        n_shards: Number of shards.
        of_shard: The records of one shard, scalar strings, by its index: a scalar tensor of int32 or int64.
    """

    def __init__(self, folder: Place, shards: Sequence[Shard]) -> None:
        """Takes some shards of a dataset's folder. Where the folder has a cache, it copies those that are not in it.

        Raises:
            UsageError: If one is damaged, or the cache cannot be made.
            OSError: If one cannot be copied.
        """
        self.n_shards = len(shards)
        files = [str(path) for shard in shards if (path := local_shard(folder, shard)) is not None]
        self.of_shard: Callable[[tf.Tensor], tf.data.Dataset] = lambda index: _streamed(folder, shards, index)
        if len(files) == len(shards):
            self.of_shard = lambda index: tf.data.TFRecordDataset(tf.gather(files, index))

    def in_order(self) -> tf.data.Dataset:
        """The records of all shards, one shard after the other."""
        return tf.data.Dataset.range(self.n_shards).flat_map(self.of_shard)

    def parsed(self, shape: tuple[int, int]) -> tf.data.Dataset:
        """The same in batches, as `schema.parse_batch` gives them of log-mels of that shape."""
        batches = self.in_order().batch(_PARSE_BATCH)
        return batches.map(lambda serialized: schema.parse_batch(serialized, shape=shape), tf.data.AUTOTUNE)


@tf.autograph.experimental.do_not_convert  # it cannot convert generators, and says so to the user
def _streamed(folder: Place, shards: Sequence[Shard], index: tf.Tensor) -> tf.data.Dataset:
    """The records of a shard that Python reads: TensorFlow has no filesystem for the store."""

    def blocks(number: np.integer) -> Iterator[list[bytes]]:
        shard = shards[int(number)]
        try:
            with open_shard(folder, shard) as file:
                records = read_records(file, name=str(folder / shard.name))
                while block := list(islice(records, _BLOCK_RECORDS)):
                    yield block
        except (OSError, ValueError) as error:
            _failures.append(error)
            raise

    return tf.data.Dataset.from_generator(blocks, args=(index,), output_signature=tf.TensorSpec((None,), tf.string)).unbatch()


def made_ahead(batches: tf.data.Dataset) -> tf.data.Dataset:
    """The same batches, some of them made before they are asked for; the last step before a dataset is iterated over.

    Nothing in it is tuned while it runs: AUTOTUNE stands for TensorFlow's initial number of parallel calls, one per core and 16
    at most. With tuning, an iterator can only be freed once its tuning thread wakes, and that one may sleep for about as long as
    the iterator has been in use (TensorFlow 2.21): an epoch could take twice its time.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.prefetch(_BATCHES_AHEAD).with_options(options)


@contextmanager
def shard_errors() -> Iterator[None]:
    """Raises what reading a shard within it raised, which TensorFlow wraps in an error of its own, many lines long.

    Raises:
        DatasetError: If a shard is damaged.
        OSError: If the store fails.
    """
    _failures.clear()
    try:
        yield
    except tf.errors.OpError as error:
        if not _failures:
            raise
        failure = _failures[0]
        raise (failure if isinstance(failure, OSError | DatasetError) else DatasetError(str(failure))) from error
