"""The end of a run: what the workers report is checked, and the dataset published."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from operator import itemgetter
from typing import Any

from beam_pipeline import storage
from beam_pipeline.options import BuildOptions
from beam_pipeline.output_folder import publish
from beam_pipeline.pipeline import BuildError
from beam_pipeline.plan import Plan
from beam_pipeline.summaries import read_summaries
from tfrecords.augmentation import records_per_track
from tfrecords.corpus import CorpusInfo
from tfrecords.leakage import LeakFinder, first_leaks
from tfrecords.manifest import REJECTED_FILE, TRACKS_FILE, Manifest, Shard, SplitSummary
from tfrecords.statistics import LogMelStatistics


class RejectedError(BuildError):
    """Too many tracks cannot be used.

    Attributes:
        rejected: The tracks, with their reasons.
    """

    def __init__(self, message: str, rejected: list[dict[str, Any]]) -> None:
        super().__init__(message)
        self.rejected = rejected


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What went into a run.

    Attributes:
        corpus: The corpus' name, and whether it is synthetic.
        genres: In the order of their labels.
        split_scheme: Its name.
        n_tracks_by_split: How many tracks of each genre were to be read, by split.
        left_out: The tracks that the split scheme leaves out, with its reasons.
        notes: What else the split scheme says, lines for the user.
    """

    corpus: CorpusInfo
    genres: tuple[str, ...]
    split_scheme: str
    n_tracks_by_split: Mapping[str, Counter[str]]
    left_out: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]

    @property
    def n_tracks(self) -> int:
        """How many tracks were to be read."""
        return sum(genres.total() for genres in self.n_tracks_by_split.values())


@dataclass(kw_only=True)
class _Report:
    """What the workers reported, gathered."""

    statistics: dict[str, LogMelStatistics]
    rejected: list[dict[str, Any]] = field(default_factory=list)
    shards: list[Shard] = field(default_factory=list)
    staged_names: dict[str, str] = field(default_factory=dict)
    genres_by_split: dict[str, Counter[str]] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    leaks: list[str] = field(default_factory=list)

    def n_tracks(self, split: str) -> int:
        return self.genres_by_split[split].total()


def finish(options: BuildOptions, plan: Plan, facts: RunFacts) -> tuple[Manifest, tuple[dict[str, Any], ...]]:
    """Checks what the workers report, and publishes the dataset.

    Returns:
        The manifest, and the tracks that could not be used, with their reasons.

    Raises:
        RejectedError: If too many tracks cannot be used, or none of a genre is left.
        BuildError: If something is missing or doubled, or two splits hold the same audio.
    """
    report = _Report(
        statistics={split: LogMelStatistics(plan.spec) for split in plan.n_shards},
        genres_by_split={split: Counter() for split in plan.n_shards},
    )
    digest = hashlib.sha256()

    def hashed(lines: Iterable[bytes]) -> Iterator[bytes]:
        for line in lines:
            digest.update(line)
            yield line

    storage.write(storage.join(plan.staging, TRACKS_FILE), hashed(_gather(plan, report)))
    unused = sorted((*report.rejected, *facts.left_out), key=itemgetter("track_id"))
    storage.remove(options.output, [REJECTED_FILE])
    storage.write(storage.join(options.output, REJECTED_FILE), map(_line, unused))
    _check(options, plan, facts, report)
    manifest = _manifest(options, plan, facts, report, tracks_sha256=digest.hexdigest())
    publish(options.output, plan.staging, shards=report.staged_names, manifest=manifest.to_json())
    if plan.features and options.features is None:
        plan.store(plan.features).prune(report.keys)
    return manifest, tuple(report.rejected)


def _gather(plan: Plan, report: _Report) -> Iterator[bytes]:
    """Fills the report; yields the lines of tracks.jsonl."""
    leak_finder = LeakFinder()
    for summary in read_summaries(plan.staging):
        if "rejected" in summary:
            report.rejected.append(summary["rejected"])
        elif "track" in summary:
            track = summary["track"]
            report.genres_by_split[track["split"]][track["genre"]] += 1
            report.leaks += leak_finder.leaks_of(track)
            if plan.features:
                report.keys.update(summary["keys"])
            yield _line(track)
        else:
            split = summary["shard"]["name"].split("-")[0]
            report.shards.append(Shard(split=split, **summary["shard"]))
            report.staged_names[summary["shard"]["name"]] = summary["staged"]
            report.statistics[split].merge(LogMelStatistics.from_dict(summary["statistics"], spec=plan.spec))


def _line(track: dict[str, Any]) -> bytes:
    return json.dumps(track).encode() + b"\n"


def _check(options: BuildOptions, plan: Plan, facts: RunFacts, report: _Report) -> None:
    n_rejected = len(report.rejected)
    n_used = sum(map(report.n_tracks, plan.n_shards))
    if n_used + n_rejected != facts.n_tracks:
        raise BuildError(f"{facts.n_tracks} tracks went in, {n_used} + {n_rejected} rejected ones came out")
    limit = options.max_rejected.of(facts.n_tracks)
    if n_rejected > limit:
        raise RejectedError(
            f"{n_rejected} of {facts.n_tracks} tracks cannot be used, more than --max-rejected allows ({limit})", report.rejected
        )
    for split in plan.n_shards:
        if lost := set(facts.n_tracks_by_split[split]) - set(report.genres_by_split[split]):
            raise RejectedError(f"no track of genre {min(lost)!r} in split {split!r} can be used", report.rejected)
        n_records, n_tracks = report.statistics[split].n_records, report.n_tracks(split)
        n_chunks = records_per_track(split, chunks_per_track=plan.chunks_per_track, augmentation=plan.augmentation)
        if n_records != n_tracks * n_chunks:
            raise BuildError(
                f"the shards of split {split!r} hold {n_records} records instead of {n_tracks} tracks × {n_chunks} chunks"
            )
    if report.leaks:
        raise BuildError(
            f"the splits leak: {first_leaks(report.leaks)}; remove one of each, or put them into one group with --tracks"
        )
    if [shard.name for shard in report.shards] != sorted(plan.shard_names()):
        raise BuildError(f"{len(plan.shard_names())} shards were to be written, {len(report.shards)} were")


def _manifest(options: BuildOptions, plan: Plan, facts: RunFacts, report: _Report, *, tracks_sha256: str) -> Manifest:
    return Manifest(
        corpus=facts.corpus,
        preset=options.preset,
        spec=plan.spec,
        split_scheme=facts.split_scheme,
        seed=options.seed,
        test_fraction=options.test_fraction if facts.split_scheme == "stratified" else None,
        validation_fraction=options.validation_fraction or None,
        chunks_per_track=plan.chunks_per_track,
        augmentation=plan.augmentation,
        genres=facts.genres,
        splits={
            split: SplitSummary(n_tracks=report.n_tracks(split), n_records=statistics.n_records, statistics=statistics.summary())
            for split, statistics in report.statistics.items()
        },
        shards=tuple(report.shards),
        standardization=report.statistics["train"].standardization(),
        tracks_sha256=tracks_sha256,
        code_version=_code_version(),
    )


def _code_version() -> str:
    try:
        return version("gtzan-genres")
    except PackageNotFoundError:
        return "not installed"
