"""Runs of the command line, and what they leave."""

import json
import re
import sys
from pathlib import Path

from beam_pipeline.plan import STAGING
from tests.helpers import digests
from tests.runners.processes import Process

RUN_SECONDS = 240
_N_SHARDS = 3


class Run(Process):
    """A run of the pipeline, as a user starts it.

    Attributes:
        dataset: The output folder.
    """

    def __init__(self, corpus: Path, logs: Path, name: str, *options: str | Path) -> None:
        """Starts it.

        Args:
            corpus: The input.
            logs: Folder for what it says, and for the dataset.
            name: Of the run.
            options: Further arguments.
        """
        self.dataset = logs / name
        self._error = logs / f"{name}.err"
        command: list[str | Path] = [sys.executable, "run_pipeline.py", "--num-shards", str(_N_SHARDS)]
        command += ["--input", corpus, "--output", self.dataset, *options]
        super().__init__(command, output=logs / f"{name}.out", error=self._error)

    def finish(self) -> int:
        """Waits for its end, and returns its exit status."""
        return self.wait(seconds=RUN_SECONDS)

    def says(self, line: str) -> bool:
        """Whether a line of what it printed matches a pattern."""
        return re.search(f"^{line}", self.output.read_text(encoding="utf-8"), re.MULTILINE) is not None

    def last_error(self) -> str:
        """The last line on standard error."""
        return self._error.read_text(encoding="utf-8").rstrip().rpartition("\n")[2]

    def seconds(self) -> float:
        """How long the pipeline took, by its own account."""
        found = re.search(r"^Time +(\S+) s", self.output.read_text(encoding="utf-8"), re.MULTILINE)
        if found is None:
            raise ValueError(f"{self.output} says nothing of a time")
        return float(found[1])

    def contents(self) -> dict[str, str]:
        """SHA-256 of each file of the dataset but the stored features, and its fingerprint.

        What a run that nobody waited for leaves in the staging folder is none of it.
        """
        manifest = json.loads((self.dataset / "dataset.json").read_text(encoding="utf-8"))
        files = {name: digest for name, digest in digests(self.dataset).items() if not name.startswith(("features/", STAGING))}
        return files | {"fingerprint": manifest["fingerprint"]}

    def is_published(self) -> bool:
        """Whether there is a dataset."""
        return (self.dataset / "dataset.json").exists()

    def decodes(self) -> bool:
        """Whether features of a first track were kept."""
        return any(self.dataset.glob("features/*/*.features"))

    def shard_files(self) -> list[Path]:
        """Whole and half shards, wherever in the output folder."""
        return list(self.dataset.rglob("*.tfrecord*"))
