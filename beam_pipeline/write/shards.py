"""A shard's records to its file: the stage that sorts and writes."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np

from beam_pipeline import storage
from beam_pipeline.extract.references import unpack
from beam_pipeline.plan import Plan
from tfrecords.dataset.stable_hash import record_order
from tfrecords.front_end.log_mel import fill_frames
from tfrecords.front_end.statistics import LogMelStatistics
from tfrecords.records.framing import frame
from tfrecords.records.schema import Record, decode, encode

_STATISTICS_BLOCK = 32


class WrittenShard(NamedTuple):
    """A shard that lies in the staging folder.

    Attributes:
        split: Its split.
        report: A line of JSON: its name while it is made, staged file, number of records, size, SHA-256.
        statistics: Of its log-mels, packed.
    """

    split: str
    report: str
    statistics: bytes


class ShardWriter:
    """A function of a shard's key and records; sent to the workers."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def __call__(self, shard: tuple[str, Iterable[bytes]]) -> WrittenShard:
        """Sorts one shard's records and writes them to the staging folder.

        The file gets a name of its own in each attempt: an attempt that was given up, but lives on, cannot harm another.

        Args:
            shard: Its key; and what the stage before gave: serialised records, lines that refer to some, or nothing.

        Raises:
            ValueError: If a record is there twice, or features that it refers to are damaged.
            StorageError: If a disk or an object store fails.
        """
        key, contents = shard
        statistics = LogMelStatistics(self._plan.spec)
        digest = hashlib.sha256()
        n_bytes, last_order, block = 0, b"", []
        staged = f"{key}.tfrecord.{uuid4().hex}"
        with storage.new_file(storage.join(self._plan.staging, staged)) as file:
            for order, record in self._records(contents):
                if order == last_order:
                    raise ValueError(f"{key}: the record at place {order.hex()} came twice")
                last_order = order
                block.append(record.log_mel)
                if len(block) == _STATISTICS_BLOCK:
                    statistics.add(np.stack(block))
                    block.clear()
                framed = frame(encode(record))
                digest.update(framed)
                n_bytes += file.write(framed)
        if block:
            statistics.add(np.stack(block))
        report = {
            "key": key,
            "staged": staged,
            "n_records": statistics.n_records,
            "n_bytes": n_bytes,
            "sha256": digest.hexdigest(),
        }
        return WrittenShard(key.partition("-")[0], json.dumps(report), statistics.pack())

    def _records(self, contents: Iterable[bytes]) -> Iterator[tuple[bytes, Record]]:
        """The records in their order, each with its place."""
        if self._plan.handover:
            return self._referenced(contents, self._plan.handover)
        return self._serialized(contents)

    def _serialized(self, contents: Iterable[bytes]) -> Iterator[tuple[bytes, Record]]:
        spec, seed = self._plan.spec, self._plan.seed
        computed = (spec.n_mels, spec.n_kept_frames)
        records = (decode(content, shape=computed) for content in contents if content)
        placed = [(record_order(seed, one.track_id, one.chunk_index, one.deformation), one) for one in records]
        for order, record in sorted(placed, key=_order):
            log_mel = fill_frames(record.log_mel, spec=spec)
            yield order, self._plan.record(log_mel, record.track_id, record.label, record.chunk_index, record.deformation)

    def _referenced(self, contents: Iterable[bytes], handover: str) -> Iterator[tuple[bytes, Record]]:
        stores = {draw: self._plan.store(handover, draw) for draw in (None, self._plan.augmentation)}
        references = chain.from_iterable(map(unpack, filter(None, contents)))
        placed = [(record_order(self._plan.seed, one.track_id, one.candidate, one.deformation), one) for one in references]
        for order, one in sorted(placed, key=_order):
            store = stores[self._plan.augmentation if one.deformation else None]
            log_mel = store.log_mel(one.key, one.position)
            yield order, self._plan.record(log_mel, one.track_id, one.label, one.candidate, one.deformation)


def _order(placed: tuple[bytes, Any]) -> bytes:
    return placed[0]
