"""A track to its records: the stage that reads, decodes and transforms."""

import json
import os
import time
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.metrics import Metrics

from beam_pipeline import storage
from beam_pipeline.allocator import keep_freed_memory
from beam_pipeline.chunks import TooShortError, draw_chunks
from beam_pipeline.features import Features
from beam_pipeline.plan import Plan
from beam_pipeline.references import Reference
from beam_pipeline.spool import SpoolWriter
from beam_pipeline.summaries import SUMMARIES, Summary
from tfrecords.audio import UnusableAudioError, decode_audio
from tfrecords.log_mel import cut_chunks, log_mel
from tfrecords.schema import encode
from tfrecords.stable_hash import record_order

NAMESPACE = "pipeline"
# A record on its way to its shard: its place in the order, and its bytes.
PlacedRecord = tuple[bytes, bytes]


class ExtractRecords(beam.DoFn):
    """A track (a line of JSON) to its records.

    The main output has (shard name, PlacedRecord). What became of the track goes to the output SUMMARIES. With the local runner
    both are empty: references to the records and the summaries go to the plan's spool.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._stores = [plan.store(folder) for folder in dict.fromkeys((plan.features, plan.local_features)) if folder]
        self._spool = SpoolWriter(plan.spool) if plan.spool else None
        self._progress: int | None = None

    def setup(self) -> None:
        """Prepares this process: its memory, and its progress file."""
        keep_freed_memory()
        if self._plan.progress is not None:
            self._progress = os.open(f"{self._plan.progress}/{os.getpid()}", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def teardown(self) -> None:
        """Closes the progress file."""
        if self._progress is not None:
            os.close(self._progress)

    def finish_bundle(self) -> None:
        """Writes what waits for the spool."""
        if self._spool:
            self._spool.flush()

    def process(self, line: str) -> Iterator[Any]:
        """Reads, decodes, cuts and transforms one track, or takes its features from the store."""
        track = json.loads(line)
        try:
            key, features = self._features(track)
        except (UnusableAudioError, TooShortError, OSError) as error:
            kind = "unreadable" if isinstance(error, OSError) else error.kind
            reason = f"cannot be read: {error.strerror or error}" if isinstance(error, OSError) else str(error)
            _count("tracks_rejected", 1)
            _count(f"tracks_rejected: {kind}", 1)
            yield from self._say(track["track_id"], {"rejected": track | {"kind": kind, "reason": reason}})
        else:
            _count("tracks_read", 1)
            _count("chunks_made", len(features.candidates))
            yield from self._say(track["track_id"], self._summary(track, key, features))
            yield from self._records(track, key, features)
        if self._progress is not None:
            os.write(self._progress, b".")

    def _features(self, track: dict[str, Any]) -> tuple[str, Features]:
        """A track's key, and its features, which now lie in the plan's stores."""
        started = time.perf_counter_ns()
        data = storage.read_track(storage.resolve(track["path"], root=self._plan.root))
        _count("bytes_read", len(data))
        _count("read_microseconds", _microseconds_since(started))
        if not self._stores:
            return "", self._compute(track["track_id"], data)
        first, *others = self._stores
        key = first.key(track["track_id"], data)
        features = first.get(key)
        if features is None:
            features = self._compute(track["track_id"], data)
            first.put(key, features)
        else:
            _count("tracks_reused", 1)
        for store in others:
            store.put(key, features)
        return key, features

    def _compute(self, track_id: str, data: bytes) -> Features:
        plan, spec = self._plan, self._plan.spec
        started = time.perf_counter_ns()
        audio = decode_audio(data, sample_rate=spec.sample_rate)
        _count("decode_microseconds", _microseconds_since(started))
        _count("tracks_decoded", 1)
        n_samples = len(audio.waveform)
        candidates = draw_chunks(n_samples, track_id=track_id, n_chunks=plan.chunks_per_track, seed=plan.seed, spec=spec)
        chunks = cut_chunks(audio.waveform, np.asarray(candidates) * spec.chunk_step, spec=spec)
        started = time.perf_counter_ns()
        log_mels = log_mel(chunks, spec=spec)  # (n_chunks, n_mels, n_frames)
        _count("log_mel_microseconds", _microseconds_since(started))
        return Features(n_samples=n_samples, audio_blake3=audio.blake3, candidates=candidates, log_mels=log_mels)

    def _summary(self, track: dict[str, Any], key: str, features: Features) -> dict[str, Any]:
        """What the run notes of a track; `key` serves to prune the store, the rest becomes a line of tracks.jsonl."""
        step = self._plan.spec.chunk_step
        described = {
            "label": self._plan.genres.index(track["genre"]),
            "n_samples": features.n_samples,
            "audio_blake3": features.audio_blake3,
            "start_samples": [candidate * step for candidate in features.candidates],
        }
        return {"track": track | described, "key": key}

    def _say(self, track_id: str, content: dict[str, Any]) -> Iterator[Any]:
        summary = Summary(track_id, json.dumps(content))
        if self._spool:
            self._spool.add(SUMMARIES, summary.to_line())
        else:
            yield beam.pvalue.TaggedOutput(SUMMARIES, tuple(summary))

    def _records(self, track: dict[str, Any], key: str, features: Features) -> Iterator[tuple[str, PlacedRecord]]:
        track_id, label = track["track_id"], self._plan.genres.index(track["genre"])
        for position, candidate in enumerate(features.candidates):
            order = record_order(self._plan.seed, track_id, candidate)
            shard = self._plan.shard_of(track["split"], order)
            if self._spool:
                self._spool.add(shard, Reference(order.hex(), key, position, label, candidate, track_id).to_line())
            else:
                yield shard, (order, encode(self._plan.record(features.log_mels[position], track_id, label, candidate)))


def _count(name: str, amount: int) -> None:
    Metrics.counter(NAMESPACE, name).inc(amount)


def _microseconds_since(started_ns: int) -> int:
    return (time.perf_counter_ns() - started_ns) // 1000
