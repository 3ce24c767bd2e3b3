"""The last step of a run: what the workers report is checked, and the dataset published."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import PurePosixPath
from typing import Any

import apache_beam as beam

from beam_pipeline import storage
from beam_pipeline.plan import Plan
from beam_pipeline.track import DUPLICATE
from beam_pipeline.write.duplicates import write_duplicates
from beam_pipeline.write.output_folder import put_in_place
from beam_pipeline.write.refusal import BuildError, RejectedError, note_refusal
from beam_pipeline.write.track_lists import read_lists
from tfrecords.cards import TrackTally, derived_files
from tfrecords.command_line.versions import PACKAGE
from tfrecords.dataset.corpus import CorpusInfo
from tfrecords.dataset.file_names import shard_file, tracks_file
from tfrecords.dataset.leakage import LeakFinder, first_leaks
from tfrecords.dataset.left_out import left_out_by_kind
from tfrecords.dataset.manifest import DUPLICATES_FILE, MANIFEST_FILE, REJECTED_FILE, Manifest, Shard, SplitSummary
from tfrecords.front_end.statistics import LogMelStatistics

_TRACKS = "tracks"
PUBLISHED = "published"


@dataclass(kw_only=True)
class _Report:
    """What the workers reported, gathered; the latter part is read from the lists."""

    shards: list[dict[str, Any]]
    statistics: dict[str, LogMelStatistics]
    n_tracks_in: Mapping[tuple[str, str], int]
    libraries: Sequence[dict[str, str]]
    tally: TrackTally = field(default_factory=TrackTally)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    leaks: list[str] = field(default_factory=list)

    @property
    def n_tracks(self) -> Counter[tuple[str, str]]:
        """How many tracks there are, by split and genre."""
        return self.tally.n_tracks

    @property
    def unused(self) -> list[dict[str, Any]]:
        """The tracks that are not used, whatever the reason."""
        return sorted((*self.rejected, *self.left_out), key=itemgetter("track_id"))

    def n_tracks_of(self, split: str) -> int:
        return sum(number for (name, _), number in self.n_tracks.items() if name == split)

    def n_records_of(self, split: str) -> int:
        return sum(number for (name, _), number in self.tally.n_records.items() if name == split)


class PublishDataset(beam.DoFn):
    """All that was reported, as side inputs, to a published dataset; yields the path of its `dataset.json`.

    An engine may call it again after a failure, or twice at a time: it does what is left to do.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def process(
        self,
        _once: None,
        shards: Sequence[str],
        lists: Sequence[str],
        statistics: Mapping[str, bytes],
        n_tracks: Mapping[tuple[str, str], int],
        libraries: Sequence[str],
        duplicates: Sequence[str],
    ) -> Iterator[str]:
        """Checks and publishes.

        Args:
            shards: A line of JSON for each, as `ShardWriter` reports it.
            lists: Names of the lists of reports in the staging folder.
            statistics: Packed, by split.
            n_tracks: How many tracks went in, by split and genre.
            libraries: The versions that workers ran, as JSON; each once.
            duplicates: The lines of `duplicates.jsonl`.

        Raises:
            RejectedError: If too many tracks cannot be used, or none of a genre is left.
            BuildError: If something is missing or doubled, or two splits hold the same audio.
            StorageError: If a disk or an object store fails.
        """
        plan = self._plan
        if PUBLISHED not in storage.names_in(plan.staging):
            report = _Report(
                shards=sorted(map(json.loads, shards), key=itemgetter("key")),
                statistics={split: LogMelStatistics.unpack(statistics[split], spec=plan.spec) for split in plan.n_shards},
                n_tracks_in=n_tracks,
                libraries=list(map(json.loads, sorted(libraries))),
            )
            try:
                self._publish(report, sorted(lists), duplicates)
            except BuildError as error:
                note_refusal(plan.staging, error)
                raise
        yield storage.join(plan.output, MANIFEST_FILE)

    def _publish(self, report: _Report, lists: Sequence[str], duplicates: Sequence[str]) -> None:
        plan = self._plan
        digest = hashlib.sha256()

        def hashed(lines: Iterable[bytes]) -> Iterator[bytes]:
            for line in lines:
                digest.update(line)
                yield line

        storage.write(storage.join(plan.staging, _TRACKS), hashed(_track_lines(plan, report, lists)))
        _write_rejected(plan, report.unused)
        write_duplicates(plan.output, duplicates)
        _check(plan, report, n_equal=len(duplicates))
        manifest = _manifest(plan, report, tracks_sha256=digest.hexdigest())
        names = {shard["staged"]: named.name for shard, named in zip(report.shards, manifest.shards, strict=True)}
        put_in_place(
            plan.output,
            plan.staging,
            new_names=names | {_TRACKS: manifest.tracks_file},
            derived=derived_files(manifest, report.tally),
            manifest=manifest.to_json(),
        )
        if plan.features and plan.prunes_features:
            plan.store(plan.features).prune(report.keys)
        storage.write(storage.join(plan.staging, PUBLISHED), [b"\n"])
        storage.remove(plan.staging, [name for name in storage.names_in(plan.staging) if name != PUBLISHED])


