"""The whole run: folder of tracks to dataset."""

import io
import json
import math
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam

from beam_pipeline import storage
from beam_pipeline.beam_internals import outside_ipython
from beam_pipeline.corpora.catalogue import read_catalogue
from beam_pipeline.corpora.index import Corpus, index_corpus
from beam_pipeline.options import BuildOptions
from beam_pipeline.plan import Plan
from beam_pipeline.runners.choice import Runner
from beam_pipeline.runners.local import Workspace
from beam_pipeline.runners.progress import progress_of, tracks_by_process
from beam_pipeline.splits.schemes import SplitAssignment, assign_splits
from beam_pipeline.track import LEFT_OUT, Track
from beam_pipeline.transform import BuildDataset
from beam_pipeline.write.output_folder import FEATURES, check_output, staging_folder
from beam_pipeline.write.refusal import BuildError, RejectedError, noted_refusal
from tfrecords.dataset.manifest import DUPLICATES_FILE, MANIFEST_FILE, REJECTED_FILE, Manifest
from tfrecords.errors import UsageError
from tfrecords.front_end.augmentation import AUGMENTATIONS, records_per_track
from tfrecords.front_end.log_mel_spec import PRESETS

_SHARD_BYTES = 64 * 2**20


@dataclass(frozen=True, kw_only=True)
class BuildResult:
    """A finished run.

    Attributes:
        manifest: Of the dataset that was written.
        rejected: The tracks that cannot be used, with their reasons.
        left_out: The tracks that are left out for their split scheme or as duplicates, with the reasons; their `split` is None.
        duplicates: The tracks whose audio is that of others, each with the other and what was done with it.
        notes: What else the split scheme says, lines for the user.
        counters: Beam's counters by name.
        tracks_by_process: How many tracks each process did; empty for a remote runner.
    """

    manifest: Manifest
    rejected: tuple[dict[str, Any], ...]
    left_out: tuple[dict[str, Any], ...]
    duplicates: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]
    counters: dict[str, int]
    tracks_by_process: dict[str, int]


@outside_ipython()
def build_dataset(options: BuildOptions) -> BuildResult | None:
    """Makes a dataset out of a folder of tracks.

    Returns:
        What came out; None where the run goes on without this process.

    Raises:
        UsageError: If input or output cannot be used as asked; nothing was written.
        RejectedError: If too many tracks cannot be used, or none of a genre is left. `rejected.jsonl` lists them.
        BuildError: If the runner failed, or the splits leak. As with RejectedError no dataset was written, and one that was to
            be replaced is still there.
        StorageError: If a disk or an object store fails.
    """
    if options.min_chunks is not None and options.min_chunks > options.chunks_per_track:
        raise UsageError(f"--min-chunks {options.min_chunks} is more than --chunks-per-track {options.chunks_per_track}")
    if options.tracks and options.genre_level:
        raise UsageError("--genre-level is for folders; a catalogue (--tracks) tells each track's genre")
    runner = Runner(options)
    storage.set_options(runner.beam_args)
    features = _features_folder(options)
    for path in filter(None, (options.input, options.tracks, options.output, options.features)):
        storage.check_url(path)
    if options.tracks:
        corpus = read_catalogue(options.tracks, root=options.input)
    else:
        corpus = index_corpus(options.input, genre_level=options.genre_level)
    assignment = assign_splits(
        corpus,
        scheme=options.split,
        seed=options.seed,
        test_fraction=options.test_fraction,
        validation_fraction=options.validation_fraction,
    )
    check_output(options.output, overwrite=options.overwrite)
    with (
        staging_folder(options.output, stays=options.no_wait) as staging,
        runner.workspace(staging, features=features) as workspace,
    ):
        work = storage.join(staging, "work")
        storage.make_folder(work)
        track_list = storage.join(staging, "tracks.txt")
        storage.write(track_list, (json.dumps(track).encode() + b"\n" for track in _tracks(corpus, assignment)), synced=False)
        plan = _plan(options, corpus, assignment, staging=work, features=features, workspace=workspace, runner=runner)
        n_tracks, notes = len(assignment.tracks), assignment.notes
        del corpus, assignment  # of a million tracks they take a gigabyte, and the run may take hours
        pipeline = runner.pipeline()
        _ = (
            pipeline
            | "Name the list of tracks" >> beam.Create([track_list])
            | "Read the list of tracks" >> beam.FlatMap(_read_tracks)
            | "Build the dataset" >> BuildDataset(plan)
        )
        progress = Path(workspace.progress) if workspace.progress else None
        with progress_of(progress, n_tracks=n_tracks) if progress else nullcontext():
            try:
                result = runner.run(pipeline)
            except BuildError as error:
                refusal = noted_refusal(work)
                if isinstance(refusal, RejectedError):
                    refusal.rejected = _rejected(options.output)
                raise refusal or error from error
        if options.no_wait:
            return None
        return BuildResult(
            manifest=Manifest.from_json(storage.read(storage.join(options.output, MANIFEST_FILE)).decode()),
            rejected=_rejected(options.output),
            left_out=tuple(track for track in _listed(options.output, REJECTED_FILE) if track["kind"] in LEFT_OUT),
            duplicates=tuple(_listed(options.output, DUPLICATES_FILE)),
            notes=notes,
            counters={counter.key.metric.name: counter.result for counter in result.metrics().query()["counters"]},
            tracks_by_process=tracks_by_process(progress) if progress else {},
        )


