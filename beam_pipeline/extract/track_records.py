"""A track to its records: reads, decodes, cuts and transforms. Needs no Beam: it runs in processes of their own, too."""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from beam_pipeline import storage
from beam_pipeline.extract.allocator import keep_freed_memory
from beam_pipeline.extract.chunks import TooShortError, draw_chunks
from beam_pipeline.extract.deform import deformed_chunks
from beam_pipeline.extract.features import Features, library_versions
from beam_pipeline.extract.references import Reference
from beam_pipeline.plan import Plan
from beam_pipeline.track import Track
from tfrecords.audio import Audio, UnusableAudioError, decode_audio
from tfrecords.augmentation import Augmentation
from tfrecords.log_mel import cut_chunks, log_mel
from tfrecords.schema import encode
from tfrecords.stable_hash import record_order


class Extracted(NamedTuple):
    """What became of a track.

    Attributes:
        track_id: Of the track.
        report: A line of JSON: what the run notes of the track, or why it cannot be used.
        is_rejected: Whether it cannot.
        records: Its records, each with the shard that it goes to: serialised with the frames that were computed, or a line that
            refers to them.
        counts: What was done, for Beam's counters.
    """

    track_id: str
    report: str
    is_rejected: bool
    records: list[tuple[str, bytes]]
    counts: dict[str, int]


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
    """A track's id and the bytes of its file, which are decoded when that is asked for first; and what was done."""

    def __init__(self, track_id: str, data: bytes, *, sample_rate: int, counts: Counter[str]) -> None:
        self.track_id = track_id
        self.data = data
        self.was_decoded = False
        self.counts = counts
        self._sample_rate = sample_rate

    @cached_property
    def audio(self) -> Audio:
        started = time.perf_counter_ns()
        audio = decode_audio(self.data, sample_rate=self._sample_rate)
        self.counts["decode_microseconds"] += _microseconds_since(started)
        self.counts["tracks_decoded"] += 1
        self.was_decoded = True
        return audio


class TrackExtractor:
    """A function of a track; sent to the workers."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        folders = [folder for folder in dict.fromkeys((plan.features, plan.handover)) if folder]
        self._stores = {draw: [plan.store(folder, draw) for folder in folders] for draw in (None, plan.augmentation)}

    def __call__(self, track: Track) -> Extracted:
        """Extracts a track, or takes its features from the store.

        Raises:
            StorageError: If a disk or an object store fails.
        """
        keep_freed_memory()
        counts: Counter[str] = Counter()
        records: list[tuple[str, bytes]] = []
        rejected = True
        try:
            drawn = self._drawn(track, counts)
        except (UnusableAudioError, TooShortError, OSError) as error:
            kind = "unreadable" if isinstance(error, OSError) else error.kind
            reason = f"cannot be read: {error.strerror or error}" if isinstance(error, OSError) else str(error)
            counts["tracks_rejected"] += 1
            counts[f"tracks_rejected: {kind}"] += 1
            report: dict[str, Any] = {"rejected": track.described() | {"kind": kind, "reason": reason}}
        else:
            rejected = False
            records = [placed for one in drawn for placed in self._records(track, one)]
            counts["tracks_read"] += 1
            counts["chunks_made"] += len(records)
            report = self._report(track, drawn)
        if self._plan.progress:
            with Path(self._plan.progress, str(os.getpid())).open("ab") as file:
                file.write(b".")
        return Extracted(track.track_id, json.dumps(report), rejected, records, dict(counts))

    def _drawn(self, track: Track, counts: Counter[str]) -> list[_Drawn]:
        """Reads a track; draws what its split asks for."""
        started = time.perf_counter_ns()
        data = storage.read_track(storage.resolve(track.path, root=self._plan.root))
        counts["bytes_read"] += len(data)
        counts["read_microseconds"] += _microseconds_since(started)
        source = _Source(track.track_id, data, sample_rate=self._plan.spec.sample_rate, counts=counts)
        drawn = [_Drawn(draw, *self._features(source, draw)) for draw in self._plan.draws(track.split or "")]
        if not source.was_decoded:
            counts["tracks_reused"] += 1
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
        source.counts["log_mel_microseconds"] += _microseconds_since(started)
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
        source.counts["deform_microseconds"] += _microseconds_since(started)
        return [candidate for candidates in drawn for candidate in candidates], np.concatenate(chunks)

    def _report(self, track: Track, drawn: list[_Drawn]) -> dict[str, Any]:
        """What the run notes of a track: a line of the list of tracks, the keys of its features, and what they were made with."""
        step = self._plan.spec.chunk_step
        starts = {name: [number * step for number in numbers] for one in drawn for name, numbers in one.by_deformation()}
        described = track.described() | {
            "label": self._plan.genres.index(track.genre),
            "n_samples": drawn[0].features.n_samples,
            "audio_blake3": drawn[0].features.audio_blake3,
            "start_samples": starts.pop(""),
        }
        if starts:
            described["deformed_start_samples"] = starts
        return {"track": described, "keys": [one.key for one in drawn], "libraries": library_versions()}

    def _records(self, track: Track, drawn: _Drawn) -> Iterator[tuple[str, bytes]]:
        plan, label = self._plan, self._plan.genres.index(track.genre)
        chunks = [(name, number) for name, numbers in drawn.by_deformation() for number in numbers]
        for position, (deformation, candidate) in enumerate(chunks):
            order = record_order(plan.seed, track.track_id, candidate, deformation)
            if plan.handover:
                line = Reference(drawn.key, position, label, candidate, deformation, track.track_id).to_line()
                content = line.encode()
            else:
                computed = drawn.features.log_mels[position][:, : plan.spec.n_kept_frames]
                content = encode(plan.record(computed, track.track_id, label, candidate, deformation))
            yield plan.shard_key(track.split or "", order), content


def _microseconds_since(started_ns: int) -> int:
    return (time.perf_counter_ns() - started_ns) // 1000
