"""The Beam graph, and the runner that it runs on."""

import io
import logging
from collections.abc import Iterator
from functools import partial

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, _BeamArgumentParser
from apache_beam.runners.runner import PipelineResult, PipelineState, create_runner

from beam_pipeline import storage
from beam_pipeline.extract import ExtractRecords
from beam_pipeline.local_runner import local_runner, run_watched
from beam_pipeline.options import BuildOptions
from beam_pipeline.plan import Plan
from beam_pipeline.spool import read_spool
from beam_pipeline.summaries import SUMMARIES, Summary, list_of, n_lists, write_list
from beam_pipeline.write_shard import write_shard
from tfrecords.errors import UsageError


class BuildError(RuntimeError):
    """The run ended without a dataset; the message says why."""


def is_local(options: BuildOptions) -> bool:
    """Whether the run stays on this machine, in processes that this one starts."""
    return options.runner.lower() in ("directrunner", "direct")


def runner_description(options: BuildOptions) -> str:
    """The runner that really runs, for the screen."""
    if not is_local(options):
        return options.runner
    processes = "in this process" if options.workers == 1 else f"{options.workers} worker processes"
    return f"{options.runner} (Beam's FnApiRunner, {processes})"


def check_beam_options(options: BuildOptions) -> None:
    """Refuses a runner that is not there, and options that neither this project nor Beam knows.

    The job server of a remote runner may know more options than Beam's own.

    Raises:
        UsageError: Naming what cannot be used.
    """
    if not is_local(options):
        try:
            create_runner(options.runner)
        except (ValueError, ImportError, AttributeError) as error:
            raise UsageError(f"there is no runner {options.runner!r}: {error}") from error
        return
    parser = _BeamArgumentParser(add_help=False, allow_abbrev=False)
    for options_class in PipelineOptions.__subclasses__():
        options_class._add_argparse_args(parser)
    known, unknown = parser.parse_known_args(options.beam_args)
    if unknown:
        raise UsageError(f"unrecognized arguments: {' '.join(unknown)}")
    if known.direct_num_workers != 1 or known.direct_running_mode != "in_memory":
        raise UsageError("--workers chooses the local processes, not --direct_num_workers or --direct_running_mode")


def run_pipeline(options: BuildOptions, *, plan: Plan, track_list: str, n_tracks: int) -> PipelineResult:
    """Runs the graph to its end: shards and lists of summaries are in the staging folder then.

    Beam's own text source takes a path for a pattern, in which brackets and stars have a meaning; hence `_read_lines`.

    Args:
        options: Choose the runner.
        plan: What the workers need to know.
        track_list: File with a track (id, path, genre, split) in JSON per line. The graph holds its name alone, so that it
            does not grow with the corpus.
        n_tracks: How many those are.

    Returns:
        Beam's result, with the counters.

    Raises:
        BuildError: If the run did not end well.
    """
    if is_local(options):
        beam_options = PipelineOptions([f"--direct_num_workers={options.workers}", *options.beam_args])
        runner = local_runner(beam_options, verbose=options.verbose)
    else:
        runner, beam_options = create_runner(options.runner), PipelineOptions(list(options.beam_args))
    pipeline = beam.Pipeline(runner=runner, options=beam_options)
    extracted = (
        pipeline
        | "Name the list of tracks" >> beam.Create([track_list])
        | "Read the list of tracks" >> beam.FlatMap(_read_lines)
        | "Spread the tracks over the workers" >> beam.Reshuffle()
        | "Decode tracks and compute log-mels" >> beam.ParDo(ExtractRecords(plan)).with_outputs(SUMMARIES, main="records")
    )
    every_shard = pipeline | "Name every shard, also one that stays empty" >> beam.Create(
        [(name, None) for name in plan.shard_names()]
    )
    shards = (
        (extracted.records, every_shard)
        | "Records and shard names" >> beam.Flatten()
        | "Gather each shard's records" >> beam.GroupByKey()
        | "Write shards" >> beam.MapTuple(partial(write_shard, plan=plan))
    )
    _ = (
        (extracted[SUMMARIES], shards)
        | "All summaries" >> beam.Flatten()
        | "Name each summary's list" >> beam.Map(partial(list_of, n_lists=n_lists(n_tracks)))
        | "Gather each list" >> beam.GroupByKey()
        | "Write lists" >> beam.MapTuple(partial(write_list, folder=plan.staging))
    )
    try:
        result = run_watched(pipeline) if is_local(options) else pipeline.run()
        state = result.wait_until_finish()
    except Exception as error:  # a runner raises what it likes: gRPC's errors, its own, those of the workers
        logging.getLogger(__name__).info("The pipeline failed", exc_info=True)
        # The last line that says something: gRPC closes its account of an error with a bracket.
        reason = [line for line in str(error).splitlines() if any(map(str.isalnum, line))] or [type(error).__name__]
        raise BuildError(f"the pipeline failed: {reason[-1].strip()} (-v shows all)") from error
    if state is not None and state != PipelineState.DONE:
        raise BuildError(f"the pipeline ended in the state {state}")
    if plan.spool:
        write_list("of-tracks", map(Summary.from_line, read_spool(plan.spool, SUMMARIES)), folder=plan.staging)
    return result


def _read_lines(path: str) -> Iterator[str]:
    with storage.open_file(path) as file:
        yield from io.TextIOWrapper(file, encoding="utf-8", newline="\n")
