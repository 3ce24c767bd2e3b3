"""The runner on this machine: Beam's FnApiRunner in this process, which shares its work among processes of its own.

Beam's own name "DirectRunner" is a switch: it tries Prism, which downloads a program, and falls back to others with other metrics
and errors. And FnApiRunner's own worker processes talk to it through ports that the whole network can reach, and cannot be told
not to. So it has one worker, which is this process (module processes).
"""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.runners.runner import PipelineResult

from beam_pipeline import storage

_POLL_SECONDS = 0.1


class Workspace(NamedTuple):
    """What the processes of a run share on this machine; None each where they share nothing.

    Attributes:
        handover: Folder through which the stages hand features over.
        progress: Folder in which each process has a file that grows by a byte a track.
    """

    handover: str | None = None
    progress: str | None = None


@contextmanager
def local_workspace(staging: str, *, features: str | None) -> Iterator[Workspace]:
    """Makes the folders of a run: beside what it stages, or in the system's folder for temporary files where that is far away.

    Args:
        staging: The run's folder.
        features: Folder of the features that are kept; if it is on this machine, they are handed over in it.
    """
    with tempfile.TemporaryDirectory(prefix="beam-pipeline-", dir=None if storage.is_remote(staging) else staging) as folder:
        progress = Path(folder, "progress")
        progress.mkdir()
        handover = features if features and not storage.is_remote(features) else str(Path(folder, "features"))
        yield Workspace(handover, str(progress))


def run_watched(pipeline: beam.Pipeline) -> PipelineResult:
    """Runs a pipeline on the local runner to its end, in a thread, so that Ctrl-C ends this one at once.

    Raises:
        KeyboardInterrupt: On Ctrl-C.
        Exception: What Beam raises.
    """
    outcome: dict[str, Any] = {}

    def run() -> None:
        try:
            outcome["result"] = pipeline.run()
        except BaseException as error:
            outcome["error"] = error

    runner = threading.Thread(target=run, name="pipeline", daemon=True)
    runner.start()
    while runner.is_alive():
        runner.join(_POLL_SECONDS)
    if "error" in outcome:
        raise outcome["error"]
    return outcome["result"]
