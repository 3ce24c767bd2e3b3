"""A track to its records: the stage that reads, decodes and transforms."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
from apache_beam.metrics import Metrics
from numpy.typing import NDArray

from beam_pipeline import storage
from beam_pipeline.allocator import keep_freed_memory
from beam_pipeline.chunks import TooShortError, draw_chunks
from beam_pipeline.deform import deformed_chunks
from beam_pipeline.features import Features
from beam_pipeline.plan import Plan
from beam_pipeline.references import Reference
from beam_pipeline.spool import SpoolWriter
from beam_pipeline.summaries import SUMMARIES, Summary
from tfrecords.audio import Audio, UnusableAudioError, decode_audio
from tfrecords.augmentation import Augmentation
from tfrecords.log_mel import cut_chunks, log_mel
from tfrecords.schema import encode
from tfrecords.stable_hash import record_order

NAMESPACE = "pipeline"
# A record on its way to its shard: its place in the order, and its bytes.
PlacedRecord = tuple[bytes, bytes]


class _Drawn(NamedTuple):
    """Chunks that were drawn of a track as it is, or of its deformations: their features, and the key of these."""

    draw: Augmentation | None
    key: str
    features: Features

    def by_deformation(self) -> Iterator[tuple[str, Sequence[int]]]:
        """The name of each deformation, or the empty one, with the candidates that were drawn of it."""
        candidates = self.features.candidates
        return self.draw.by_deformation(candidates) if self.draw else iter([("", candidates)])


class _Source:
    """A track's id and the bytes of its file, which are decoded when that is asked for first."""

    def __init__(self, track_id: str, data: bytes, *, sample_rate: int) -> None:
        self.track_id = track_id
        self.data = data
        self.was_decoded = False
        self._sample_rate = sample_rate

    @cached_property
    def audio(self) -> Audio:
        started = time.perf_counter_ns()
        audio = decode_audio(self.data, sample_rate=self._sample_rate)
        _count("decode_microseconds", _microseconds_since(started))
        _count("tracks_decoded", 1)
        self.was_decoded = True
        return audio


