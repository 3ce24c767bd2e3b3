"""A track to the log-mels of its chunks: reads, decodes, cuts and transforms. Needs no Beam, for processes of their own."""

import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import BinaryIO

import numpy as np

from beam_pipeline import storage
from beam_pipeline.extract.allocator import keep_freed_memory
from beam_pipeline.extract.chunks import TooShortError, draw_chunks
from beam_pipeline.extract.deform import deformed_chunks
from beam_pipeline.extract.extracted import Done, Drawn, Extracted, Refusal
from beam_pipeline.extract.features import Features, library_versions
from beam_pipeline.extract.track_file import open_track
from beam_pipeline.plan import Plan
from beam_pipeline.track import Track
from tfrecords.audio import UnusableAudioError, read_audio
from tfrecords.front_end.augmentation import Augmentation
from tfrecords.front_end.log_mel import log_mel


class TrackExtractor:
    """A function of a track as it is, whatever its split; sent to the workers."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._features = _Features(plan, None)

    def __call__(self, track: Track) -> Done:
        """Extracts a track, or takes its features from the store.

        Raises:
            StorageError: If a disk or an object store fails.
        """
        counts: Counter[str] = Counter()
        try:
            drawn, features, computed = self._features.of(track, counts)
        except (UnusableAudioError, TooShortError, OSError) as error:
            extracted = _refused(track, _refusal(error), counts)
        else:
            counts["tracks_read"] += 1
            counts["tracks_decoded" if computed else "tracks_reused"] += 1
            extracted = Extracted(
                track,
                n_samples=features.n_samples,
                announced_samples=features.announced_samples,
                audio_blake3=features.audio_blake3,
                drawn=(drawn,),
            )
        if self._plan.progress:
            with Path(self._plan.progress, str(os.getpid())).open("ab") as file:
                file.write(b".")
        return _done(extracted, counts)


class TrackDeformer:
    """A function of an extracted track, which adds what is drawn of its deformations; sent to the workers."""

    def __init__(self, plan: Plan) -> None:
        self._features = _Features(plan, plan.augmentation)

    def __call__(self, extracted: Extracted) -> Done:
        """Deforms a track, or takes the features of its deformations from the store.

        Raises:
            StorageError: If a disk or an object store fails.
        """
        counts: Counter[str] = Counter()
        try:
            drawn, _, computed = self._features.of(extracted.track, counts)
        except (UnusableAudioError, TooShortError, OSError) as error:
            return _done(_refused(extracted.track, _refusal(error), counts), counts)
        counts["tracks_deformed"] += computed
        return _done(extracted._replace(drawn=(*extracted.drawn, drawn)), counts)


def lost(track: Track, kind: str, reason: str) -> Done:
    """What becomes of a track at which a worker's process ended."""
    counts: Counter[str] = Counter()
    return _done(_refused(track, Refusal(kind, reason), counts), counts)


class _Features:
    """Features of tracks as they are, or of their deformations: computed, or taken from the plan's stores."""

    def __init__(self, plan: Plan, draw: Augmentation | None) -> None:
        self._plan, self._draw = plan, draw
        folders = [folder for folder in dict.fromkeys((plan.features, plan.handover)) if folder]
        self._stores = [plan.store(folder, draw) for folder in folders]

    def of(self, track: Track, counts: Counter[str]) -> tuple[Drawn, Features, bool]:
        """What is drawn of a track, its features, which now lie in the stores, and whether they were computed here.

        Raises:
            UnusableAudioError: If it does not decode.
            TooShortError: If it has too few candidates.
            OSError: If it is not there or may not be read.
            StorageError: If a disk or an object store fails.
        """
        keep_freed_memory()
        plan = self._plan
        started = time.perf_counter_ns()
        opened = open_track(storage.resolve(track.path, root=plan.root))
        with opened.file:
            counts["bytes_read"] += opened.n_bytes
            counts["read_microseconds"] += _microseconds_since(started)
            key = self._stores[0].key(track.track_id, opened.blake3) if self._stores else ""
            kept = self._stores[0].get(key) if self._stores else None
            try:
                features = kept or self._compute(track.track_id, opened.file, counts)
            except UnusableAudioError:
                opened.read_again()
                raise
        for store in self._stores[1 if kept else 0 :]:
            store.put(key, features)
        if kept and len(kept.log_mels) < (self._draw.n_chunks if self._draw else plan.chunks_per_track):
            self._candidates(track.track_id, kept.n_samples)  # an earlier run may have been content with fewer
        log_mels = b"" if plan.handover else features.log_mels[:, :, : plan.spec.n_kept_frames].tobytes()
        return Drawn(key, features.candidates, log_mels), features, kept is None

    def _candidates(self, track_id: str, n_samples: int) -> dict[str, list[int]]:
        """The candidates that are drawn of a track as it is or, by their names, of its deformations."""
        plan, draw = self._plan, self._draw
        if draw is None:
            spec, n_chunks = plan.spec, plan.chunks_per_track
            least = plan.min_chunks
            return {"": draw_chunks(n_samples, track_id=track_id, n_chunks=n_chunks, seed=plan.seed, spec=spec, min_chunks=least)}
        return {
            deformation.name: draw_chunks(
                deformation.n_samples(n_samples),
                track_id=track_id,
                n_chunks=draw.chunks_per_deformation,
                seed=plan.seed,
                spec=plan.spec,
                min_chunks=None if plan.min_chunks is None else 0,
                deformation=deformation.name,
            )
            for deformation in draw.deformations
        }

    def _compute(self, track_id: str, file: BinaryIO, counts: Counter[str]) -> Features:
        spec = self._plan.spec
        started = time.perf_counter_ns()
        audio = read_audio(file, sample_rate=spec.sample_rate)
        counts["decode_microseconds"] += _microseconds_since(started)
        candidates = self._candidates(track_id, audio.n_samples)
        started = time.perf_counter_ns()
        if self._draw is None:
            chunks = audio.segments(np.asarray(candidates[""]) * spec.chunk_step, n_samples=spec.chunk_samples)
        else:
            starts = {
                deformation: np.asarray(numbers) * spec.chunk_step
                for deformation in self._draw.deformations
                if (numbers := candidates[deformation.name])
            }
            chunks = deformed_chunks(audio, starts, spec=spec)
        counts["decode_microseconds" if self._draw is None else "deform_microseconds"] += _microseconds_since(started)
        started = time.perf_counter_ns()
        log_mels = log_mel(chunks, spec=spec)  # (n_chunks, n_mels, n_frames)
        counts["log_mel_microseconds"] += _microseconds_since(started)
        return Features(
            n_samples=audio.n_samples,
            announced_samples=audio.announced_samples,
            audio_blake3=audio.blake3,
            candidates=candidates,
            log_mels=log_mels,
        )


def _refusal(error: UnusableAudioError | TooShortError | OSError) -> Refusal:
    if isinstance(error, OSError):
        return Refusal("unreadable", f"cannot be read: {error.strerror or error}")
    return Refusal(error.kind, str(error))


def _refused(track: Track, refusal: Refusal, counts: Counter[str]) -> Extracted:
    counts["tracks_rejected"] += 1
    counts[f"tracks_rejected: {refusal.kind}"] += 1
    return Extracted(track, refusal=refusal)


def _done(extracted: Extracted, counts: Counter[str]) -> Done:
    return Done(extracted, dict(counts), json.dumps(library_versions(), sort_keys=True))


def _microseconds_since(started_ns: int) -> int:
    return (time.perf_counter_ns() - started_ns) // 1000
