"""The runner on this machine: Beam's FnApiRunner, watched.

Beam's own name "DirectRunner" is a switch: it tries Prism, which downloads a program, and falls back to others with other metrics
and errors. And FnApiRunner waits for ever for a worker process that died before it called in, or while Ctrl-C is handled. So the
pipeline runs in a thread, and the main thread watches for its end, for dead workers and for Ctrl-C.
"""

import os
import shlex
import sys
import threading
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.portability.fn_api_runner.fn_runner import ExtendedProvisionInfo, FnApiRunner
from apache_beam.runners.runner import PipelineResult
from apache_beam.transforms.environments import SubprocessSDKEnvironment
from google.protobuf import struct_pb2
from google.protobuf.json_format import ParseDict

_POLL_SECONDS = 0.1


class WorkerDiedError(RuntimeError):
    """A worker process ended before its work was done."""


def local_runner(options: PipelineOptions, *, verbose: bool) -> FnApiRunner:
    """The local runner with the options' number of worker processes; with one, the work is done in this process."""
    if options.view_as(DirectOptions).direct_num_workers == 1:
        return FnApiRunner()
    # Workers import the packages that this process imported, and nothing from the folder that the user happens to be in (-P).
    path = os.pathsep.join(filter(None, (str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH"))))
    worker = [sys.executable, "-P", "-m", "beam_pipeline.local_worker", *(["--verbose"] if verbose else [])]
    command = "exec " + shlex.join(["env", f"PYTHONPATH={path}", *worker])
    # FnApiRunner itself gives its workers no options, and without them they know no object store's address. A Struct has no
    # integers: 2 would arrive as 2.0, which is no number of workers.
    given = {
        name: str(value) if type(value) is int else value for name, value in options.get_all_options(drop_default=True).items()
    }
    provision = beam_provision_api_pb2.ProvisionInfo(pipeline_options=ParseDict(given, struct_pb2.Struct()))
    return FnApiRunner(
        default_environment=SubprocessSDKEnvironment.from_command_string(command),
        provision_info=ExtendedProvisionInfo(provision),
    )


def run_watched(pipeline: beam.Pipeline) -> PipelineResult:
    """Runs a pipeline on the local runner to its end.

    Raises:
        WorkerDiedError: If a worker process died.
        KeyboardInterrupt: On Ctrl-C.
        Exception: What Beam raises.
    """
    outcome: dict[str, Any] = {}
    died = threading.Event()

    def run() -> None:
        try:
            outcome["result"] = pipeline.run()
        except BaseException as error:
            outcome["error"] = error

    def thread_failed(failure: threading.ExceptHookArgs) -> None:
        # Beam waits for each worker process in a thread, and raises there when one ends with an error.
        outcome.setdefault("death", f"a worker process died ({str(failure.exc_value) or failure.exc_type.__name__})")
        died.set()

    hook, threading.excepthook = threading.excepthook, thread_failed
    runner = threading.Thread(target=run, name="pipeline", daemon=True)
    try:
        runner.start()
        while runner.is_alive() and not died.is_set():
            runner.join(_POLL_SECONDS)
    finally:
        # What the threads of an abandoned run still raise is no news.
        threading.excepthook = (lambda _: None) if runner.is_alive() else hook
    if "result" in outcome:
        return outcome["result"]
    if "error" in outcome and not died.is_set():
        raise outcome["error"]
    raise WorkerDiedError(outcome["death"])
