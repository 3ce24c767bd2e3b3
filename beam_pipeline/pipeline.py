"""The Beam graph, and the runner that it runs on."""

import shlex
import sys
from functools import partial
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, _BeamArgumentParser
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.runners.runner import PipelineResult
from apache_beam.transforms.environments import SubprocessSDKEnvironment

from beam_pipeline.index import InputError
from beam_pipeline.options import BuildOptions
from beam_pipeline.transforms import SUMMARIES, ExtractRecords, Plan, read_lines, write_lines, write_shard


def is_local(options: BuildOptions) -> bool:
    """Whether the run stays on this machine, in processes that this one starts."""
    return options.runner.lower() in ("directrunner", "direct")


def runner_description(options: BuildOptions) -> str:
    """The runner that really runs, for the screen."""
    if not is_local(options):
        return options.runner
    processes = "in this process" if options.workers == 1 else f"{options.workers} worker processes"
    return f"{options.runner} (Beam's FnApiRunner, {processes})"


def _pipeline(options: BuildOptions) -> beam.Pipeline:
    """An empty pipeline on the runner that the options name.

    Beam's own name "DirectRunner" is a switch: it tries Prism, which downloads a program, and falls back to others with other
    metrics and errors. The local runner of this project is always FnApiRunner.
    """
    if not is_local(options):
        return beam.Pipeline(options=PipelineOptions([f"--runner={options.runner}", *options.beam_args]))
    environment = None
    if options.workers > 1:
        command = shlex.join([sys.executable, "-m", "beam_pipeline.local_worker"])
        environment = SubprocessSDKEnvironment.from_command_string(command)
    beam_options = PipelineOptions([f"--direct_num_workers={options.workers}", *options.beam_args])
    return beam.Pipeline(runner=FnApiRunner(default_environment=environment), options=beam_options)


def check_beam_args(options: BuildOptions) -> None:
    """Refuses options that neither this project nor Beam knows; a job server of a remote runner may know more.

    Raises:
        InputError: Naming them.
    """
    if not is_local(options):
        return
    parser = _BeamArgumentParser(add_help=False, allow_abbrev=False)
    for options_class in PipelineOptions.__subclasses__():
        options_class._add_argparse_args(parser)
    _, unknown = parser.parse_known_args(options.beam_args)
    if unknown:
        raise InputError(f"unrecognized arguments: {' '.join(unknown)}")


def run_pipeline(options: BuildOptions, *, plan: Plan, track_list: Path, summaries: Path) -> PipelineResult:
    """Runs the graph to its end.

    Beam's own text source and sink take a path for a pattern, in which brackets and stars have a meaning; hence `read_lines` and
    `write_lines`.

    Args:
        options: Choose the runner.
        plan: What the workers need to know.
        track_list: File with a track (id, path, genre, split) in JSON per line. The graph holds its name alone, so that it
            does not grow with the corpus.
        summaries: File that gets a line of JSON for each track, rejected track and shard, in any order.

    Returns:
        Beam's result, with the counters.
    """
    shard_names = [name for split in plan.n_shards for name in plan.shard_names(split)]
    pipeline = _pipeline(options)
    extracted = (
        pipeline
        | "Name the list of tracks" >> beam.Create([str(track_list)])
        | "Read the list of tracks" >> beam.FlatMap(read_lines)
        | "Spread the tracks over the workers" >> beam.Reshuffle()
        | "Decode tracks and compute log-mels" >> beam.ParDo(ExtractRecords(plan)).with_outputs(SUMMARIES, main="records")
    )
    every_shard = pipeline | "Name every shard, also one that stays empty" >> beam.Create([(name, b"") for name in shard_names])
    shards = (
        (extracted.records, every_shard)
        | "Records and shard names" >> beam.Flatten()
        | "Gather each shard's records" >> beam.GroupByKey()
        | "Write shards" >> beam.MapTuple(partial(write_shard, plan=plan))
    )
    _ = (
        (extracted[SUMMARIES], shards)
        | "All summaries" >> beam.Flatten()
        | "One key" >> beam.WithKeys("summaries")
        | "Gather summaries" >> beam.GroupByKey()
        | "Write summaries" >> beam.MapTuple(partial(write_lines, path=summaries))
    )
    result = pipeline.run()
    result.wait_until_finish()
    return result
