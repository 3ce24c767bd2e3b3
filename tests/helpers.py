"""Small functions that tests of the pipeline share."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from beam_pipeline import run_pipeline
from beam_pipeline.options import BuildOptions
from beam_pipeline.run import BuildResult, build_dataset
from tfrecords.dataset.folder import read_dataset
from tfrecords.dataset.tracks import TrackLine, read_tracks
from tfrecords.records.reading import read_split
from tfrecords.records.schema import Record

WriteCorpus = Callable[..., Path]


def build(corpus: Path, output: Path, **options: Any) -> BuildResult:
    values: dict[str, Any] = {"input": corpus, "output": output, "chunks_per_track": 4, "workers": 1} | options
    result = build_dataset(BuildOptions(**values))
    assert result is not None
    return result


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a dataset, by its path; stored features included."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def records_of(folder: Path, split: str) -> list[Record]:
    return list(read_split(folder, read_dataset(folder), split))


def tracks_of(folder: Path) -> list[TrackLine]:
    return list(read_tracks(folder))


def names_in(folder: Path) -> list[str]:
    """Names in a dataset's folder, with # for the digest of what it holds."""
    return sorted(re.sub(r"-[0-9a-f]{8}(?=[-.])", "-#", path.name) for path in folder.iterdir())


def json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def run_main(*arguments: str | Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit status of the command line, and what it wrote to standard error besides progress."""
    status = run_pipeline.main([*map(str, arguments), "--workers", "1", "--chunks-per-track", "4"])
    return status, "\n".join(
        line for line in capsys.readouterr().err.replace("\r", "\n").splitlines() if line and "track/s" not in line
    )


def lines_of(error: str) -> list[str]:
    return [line for line in error.replace("\r", "\n").splitlines() if line and not line.startswith("Tracks:")]
