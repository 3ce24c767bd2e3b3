"""The whole run: folder of tracks to dataset."""

import json
import math
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from beam_pipeline import storage
from beam_pipeline.catalogue import read_catalogue
from beam_pipeline.finish import RunFacts, finish
from beam_pipeline.index import Corpus, Track, index_corpus
from beam_pipeline.options import BuildOptions
from beam_pipeline.output_folder import FEATURES, check_output, staging_folder
from beam_pipeline.pipeline import is_local, run_pipeline
from beam_pipeline.plan import Plan
from beam_pipeline.progress import progress_of, tracks_by_process
from beam_pipeline.splits import SplitAssignment, assign_splits
from tfrecords.augmentation import records_per_track
from tfrecords.manifest import Manifest

_SHARD_BYTES = 64 * 2**20


@dataclass(frozen=True, kw_only=True)
class BuildResult:
    """A finished run.

    Attributes:
        manifest: Of the dataset that was written.
        rejected: The tracks that cannot be used, with their reasons.
        left_out: The tracks that the split scheme leaves out, with its reasons; their `split` is None.
        notes: What else the split scheme says, lines for the user.
        counters: Beam's counters by name.
        tracks_by_process: How many tracks each worker process did; empty for a remote runner.
    """

    manifest: Manifest
    rejected: tuple[dict[str, Any], ...]
    left_out: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]
    counters: dict[str, int]
    tracks_by_process: dict[str, int]


def build_dataset(options: BuildOptions) -> BuildResult:
    """Makes a dataset out of a folder of tracks.

    Raises:
        UsageError: If input or output cannot be used as asked; nothing was written.
        RejectedError: If too many tracks cannot be used, or none of a genre is left. `rejected.jsonl` lists them.
        BuildError: If the runner failed, or the splits leak. As with RejectedError no dataset was written, and one that was to
            be replaced is still there.
    """
    FileSystems.set_options(PipelineOptions(list(options.beam_args)))
    for path in filter(None, (options.input, options.tracks, options.output, options.features)):
        storage.check_url(path)
    corpus = read_catalogue(options.tracks, root=options.input) if options.tracks else index_corpus(options.input)
    assignment = assign_splits(
        corpus,
        scheme=options.split,
        seed=options.seed,
        test_fraction=options.test_fraction,
        validation_fraction=options.validation_fraction,
    )
    check_output(options.output, overwrite=options.overwrite)
    with staging_folder(options.output) as staging, _scratch_folder(options, staging) as scratch:
        facts = _facts(corpus, assignment)
        plan = _plan(options, facts, root=storage.absolute(corpus.root), staging=staging, scratch=scratch)
        track_list = storage.join(staging, "tracks.txt")
        rows = (_row(track, assignment.split_of[track.track_id]) for track in assignment.tracks)
        storage.write(track_list, (json.dumps(row).encode() + b"\n" for row in rows))
        del corpus, assignment  # of a million tracks they take a gigabyte, and the run may take hours
        with progress_of(Path(plan.progress), n_tracks=facts.n_tracks) if plan.progress else nullcontext():
            result = run_pipeline(options, plan=plan, track_list=track_list, n_tracks=facts.n_tracks)
        manifest, rejected = finish(options, plan, facts)
        counters = {counter.key.metric.name: counter.result for counter in result.metrics().query()["counters"]}
        return BuildResult(
            manifest=manifest,
            rejected=rejected,
            left_out=facts.left_out,
            notes=facts.notes,
            counters=counters,
            tracks_by_process=tracks_by_process(Path(plan.progress)) if plan.progress else {},
        )


def _facts(corpus: Corpus, assignment: SplitAssignment) -> RunFacts:
    genres_by_split: dict[str, Counter[str]] = {split: Counter() for split in assignment.splits}
    for track in assignment.tracks:
        genres_by_split[assignment.split_of[track.track_id]][track.genre] += 1
    return RunFacts(
        corpus=corpus.info,
        genres=corpus.genres,
        split_scheme=assignment.scheme,
        n_tracks_by_split=genres_by_split,
        left_out=tuple(
            _row(track, None) | {"kind": "split scheme", "reason": assignment.left_out[track.track_id]}
            for track in corpus.tracks
            if track.track_id in assignment.left_out
        ),
        notes=assignment.notes,
    )


def _row(track: Track, split: str | None) -> dict[str, Any]:
    return {key: value for key, value in asdict(track).items() if value is not None} | {"split": split}


@contextmanager
def _scratch_folder(options: BuildOptions, staging: str) -> Iterator[str | None]:
    """A folder on this machine that the local runner's processes share; None for other runners."""
    if not is_local(options):
        yield None
    elif not storage.is_remote(staging):
        yield staging
    else:
        with tempfile.TemporaryDirectory(prefix="beam-pipeline-") as folder:
            yield folder


def _plan(options: BuildOptions, facts: RunFacts, *, root: str, staging: str, scratch: str | None) -> Plan:
    features = storage.absolute(options.features or storage.join(options.output, FEATURES)) if options.keep_features else None
    local_features = spool = progress = None
    if scratch is not None:
        local_features = features if features and not storage.is_remote(features) else storage.join(scratch, FEATURES)
        spool, progress = storage.join(scratch, "spool"), storage.join(scratch, "progress")
        storage.make_folder(spool)
        storage.make_folder(progress)
    return Plan(
        root=root,
        spec=options.spec,
        genres=facts.genres,
        chunks_per_track=options.chunks_per_track,
        augmentation=options.augmentation,
        seed=options.seed,
        n_shards={
            split: options.num_shards or _n_shards(options, split, n_tracks=genres.total())
            for split, genres in facts.n_tracks_by_split.items()
        },
        staging=staging,
        features=features,
        local_features=local_features,
        spool=spool,
        progress=progress,
    )


def _n_shards(options: BuildOptions, split: str, *, n_tracks: int) -> int:
    per_track = records_per_track(split, chunks_per_track=options.chunks_per_track, augmentation=options.augmentation)
    return math.ceil(n_tracks * per_track * 4 * math.prod(options.spec.shape) / _SHARD_BYTES)