def _track_lines(plan: Plan, report: _Report, lists: Sequence[str]) -> Iterator[bytes]:
    """Fills the report; yields the lines of the list of tracks."""
    leak_finder = LeakFinder()
    for one in read_lists(plan.staging, lists):
        if "rejected" in one:
            report.rejected.append(one["rejected"])
        elif "left_out" in one:
            report.left_out.append(one["left_out"])
        else:
            track = one["track"]
            report.tally.add(track)
            report.leaks += leak_finder.leaks_of(track)
            if plan.prunes_features:
                report.keys.update(one["keys"])
            yield _line(track)


def _write_rejected(plan: Plan, unused: list[dict[str, Any]]) -> None:
    if not unused and storage.is_remote(plan.output):
        storage.remove(plan.output, [REJECTED_FILE])
    storage.write(storage.join(plan.output, REJECTED_FILE), map(_line, unused))


def _line(track: dict[str, Any]) -> bytes:
    return json.dumps(track).encode() + b"\n"


def _check(plan: Plan, report: _Report, *, n_equal: int) -> None:
    n_in, n_rejected, n_used = sum(report.n_tracks_in.values()), len(report.rejected), report.n_tracks.total()
    n_duplicates = sum(track["kind"] == DUPLICATE for track in report.left_out)
    if n_used + n_rejected + n_duplicates != n_in:
        raise BuildError(f"{n_in} tracks went in, {n_used} + {n_rejected} rejected ones + {n_duplicates} duplicates came out")
    limit = plan.max_rejected.of(n_in)
    if n_rejected > limit:
        raise RejectedError(
            f"{n_rejected} of {n_in} tracks cannot be used, more than --max-rejected allows ({limit})", report.rejected
        )
    lost = sorted(set(report.n_tracks_in) - set(report.n_tracks))
    for split in plan.n_shards:
        for genre in (genre for name, genre in lost if name == split):
            hint = f"; {DUPLICATES_FILE} lists {n_equal} that repeat others" if n_equal else ""
            raise RejectedError(f"no track of genre {genre!r} in split {split!r} can be used{hint}", report.rejected)
    if len(report.libraries) > 1:
        one, other, *_ = report.libraries
        name = next(name for name in sorted({*one, *other}) if one.get(name) != other.get(name))
        raise BuildError(f"the workers ran different versions: {name} {one.get(name)} and {other.get(name)}")
    for split in plan.n_shards:
        n_records, expected = report.statistics[split].n_records, report.n_records_of(split)
        if n_records != expected:
            raise BuildError(f"the shards of split {split!r} hold {n_records} records instead of its tracks' {expected} chunks")
    if report.leaks:
        raise BuildError(
            f"the splits leak: {first_leaks(report.leaks)}; remove one of each, or put them into one group with --tracks"
        )
    if [shard["key"] for shard in report.shards] != sorted(plan.shard_keys()):
        raise BuildError(f"{len(plan.shard_keys())} shards were to be written, {len(report.shards)} were")


def _manifest(plan: Plan, report: _Report, *, tracks_sha256: str) -> Manifest:
    content = hashlib.sha256("".join((tracks_sha256, *(shard["sha256"] for shard in report.shards))).encode()).hexdigest()
    (libraries,) = report.libraries or ({},)
    return Manifest(
        corpus=plan.corpus or CorpusInfo(name=PurePosixPath(plan.output).name),
        preset=plan.preset,
        spec=plan.spec,
        split_scheme=plan.split_scheme,
        seed=plan.seed,
        test_fraction=plan.test_fraction,
        validation_fraction=plan.validation_fraction,
        chunks_per_track=plan.chunks_per_track,
        min_chunks=plan.min_chunks,
        augmentation=plan.augmentation,
        genres=plan.genres,
        splits={
            split: SplitSummary(
                n_tracks=report.n_tracks_of(split), n_records=statistics.n_records, statistics=statistics.summary()
            )
            for split, statistics in report.statistics.items()
        },
        shards=tuple(
            Shard(
                name=shard_file(shard["key"], content),
                split=shard["key"].partition("-")[0],
                n_records=shard["n_records"],
                n_bytes=shard["n_bytes"],
                sha256=shard["sha256"],
            )
            for shard in report.shards
        ),
        standardization=report.statistics["train"].standardization(),
        tracks_file=tracks_file(content),
        tracks_sha256=tracks_sha256,
        license=plan.license,
        left_out=left_out_by_kind(report.unused),
        code_version=libraries.get(PACKAGE, "not installed"),
        libraries={name: number for name, number in libraries.items() if name != PACKAGE},
    )
