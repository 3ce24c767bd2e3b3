"""What the workers do: a track to its records, and a shard's records to a file."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import apache_beam as beam
import numpy as np
from apache_beam.metrics import Metrics

from beam_pipeline.chunks import TooShortError, draw_chunks
from tfrecords.audio import UnusableAudioError, decode_audio, read_audio_file
from tfrecords.framing import frame
from tfrecords.log_mel import cut_chunks, log_mel
from tfrecords.log_mel_spec import LogMelSpec
from tfrecords.schema import Record, decode, encode
from tfrecords.stable_hash import stable_hash
from tfrecords.statistics import LogMelStatistics

SUMMARIES = "summaries"
_DIGEST_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What every worker needs to know.

    Attributes:
        root: Folder that the tracks' paths are relative to.
        spec: The front end.
        genres: In the order of their labels.
        chunks_per_track: How many chunks to draw of each track.
        seed: Of chunk draw and record order.
        n_shards: Number of shards by split.
        staging: Folder that shards are written to.
        progress: Folder in which each process has a file that grows by a byte a track, for the local runner's progress bar;
            None elsewhere.
    """

    root: Path
    spec: LogMelSpec
    genres: tuple[str, ...]
    chunks_per_track: int
    seed: int
    n_shards: dict[str, int]
    staging: Path
    progress: Path | None

    def shard_name(self, split: str, index: int) -> str:
        """File name of one of a split's shards."""
        return f"{split}-{index:05d}-of-{self.n_shards[split]:05d}.tfrecord"

    def shard_of(self, split: str, digest: bytes) -> str:
        """The shard of the record whose place in the order is `digest`.

        Shards are equal ranges of the digests: read one after the other they hold the records in one order, whatever their
        number.
        """
        return self.shard_name(split, int.from_bytes(digest[:8], "big") * self.n_shards[split] >> 64)


def read_lines(path: str) -> Iterator[str]:
    """The lines of a text file."""
    with open(path, encoding="utf-8") as file:
        yield from file


def write_lines(_key: str, lines: Iterable[str], *, path: Path) -> None:
    """Writes lines to a text file, under a temporary name first."""
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    with temporary.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
    temporary.rename(path)


class ExtractRecords(beam.DoFn):
    """A track (a line of JSON) to its records, keyed by shard; what became of the track goes to the output SUMMARIES.

    An element of the main output is (shard name, place in the order (32 bytes) + serialized record).
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._progress: int | None = None
        self._tracks_read = Metrics.counter("pipeline", "tracks_read")
        self._tracks_rejected = Metrics.counter("pipeline", "tracks_rejected")
        self._chunks_made = Metrics.counter("pipeline", "chunks_made")
        self._bytes_read = Metrics.counter("pipeline", "bytes_read")

    def setup(self) -> None:
        """Opens this process' progress file."""
        if self._plan.progress is not None:
            self._progress = os.open(self._plan.progress / str(os.getpid()), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def teardown(self) -> None:
        """Closes the progress file."""
        if self._progress is not None:
            os.close(self._progress)

    def process(self, line: str) -> Iterator[Any]:
        """Reads, decodes, cuts and transforms one track."""
        track = json.loads(line)
        try:
            summary, records = self._extract(track)
        except (UnusableAudioError, TooShortError, OSError) as error:
            reason = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
            self._tracks_rejected.inc()
            yield beam.pvalue.TaggedOutput(SUMMARIES, json.dumps({"rejected": track | {"reason": reason}}))
        else:
            self._tracks_read.inc()
            self._chunks_made.inc(len(records))
            yield beam.pvalue.TaggedOutput(SUMMARIES, json.dumps({"track": summary}))
            yield from records
        if self._progress is not None:
            os.write(self._progress, b".")

    def _extract(self, track: dict[str, Any]) -> tuple[dict[str, Any], list[tuple[str, bytes]]]:
        plan, spec, track_id = self._plan, self._plan.spec, track["track_id"]
        data = read_audio_file(plan.root / track["path"])
        self._bytes_read.inc(len(data))
        waveform = decode_audio(data, sample_rate=spec.sample_rate)  # (n_samples,)
        indices = draw_chunks(len(waveform), track_id=track_id, n_chunks=plan.chunks_per_track, seed=plan.seed, spec=spec)
        starts = np.asarray(indices) * spec.chunk_step
        features = log_mel(cut_chunks(waveform, starts, spec=spec), spec=spec)  # (n_chunks, n_mels, n_frames)
        label = plan.genres.index(track["genre"])
        records = []
        for index, start, feature in zip(indices, starts, features, strict=True):
            digest = stable_hash("order", plan.seed, track_id, index)
            record = Record(
                log_mel=feature, label=label, genre=track["genre"], track_id=track_id, chunk_index=index, start_sample=int(start)
            )
            records.append((plan.shard_of(track["split"], digest), digest + encode(record)))
        summary = track | {
            "label": label,
            "n_samples": len(waveform),
            "audio_sha256": hashlib.sha256(waveform.tobytes()).hexdigest(),
            "start_samples": starts.tolist(),
        }
        return summary, records


def write_shard(name: str, elements: Iterable[bytes], *, plan: Plan) -> str:
    """Sorts one shard's records, writes them under a temporary name and renames it.

    Args:
        name: The shard's file name.
        elements: Place in the order (32 bytes) + serialized record; empty ones only say that the shard exists.
        plan: The run's plan.

    Returns:
        A line of JSON with the shard's name, number of records, size, SHA-256 and statistics.
    """
    statistics = LogMelStatistics(plan.spec)
    digest = hashlib.sha256()
    n_bytes = 0
    temporary = plan.staging / f".{name}.{uuid4().hex}"
    with temporary.open("wb") as file:
        for element in sorted(filter(None, elements)):
            serialized = element[_DIGEST_BYTES:]
            statistics.add(decode(serialized, shape=plan.spec.shape).log_mel)
            framed = frame(serialized)
            digest.update(framed)
            n_bytes += file.write(framed)
    temporary.rename(plan.staging / name)
    shard = {"name": name, "n_records": statistics.n_records, "n_bytes": n_bytes, "sha256": digest.hexdigest()}
    return json.dumps({"shard": shard, "statistics": statistics.to_dict()})