class ExtractRecords(beam.DoFn):
    """A track (a line of JSON) to its records.

    The main output has (shard name, PlacedRecord). What became of the track goes to the output SUMMARIES. With the local runner
    both are empty: references to the records and the summaries go to the plan's spool.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        folders = [folder for folder in dict.fromkeys((plan.features, plan.local_features)) if folder]
        self._stores = {draw: [plan.store(folder, draw) for folder in folders] for draw in (None, plan.augmentation)}
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
            drawn = self._drawn(track)
        except (UnusableAudioError, TooShortError, OSError) as error:
            kind = "unreadable" if isinstance(error, OSError) else error.kind
            reason = f"cannot be read: {error.strerror or error}" if isinstance(error, OSError) else str(error)
            _count("tracks_rejected", 1)
            _count(f"tracks_rejected: {kind}", 1)
            yield from self._say(track["track_id"], {"rejected": track | {"kind": kind, "reason": reason}})
        else:
            _count("tracks_read", 1)
            _count("chunks_made", sum(len(one.features.candidates) for one in drawn))
            yield from self._say(track["track_id"], self._summary(track, drawn))
            for one in drawn:
                yield from self._records(track, one)
        if self._progress is not None:
            os.write(self._progress, b".")

    def _drawn(self, track: dict[str, Any]) -> list[_Drawn]:
        """Reads a track; draws what its split asks for."""
        started = time.perf_counter_ns()
        data = storage.read_track(storage.resolve(track["path"], root=self._plan.root))
        _count("bytes_read", len(data))
        _count("read_microseconds", _microseconds_since(started))
        source = _Source(track["track_id"], data, sample_rate=self._plan.spec.sample_rate)
        drawn = [_Drawn(draw, *self._features(source, draw)) for draw in self._plan.draws(track["split"])]
        if not source.was_decoded:
            _count("tracks_reused", 1)
        return drawn

    def _features(self, source: _Source, draw: Augmentation | None) -> tuple[str, Features]:
        """A track's key, and its features, which now lie in the plan's stores."""
        if not self._stores[draw]:
            return "", self._compute(source, draw)
        first, *others = self._stores[draw]
        key = first.key(source.track_id, source.data)
        features = first.get(key)
        if features is None:
            features = self._compute(source, draw)
            first.put(key, features)
        for store in others:
            store.put(key, features)
        return key, features

    def _compute(self, source: _Source, draw: Augmentation | None) -> Features:
        audio = source.audio
        candidates, chunks = self._deformed_chunks(source, draw) if draw else self._chunks(source)
        started = time.perf_counter_ns()
        log_mels = log_mel(chunks, spec=self._plan.spec)  # (n_chunks, n_mels, n_frames)
        _count("log_mel_microseconds", _microseconds_since(started))
        return Features(n_samples=len(audio.waveform), audio_blake3=audio.blake3, candidates=candidates, log_mels=log_mels)

    def _chunks(self, source: _Source) -> tuple[list[int], NDArray[np.float32]]:
        """The candidates that are drawn of a track as it is, and their waveforms (n_chunks, chunk_samples)."""
        plan, waveform = self._plan, source.audio.waveform
        candidates = draw_chunks(
            len(waveform), track_id=source.track_id, n_chunks=plan.chunks_per_track, seed=plan.seed, spec=plan.spec
        )
        return candidates, cut_chunks(waveform, np.asarray(candidates) * plan.spec.chunk_step, spec=plan.spec)

    def _deformed_chunks(self, source: _Source, augmentation: Augmentation) -> tuple[list[int], NDArray[np.float32]]:
        """Likewise of all deformations of the track."""
        plan, waveform = self._plan, source.audio.waveform
        started = time.perf_counter_ns()
        drawn = [
            draw_chunks(
                deformation.n_samples(len(waveform)),
                track_id=source.track_id,
                n_chunks=augmentation.chunks_per_deformation,
                seed=plan.seed,
                spec=plan.spec,
                deformation=deformation.name,
            )
            for deformation in augmentation.deformations
        ]
        chunks = [
            deformed_chunks(waveform, np.asarray(candidates) * plan.spec.chunk_step, deformation=deformation, spec=plan.spec)
            for deformation, candidates in zip(augmentation.deformations, drawn, strict=True)
        ]
        _count("deform_microseconds", _microseconds_since(started))
        return [candidate for candidates in drawn for candidate in candidates], np.concatenate(chunks)

    def _summary(self, track: dict[str, Any], drawn: list[_Drawn]) -> dict[str, Any]:
        """What the run notes of a track; the keys serve to prune the store, the rest becomes a line of tracks.jsonl."""
        step = self._plan.spec.chunk_step
        starts = {name: [number * step for number in numbers] for one in drawn for name, numbers in one.by_deformation()}
        described = {
            "label": self._plan.genres.index(track["genre"]),
            "n_samples": drawn[0].features.n_samples,
            "audio_blake3": drawn[0].features.audio_blake3,
            "start_samples": starts.pop(""),
        }
        if starts:
            described["deformed_start_samples"] = starts
        return {"track": track | described, "keys": [one.key for one in drawn]}

    def _say(self, track_id: str, content: dict[str, Any]) -> Iterator[Any]:
        summary = Summary(track_id, json.dumps(content))
        if self._spool:
            self._spool.add(SUMMARIES, summary.to_line())
        else:
            yield beam.pvalue.TaggedOutput(SUMMARIES, tuple(summary))

    def _records(self, track: dict[str, Any], drawn: _Drawn) -> Iterator[tuple[str, PlacedRecord]]:
        plan, track_id, label = self._plan, track["track_id"], self._plan.genres.index(track["genre"])
        chunks = [(name, number) for name, numbers in drawn.by_deformation() for number in numbers]
        for position, (deformation, candidate) in enumerate(chunks):
            order = record_order(plan.seed, track_id, candidate, deformation)
            shard = plan.shard_of(track["split"], order)
            if self._spool:
                reference = Reference(order.hex(), drawn.key, position, label, candidate, deformation, track_id)
                self._spool.add(shard, reference.to_line())
            else:
                record = plan.record(drawn.features.log_mels[position], track_id, label, candidate, deformation)
                yield shard, (order, encode(record))


def _count(name: str, amount: int) -> None:
    Metrics.counter(NAMESPACE, name).inc(amount)


def _microseconds_since(started_ns: int) -> int:
    return (time.perf_counter_ns() - started_ns) // 1000
