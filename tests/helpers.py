"""Small functions that tests of the pipeline share."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import run_pipeline
from beam_pipeline.build_dataset import BuildResult, build_dataset
from beam_pipeline.options import BuildOptions
from tfrecords.framing import read_records
from tfrecords.manifest import read_dataset
from tfrecords.schema import Record, decode

WriteCorpus = Callable[..., Path]


def build(corpus: Path, output: Path, **options: Any) -> BuildResult:
    return build_dataset(BuildOptions(input=corpus, output=output, **{"chunks_per_track": 4, "workers": 1} | options))


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def records_of(folder: Path, split: str) -> list[Record]:
    manifest = read_dataset(folder)
    records = []
    for shard in manifest.shards_of(split):
        with (folder / shard.name).open("rb") as file:
            records += [decode(serialized, shape=manifest.spec.shape) for serialized in read_records(file, name=shard.name)]
    return records


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
