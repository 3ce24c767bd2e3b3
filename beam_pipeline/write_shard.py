"""A shard's records to its file: the stage that sorts and writes."""

import hashlib
import json
from collections.abc import Iterable
from uuid import uuid4

from beam_pipeline import storage
from beam_pipeline.extract import InlineRecord, RecordReference
from beam_pipeline.plan import Plan
from tfrecords.framing import frame
from tfrecords.schema import decode, encode
from tfrecords.statistics import LogMelStatistics


def write_shard(name: str, elements: Iterable[InlineRecord | RecordReference | None], *, plan: Plan) -> tuple[str, str]:
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
    store = plan.store(plan.handover or "")
    statistics = LogMelStatistics(plan.spec)
    digest = hashlib.sha256()
    n_bytes = 0
    last_place = b""
    staged = f"{name}.{uuid4().hex}"
    with storage.create_file(storage.join(plan.staging, staged)) as file:
        for element in sorted(element for element in elements if element is not None):
            if element[0] == last_place:
                raise ValueError(f"{name}: the record at place {last_place.hex()} came twice")
            last_place = element[0]
            if len(element) == 2:
                serialized = element[1]
                log_mel = decode(serialized, shape=plan.spec.shape).log_mel
            else:
                _, key, position, track_id, label, candidate = element
                log_mel = store.log_mel(key, position)
                serialized = encode(plan.record(log_mel, track_id, label, candidate))
            statistics.add(log_mel)
            framed = frame(serialized)
            digest.update(framed)
            n_bytes += file.write(framed)
    shard = {"name": name, "n_records": statistics.n_records, "n_bytes": n_bytes, "sha256": digest.hexdigest()}
    return name, json.dumps({"shard": shard, "staged": staged, "statistics": statistics.to_dict()})
