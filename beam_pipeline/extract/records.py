"""What an extracted track gives: its records, each with the shard that it goes to, and what the run notes of it."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from beam_pipeline.extract.extracted import Extracted
from beam_pipeline.extract.references import Reference
from beam_pipeline.plan import Plan
from tfrecords.dataset.stable_hash import record_order
from tfrecords.records.schema import encode


def records_of(extracted: Extracted, *, plan: Plan) -> Iterator[tuple[str, bytes]]:
    """Yields a track's records, each with the shard that it goes to.

    Yields:
        The shard; and the record with the frames that were computed, or a line that refers to them where workers share a disk.
    """
    track = extracted.track
    if track.split is None:
        return
    label = plan.genres.index(track.genre)
    for drawn in extracted.drawn:
        chunks = [(name, number) for name, numbers in drawn.candidates.items() for number in numbers]
        log_mels = np.frombuffer(drawn.log_mels, np.float32).reshape(-1, plan.spec.n_mels, plan.spec.n_kept_frames)
        for place, (deformation, candidate) in enumerate(chunks):
            order = record_order(plan.seed, track.track_id, candidate, deformation)
            if plan.handover:
                reference = Reference(drawn.key, place - len(chunks), label, candidate, deformation, track.track_id)
                content = reference.to_line().encode()
            else:
                content = encode(plan.record(log_mels[place], track.track_id, label, candidate, deformation))
            yield plan.shard_key(track.split, order), content


def report_of(extracted: Extracted, *, plan: Plan) -> tuple[str, str]:
    """A track's id, and a line of JSON: what the run notes of it, or why it is not used."""
    track, refusal = extracted.track, extracted.refusal
    report: dict[str, Any]
    if refusal:
        report = {"rejected": track.described() | {"kind": refusal.kind, "reason": refusal.reason}}
    elif track.split is None:
        report = {"left_out": track.described() | {"kind": track.left_out_kind, "reason": track.left_out}}
    else:
        report = {"track": _line(extracted, plan), "keys": [drawn.key for drawn in extracted.drawn]}
    return track.track_id, json.dumps(report)


def _line(extracted: Extracted, plan: Plan) -> dict[str, Any]:
    """A line of the list of tracks."""
    step = plan.spec.chunk_step
    starts = {
        name: [number * step for number in numbers] for drawn in extracted.drawn for name, numbers in drawn.candidates.items()
    }
    line = extracted.track.described() | {
        "label": plan.genres.index(extracted.track.genre),
        "n_samples": extracted.n_samples,
        "audio_blake3": extracted.audio_blake3,
        "start_samples": starts.pop(""),
    }
    if starts:
        line["deformed_start_samples"] = starts
    if extracted.announced_samples is not None:
        line["announced_samples"] = extracted.announced_samples
    return line
