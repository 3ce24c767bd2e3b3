"""Which runner a run has, and what it is told."""

import difflib
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.runners.runner import PipelineResult, PipelineState, create_runner

from beam_pipeline.beam_internals import known_options
from beam_pipeline.options import BuildOptions
from beam_pipeline.runners.local import Workspace, local_workspace, run_watched
from beam_pipeline.write.refusal import BuildError
from tfrecords.errors import UsageError

# Behind it stand options that neither this program nor Beam knows, such as a job server's own.
UNCHECKED = "--"


class Runner:
    """The runner of a run.

    Attributes:
        description: For the screen: what really runs.
        n_processes: Among which a worker shares its work.
        beam_args: Beam's options.
    """

    def __init__(self, options: BuildOptions) -> None:
        """Looks it up.

        Raises:
            UsageError: If there is no such runner, or an option that neither this program nor Beam knows, or that does not go
                with it.
        """
        self._is_local = options.runner.lower() in ("directrunner", "direct")
        self.beam_args = _checked(options)
        self.n_processes = options.workers if self._is_local else 1
        self._waits = not options.no_wait
        if self._is_local:
            if options.no_wait:
                raise UsageError("--no-wait is for runners that go on without this program, not for the DirectRunner")
            processes = (
                f"{options.workers} worker process{'es' * (options.workers > 1)}" if options.workers else "in this process"
            )
            self.description = f"{options.runner} (Beam's FnApiRunner, {processes})"
            self._runner = FnApiRunner()
        else:
            self.description = options.runner
            try:
                self._runner = create_runner(options.runner)
            except (ValueError, ImportError, AttributeError) as error:
                raise UsageError(f"there is no runner {options.runner!r}: {error}") from error

    @contextmanager
    def workspace(self, staging: str, *, features: str | None) -> Iterator[Workspace]:
        """What the workers share besides the output folder."""
        if self._is_local:
            with local_workspace(staging, features=features) as workspace:
                yield workspace
        else:
            yield Workspace()

    def pipeline(self) -> beam.Pipeline:
        """A pipeline that runs on it."""
        return beam.Pipeline(runner=self._runner, options=PipelineOptions(list(self.beam_args)))

    def run(self, pipeline: beam.Pipeline) -> PipelineResult:
        """Runs a pipeline: to its end, unless it was asked not to wait.

        Raises:
            BuildError: If it did not end well.
        """
        try:
            result = run_watched(pipeline) if self._is_local else pipeline.run()
            state = result.wait_until_finish() if self._waits else None
        except Exception as error:  # a runner raises what it likes: gRPC's errors, its own, those of the workers
            logging.getLogger(__name__).info("The pipeline failed", exc_info=True)
            raise BuildError(f"the pipeline failed: {_reason(error)} (-v shows all)") from error
        if state is not None and state != PipelineState.DONE:
            raise BuildError(f"the pipeline ended in the state {state}")
        return result


def _reason(error: Exception) -> str:
    # The last line that says something: gRPC closes its account of an error with a bracket.
    lines = [line for line in str(error).splitlines() if any(map(str.isalnum, line))] or [type(error).__name__]
    reason = re.sub(r" \[while running .*", "", lines[-1].strip())
    return re.sub(r"^beam_pipeline\.[\w.]+: ", "", reason)


def _checked(options: BuildOptions) -> tuple[str, ...]:
    """Beam's options, each of which is one that Beam knows, or stands behind UNCHECKED."""
    arguments = list(options.beam_args)
    place = arguments.index(UNCHECKED) if UNCHECKED in arguments else len(arguments)
    checked, unchecked = arguments[:place], arguments[place + 1 :]
    known, unknown, names = known_options(checked)
    if unknown:
        near = difflib.get_close_matches(unknown[0].split("=")[0], [*names, *options.own_options], n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; what a runner alone knows stands behind {UNCHECKED}"
        raise UsageError(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    if known.direct_num_workers != 1 or known.direct_running_mode != "in_memory":
        raise UsageError("--workers chooses the local processes, not --direct_num_workers or --direct_running_mode")
    return (*checked, *unchecked)
