"""The whole run: folder of tracks to dataset."""

import hashlib
import json
import math
from collections import Counter
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from apache_beam.runners.runner import PipelineResult

from beam_pipeline.index import Corpus, index_corpus
from beam_pipeline.options import BuildOptions
from beam_pipeline.output_folder import check_output, publish, staging_folder, write_rejected
from beam_pipeline.pipeline import BuildError, is_local, run_pipeline
from beam_pipeline.progress import progress_of, tracks_by_process
from beam_pipeline.splits import assign_splits
from beam_pipeline.transforms import Plan
from tfrecords.manifest import Manifest, Shard, SplitSummary
from tfrecords.statistics import LogMelStatistics

_SHARD_BYTES = 64 * 2**20
_SPLITS = ("train", "test")


class RejectedError(BuildError):
    """Too many tracks were left out.

    Attributes:
        rejected: The tracks, with their reasons.
    """

    def __init__(self, message: str, rejected: list[dict[str, Any]]) -> None:
        super().__init__(message)
        self.rejected = rejected


@dataclass(frozen=True, kw_only=True)
class BuildResult:
    """A finished run.

    Attributes:
        manifest: Of the dataset that was written.
        rejected: The tracks that were left out, with their reasons.
        counters: Beam's counters by name.
        tracks_by_process: How many tracks each worker process did; empty for a remote runner.
    """

    manifest: Manifest
    rejected: tuple[dict[str, Any], ...]
    counters: dict[str, int]
    tracks_by_process: dict[str, int]


def build_dataset(options: BuildOptions) -> BuildResult:
    """Makes a dataset out of a folder of tracks.

    Raises:
        UsageError: If input or output cannot be used as asked; nothing was written.
        RejectedError: If too many tracks were left out, or none of a genre is left. `rejected.jsonl` lists them.
        BuildError: If the runner failed. In neither case a dataset was written, and one that was to be replaced is still there.
    """
    corpus = index_corpus(options.input)
    split_of = assign_splits(corpus.tracks, scheme=options.split, seed=options.seed, test_fraction=options.test_fraction)
    check_output(options.output, overwrite=options.overwrite)
    with staging_folder(options.output) as staging:
        plan = _plan(options, corpus, split_of, staging)
        track_list = staging / "tracks.txt"
        with track_list.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(track) | {"split": split_of[track.track_id]}) + "\n" for track in corpus.tracks)
        summaries = staging / "summaries.txt"
        with progress_of(plan.progress, n_tracks=len(corpus.tracks)) if plan.progress else nullcontext():
            result = run_pipeline(options, plan=plan, track_list=track_list, summaries=summaries)
        with summaries.open(encoding="utf-8") as file:
            return _finish(options, corpus, plan, [json.loads(line) for line in file], result)


def _plan(options: BuildOptions, corpus: Corpus, split_of: dict[str, str], staging: Path) -> Plan:
    progress = staging / "progress" if is_local(options) else None
    if progress is not None:
        progress.mkdir()
    record_bytes = 4 * math.prod(options.spec.shape)
    n_tracks = Counter(split_of.values())
    n_shards = {
        split: options.num_shards or math.ceil(n_tracks[split] * options.chunks_per_track * record_bytes / _SHARD_BYTES)
        for split in _SPLITS
    }
    return Plan(
        root=corpus.root.resolve(),
        spec=options.spec,
        genres=corpus.genres,
        chunks_per_track=options.chunks_per_track,
        seed=options.seed,
        n_shards=n_shards,
        staging=staging,
        progress=progress,
    )


def _finish(
    options: BuildOptions, corpus: Corpus, plan: Plan, summaries: list[dict[str, Any]], result: PipelineResult
) -> BuildResult:
    """Checks what the workers report, and publishes the dataset."""
    tracks = sorted((line["track"] for line in summaries if "track" in line), key=lambda track: track["track_id"])
    rejected = sorted((line["rejected"] for line in summaries if "rejected" in line), key=lambda track: track["track_id"])
    shards = sorted((line for line in summaries if "shard" in line), key=lambda line: line["shard"]["name"])
    write_rejected(options.output, _json_lines(rejected))
    _check_rejected(options, corpus, tracks, rejected)

    statistics = {split: LogMelStatistics(plan.spec) for split in _SPLITS}
    shard_infos = []
    for line in shards:
        split = line["shard"]["name"].split("-")[0]
        statistics[split].merge(LogMelStatistics.from_dict(line["statistics"], spec=plan.spec))
        shard_infos.append(Shard(split=split, **line["shard"]))
    n_tracks = Counter(track["split"] for track in tracks)
    for split in _SPLITS:
        if statistics[split].n_records != n_tracks[split] * options.chunks_per_track:
            raise BuildError(
                f"the shards of split {split!r} hold {statistics[split].n_records} records instead of "
                f"{n_tracks[split]} tracks × {options.chunks_per_track} chunks"
            )
    track_lines = _json_lines(tracks)
    manifest = Manifest(
        corpus=corpus.info,
        preset=options.preset,
        spec=plan.spec,
        split_scheme=options.split,
        seed=options.seed,
        test_fraction=options.test_fraction if options.split == "stratified" else None,
        chunks_per_track=options.chunks_per_track,
        genres=corpus.genres,
        splits={
            split: SplitSummary(
                n_tracks=n_tracks[split], n_records=statistics[split].n_records, statistics=statistics[split].summary()
            )
            for split in _SPLITS
        },
        shards=tuple(shard_infos),
        standardization=statistics["train"].standardization(),
        tracks_sha256=hashlib.sha256(track_lines.encode()).hexdigest(),
        code_version=_code_version(),
    )
    publish(options.output, shard_names=[shard.name for shard in shard_infos], tracks=track_lines, manifest=manifest.to_json())
    counters = {counter.key.metric.name: counter.committed for counter in result.metrics().query()["counters"]}
    return BuildResult(
        manifest=manifest,
        rejected=tuple(rejected),
        counters=counters,
        tracks_by_process=tracks_by_process(plan.progress) if plan.progress else {},
    )


def _check_rejected(options: BuildOptions, corpus: Corpus, tracks: list[dict[str, Any]], rejected: list[dict[str, Any]]) -> None:
    if len(tracks) + len(rejected) != len(corpus.tracks):
        raise BuildError(f"{len(corpus.tracks)} tracks went in, {len(tracks)} + {len(rejected)} rejected ones came out")
    limit = options.max_rejected.of(len(corpus.tracks))
    if len(rejected) > limit:
        raise RejectedError(
            f"{len(rejected)} of {len(corpus.tracks)} tracks cannot be used, more than --max-rejected allows ({limit})", rejected
        )
    for split in _SPLITS:
        left = {track["genre"] for track in tracks if track["split"] == split}
        if lost := set(corpus.genres) - left:
            raise RejectedError(f"no track of genre {min(lost)!r} in split {split!r} can be used", rejected)


def _json_lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def _code_version() -> str:
    try:
        return version("gtzan-genres")
    except PackageNotFoundError:
        return "not installed"