def _features_folder(options: BuildOptions) -> str | None:
    """Where the features are kept; None where none are.

    An object store has no folders: whatever lists the output's objects would list all that lie below it, one for each track.
    """
    folder = options.features or (None if storage.is_remote(options.output) else storage.join(options.output, FEATURES))
    if folder is None or not options.keep_features:
        return None
    if storage.is_remote(folder) and f"{folder}/".startswith(f"{options.output.rstrip('/')}/"):
        raise UsageError(f"--features {folder} lies in the output; behind a URL it must lie beside it")
    return storage.absolute(folder)


def _tracks(corpus: Corpus, assignment: SplitAssignment) -> Iterator[Track]:
    """All tracks, each with its split or why it has none."""
    for track in assignment.tracks:
        yield track._replace(split=assignment.split_of[track.track_id])
    for track in corpus.tracks:
        if track.track_id in assignment.left_out:
            yield track._replace(left_out=assignment.left_out[track.track_id])


def _plan(
    options: BuildOptions,
    corpus: Corpus,
    assignment: SplitAssignment,
    *,
    staging: str,
    features: str | None,
    workspace: Workspace,
    runner: Runner,
) -> Plan:
    n_tracks = Counter(assignment.split_of[track.track_id] for track in assignment.tracks)
    return Plan(
        output=storage.absolute(options.output),
        genres=corpus.genres,
        root=storage.absolute(corpus.root),
        preset=options.preset,
        chunks_per_track=options.chunks_per_track,
        min_chunks=options.min_chunks if options.min_chunks != options.chunks_per_track else None,
        augment=options.augment,
        seed=options.seed,
        n_shards={
            split: options.num_shards or _n_shards(options, split, n_tracks=n_tracks[split]) for split in assignment.splits
        },
        duplicates=options.duplicates,
        computed_split=assignment.rule,
        max_rejected=options.max_rejected,
        corpus=corpus.info,
        split_scheme=assignment.scheme,
        test_fraction=options.test_fraction if assignment.scheme == "stratified" else None,
        validation_fraction=options.validation_fraction or None,
        license=options.license,
        features=features,
        prunes_features=options.features is None,
        handover=workspace.handover,
        progress=workspace.progress,
        staging=staging,
        n_processes=runner.n_processes,
        track_timeout=options.track_timeout,
        beam_args=runner.beam_args,
    )


def _n_shards(options: BuildOptions, split: str, *, n_tracks: int) -> int:
    augmentation = AUGMENTATIONS[options.augment] if options.augment else None
    per_track = records_per_track(split, chunks_per_track=options.chunks_per_track, augmentation=augmentation)
    return math.ceil(n_tracks * per_track * 4 * math.prod(PRESETS[options.preset].shape) / _SHARD_BYTES)


def _read_tracks(path: str) -> Iterator[Track]:
    """Beam's own text source takes a path for a pattern, in which brackets and stars have a meaning."""
    for line in _lines(path):
        yield Track(*json.loads(line))


def _lines(path: str) -> Iterator[str]:
    try:
        file = storage.open_file(path)
    except FileNotFoundError:  # an object store holds no empty objects
        return
    with file, io.TextIOWrapper(file, encoding="utf-8", newline="\n") as text:
        yield from text


def _listed(output: str, name: str) -> Iterator[dict[str, Any]]:
    """The lines of a list that the last run has written."""
    return map(json.loads, _lines(storage.join(output, name)))


def _rejected(output: str) -> tuple[dict[str, Any], ...]:
    """The tracks that cannot be used, with the reasons."""
    return tuple(track for track in _listed(output, REJECTED_FILE) if track["kind"] not in LEFT_OUT)
