"""Shards to tf.data. Shapes, labels and shard names come from the dataset's manifest alone."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrecords.dataset.manifest import Manifest
from tfrecords.places import Place
from tfrecords.records import schema
from tfrecords.records.shard_records import ShardRecords, made_ahead

_SHUFFLE_RECORDS = 4096
_OPEN_SHARDS = 16

# Augments a batch: (epoch, step in the epoch, log-mels (n, n_mels, n_frames, 1), targets (n, n_genres)) to log-mels and targets
# of the same shapes; epoch and step are scalars of int64, and all that the result depends on besides the batch.
Augment = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


@dataclass(frozen=True, kw_only=True, eq=False)
class SplitData:
    """One split of a dataset.

    Attributes:
        shape: (n_mels, n_frames).
        records: Of its shards, in order, serialized; none where it lies in memory from the start.
        n_records: Number of records.
        labels: Label of each record, in the order of the shards, (n_records,); empty for a streamed training split.
        track_ids: Track of each record; likewise.
        chunk_indices: Which of its track's candidate chunks each record is, (n_records,); likewise.
        places: Where each record stands among those that it was chosen from, for instance all of a dataset's, (n_records,).
        cached: The log-mels, (n_records, n_mels, n_frames, 1) float32; None where they are streamed from the shards.
    """

    shape: tuple[int, int]
    records: ShardRecords
    n_records: int
    labels: NDArray[np.int64]
    track_ids: list[str]
    chunk_indices: NDArray[np.int64]
    places: NDArray[np.integer]
    cached: tf.Tensor | None

    @classmethod
    def from_arrays(
        cls,
        log_mels: NDArray[np.floating],
        labels: NDArray[np.integer],
        track_ids: Sequence[str],
        chunk_indices: NDArray[np.integer],
        *,
        places: NDArray[np.integer] | None = None,
    ) -> Self:
        """A split that lies in memory: log-mels (n_records, n_mels, n_frames), and the attributes of the same names.

        Raises:
            ValueError: If they are not of one length.
        """
        n_others = len(labels), len(track_ids), len(chunk_indices)
        if set(n_others) != {len(log_mels)}:
            raise ValueError(f"need a label, a track and a chunk index for each of {len(log_mels)} log-mels, got {n_others}")
        with tf.device("CPU:0"):
            cached = tf.constant(log_mels[..., np.newaxis], tf.float32)
        return cls(
            shape=(log_mels.shape[1], log_mels.shape[2]),
            records=ShardRecords(Path(), ()),
            n_records=len(log_mels),
            labels=labels.astype(np.int64),
            track_ids=list(track_ids),
            chunk_indices=chunk_indices.astype(np.int64),
            places=np.arange(len(log_mels)) if places is None else places,
            cached=cached,
        )

    def n_batches(self, batch_size: int) -> int:
        """Batches an epoch; the last may be smaller."""
        return math.ceil(self.n_records / batch_size)

    def training_batches(
        self,
        *,
        batch_size: int,
        n_genres: int,
        seed: int,
        n_epochs: int,
        first_epoch: int = 0,
        augment: Augment | None = None,
        n_replicas: int = 1,
        dtype: str = "float32",
    ) -> tf.data.Dataset:
        """The batches of epochs, one after the other.

        The order of an epoch's samples is a function of (seed, epoch) alone; another one for a cached split than for a streamed
        one. Each sample weighs 1 / (samples of its batch), so that a loss that sums is the mean over the batch, however several
        replicas share it.

        Args:
            batch_size: Samples per batch; an epoch's last one may have fewer, so that it has every sample once.
            n_genres: Length of a target.
            seed: Of the run.
            n_epochs: The first epoch that is left out at the end, counted from 0.
            first_epoch: From 0.
            augment: What is done to each batch; None for nothing.
            n_replicas: How many share a batch. One that is too small for a share each comes as often as there are replicas.
            dtype: Of the weights.

        Returns:
            (log_mels (batch, n_mels, n_frames, 1) float32, targets (batch, n_genres) float32, weights (batch,)), a target being
            one-hot where nothing augments.
        """

        def batches_of(epoch: tf.Tensor) -> tf.data.Dataset:
            def finished(step: tf.Tensor, batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
                log_mels, labels = self._samples(batch)
                targets = tf.one_hot(labels, n_genres)
                if augment is not None:
                    log_mels, targets = augment(epoch, step, log_mels, targets)
                # TensorFlow deals shares of equal size, but for the last ones; not all layers can compute an empty one.
                n_samples = tf.shape(targets)[0]
                share = -(-n_samples // n_replicas)
                copies = tf.where(share * (n_replicas - 1) < n_samples, 1, n_replicas)
                log_mels, targets = (tf.tile(x, [copies] + [1] * (len(x.shape) - 1)) for x in (log_mels, targets))
                n_weights = n_samples * copies
                return log_mels, targets, tf.fill([n_weights], 1 / tf.cast(n_weights, dtype))

            ordered = self._ordered(tf.stack([tf.constant(seed, tf.int64), epoch]))
            return ordered.batch(batch_size).enumerate().map(finished, tf.data.AUTOTUNE, deterministic=True)

        with tf.device("CPU:0"):
            return made_ahead(tf.data.Dataset.range(first_epoch, n_epochs).flat_map(batches_of))

    def tracks_of_batch(self, *, batch_size: int, seed: int, epoch: int, step: int) -> list[str]:
        """The tracks that have samples in a batch of `training_batches`, each once, in their order there."""
        ordered = self._ordered(tf.constant([seed, epoch], tf.int64))
        batch = next(iter(made_ahead(ordered.skip(step * batch_size).batch(batch_size))))
        if self.cached is not None:
            return list(dict.fromkeys(self.track_ids[row] for row in batch.numpy()))
        track_ids = schema.parse_batch(batch, shape=self.shape)[schema.TRACK_ID].numpy()
        return list(dict.fromkeys(track_id.decode() for track_id in track_ids))

    def ordered_batches(self, *, batch_size: int) -> tf.data.Dataset:
        """Batches of log-mels (batch, n_mels, n_frames, 1), once, in the order of the shards."""
        if self.cached is not None:
            return made_ahead(tf.data.Dataset.from_tensor_slices(self.cached).batch(batch_size))
        records = self.records.in_order().batch(batch_size)
        return made_ahead(records.map(lambda serialized: self._samples(serialized)[0], tf.data.AUTOTUNE))

    def _ordered(self, epoch_seed: tf.Tensor) -> tf.data.Dataset:
        """The samples of an epoch in its order, of (seed, epoch): rows of the cache, or serialized records."""
        with tf.device("CPU:0"):
            return self._cached_epoch(epoch_seed) if self.cached is not None else self._streamed_epoch(epoch_seed)

    def _cached_epoch(self, epoch_seed: tf.Tensor) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(tf.range(self.n_records), seed=epoch_seed)
        return tf.data.Dataset.from_tensor_slices(order)

    def _streamed_epoch(self, epoch_seed: tf.Tensor) -> tf.data.Dataset:
        """Shards in another order each epoch, several read at a time, and blocks of records shuffled.

        Records of a shard are already in random order, so that neighbours are of different tracks.
        """
        order = tf.random.experimental.stateless_shuffle(tf.range(self.records.n_shards), seed=epoch_seed)
        shards = tf.data.Dataset.from_tensor_slices(order)
        records = shards.interleave(self.records.of_shard, cycle_length=_OPEN_SHARDS, num_parallel_calls=2, deterministic=True)

        def shuffled(number: tf.Tensor, block: tf.Tensor) -> tf.Tensor:
            block_seed = tf.random.experimental.stateless_fold_in(epoch_seed, number)
            return tf.random.experimental.stateless_shuffle(block, seed=block_seed)

        return records.batch(_SHUFFLE_RECORDS).enumerate().map(shuffled).unbatch()

    def _samples(self, batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """A batch of rows of the cache, or of serialized records, to log-mels and labels."""
        if self.cached is not None:
            return tf.gather(self.cached, batch), tf.gather(tf.constant(self.labels), batch)
        record = schema.parse_batch(batch, shape=self.shape)
        return record[schema.LOG_MEL][..., tf.newaxis], record[schema.LABEL]


def load_split(folder: Place, manifest: Manifest, split: str, *, cache_bytes: float, for_training: bool = False) -> SplitData:
    """Opens one split: reads it once, for labels and track ids and, where they fit, the log-mels.

    Args:
        folder: The dataset's, whose shards have been checked; those behind a URL are, while they are read.
        manifest: Its manifest.
        split: "train" or "test".
        cache_bytes: The log-mels are kept in memory if they take no more than this.
        for_training: Whether only `training_batches` is wanted: a split that is not kept in memory is not read yet then.

    Raises:
        DatasetError: If there is no such split.
    """
    records = ShardRecords(folder, manifest.shards_of(split))
    shape = manifest.spec.shape
    n_records = manifest.splits[split].n_records
    cache = 4 * n_records * math.prod(shape) <= cache_bytes
    log_mels = np.empty((n_records if cache else 0, *shape, 1), dtype=np.float32)
    labels: list[int] = []
    track_ids: list[str] = []
    chunk_indices: list[int] = []
    for record in made_ahead(records.parsed(shape).take(-1 if cache or not for_training else 0)):
        if cache:
            log_mels[len(track_ids) : len(track_ids) + len(record[schema.LABEL]), ..., 0] = record[schema.LOG_MEL]
        labels += record[schema.LABEL].numpy().tolist()
        chunk_indices += record[schema.CHUNK_INDEX].numpy().tolist()
        track_ids += [track_id.decode() for track_id in record[schema.TRACK_ID].numpy()]
    with tf.device("CPU:0"):
        cached = tf.constant(log_mels) if cache else None
    return SplitData(
        shape=shape,
        records=records,
        n_records=n_records,
        labels=np.asarray(labels, dtype=np.int64),
        track_ids=track_ids,
        chunk_indices=np.asarray(chunk_indices, dtype=np.int64),
        places=np.arange(len(labels)),
        cached=cached,
    )
