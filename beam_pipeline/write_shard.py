"""A shard's records to its file: the stage that sorts and writes."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from beam_pipeline import storage
from beam_pipeline.extract import PlacedRecord
from beam_pipeline.plan import Plan
from beam_pipeline.references import Reference
from beam_pipeline.spool import read_spool
from tfrecords.augmentation import AUGMENTED_SPLIT
from tfrecords.framing import frame
from tfrecords.schema import decode, encode
from tfrecords.statistics import LogMelStatistics

_STATISTICS_BLOCK = 32


def write_shard(name: str, elements: Iterable[PlacedRecord | None], *, plan: Plan) -> tuple[str, str]:
    """Sorts one shard's records and writes them to the staging folder.

    The file gets a name of its own in each attempt: an attempt that was given up, but lives on, cannot harm another.

    Args:
        name: The shard's file name.
        elements: Its records; None only says that the shard exists.
        plan: The run's plan.

    Returns:
        The name, and a line of JSON with the staged file's name, the number of records, size, SHA-256 and statistics.

    Raises:
        ValueError: If a record is there twice.
    """
    records = _referenced_records(name, plan) if plan.spool else _sorted_records(elements, plan)
    statistics = LogMelStatistics(plan.spec)
    digest = hashlib.sha256()
    n_bytes = 0
    last_order = b""
    block = []
    staged = f"{name}.{uuid4().hex}"
    with storage.create_file(storage.join(plan.staging, staged)) as file:
        for order, serialized, log_mel in records:
            if order == last_order:
                raise ValueError(f"{name}: the record at place {order.hex()} came twice")
            last_order = order
            block.append(log_mel)
            if len(block) == _STATISTICS_BLOCK:
                statistics.add(np.stack(block))
                block.clear()
            framed = frame(serialized)
            digest.update(framed)
            n_bytes += file.write(framed)
    if block:
        statistics.add(np.stack(block))
    shard = {"name": name, "n_records": statistics.n_records, "n_bytes": n_bytes, "sha256": digest.hexdigest()}
    return name, json.dumps({"shard": shard, "staged": staged, "statistics": statistics.to_dict()})


def _sorted_records(elements: Iterable[PlacedRecord | None], plan: Plan) -> Iterator[tuple[bytes, bytes, NDArray[np.float32]]]:
    for order, serialized in sorted(element for element in elements if element is not None):
        yield order, serialized, decode(serialized, shape=plan.spec.shape).log_mel


def _referenced_records(name: str, plan: Plan) -> Iterator[tuple[bytes, bytes, NDArray[np.float32]]]:
    stores = {draw: plan.store(plan.local_features or "", draw) for draw in plan.draws(AUGMENTED_SPLIT)}
    references = sorted(map(Reference.from_line, read_spool(plan.spool or "", name)))
    for order, key, position, label, candidate, deformation, track_id in references:
        log_mel = stores[plan.augmentation if deformation else None].log_mel(key, position)
        yield bytes.fromhex(order), encode(plan.record(log_mel, track_id, label, candidate, deformation)), log_mel
