"""The output folder: a dataset is in it as a whole or not at all, and an old one stays until the new one is whole."""

import fcntl
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfrecords.errors import UsageError
from tfrecords.manifest import MANIFEST_FILE, REJECTED_FILE, TRACKS_FILE

_STAGING = ".beam-pipeline-staging"
_LOCK = "lock"
_SHARD = re.compile(r"[a-z]+-\d{5,}-of-\d{5,}\.tfrecord")
_OWN_NAMES = (MANIFEST_FILE, TRACKS_FILE, REJECTED_FILE, _STAGING)


def check_output(output: Path, *, overwrite: bool) -> None:
    """Refuses an output folder that holds a dataset, unless it may be overwritten, or anything that is not ours.

    What a run that failed or died has left is no dataset, and does not stand in the way.

    Raises:
        UsageError: Naming what is in the way.
    """
    try:
        names = sorted(path.name for path in output.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(f"the output {output} cannot be used as a folder: {error.strerror}") from error
    shards = [name for name in names if _SHARD.fullmatch(name)]
    foreign = [name for name in names if name not in _OWN_NAMES and name not in shards]
    if foreign:
        raise UsageError(f"the output folder {output} holds other files ({foreign[0]!r}); choose another one")
    if overwrite:
        return
    if MANIFEST_FILE in names:
        raise UsageError(f"the output {output} exists; use --overwrite to replace it")
    if shards and _STAGING not in names:
        raise UsageError(f"the output {output} holds TFRecords of unknown origin ({shards[0]}); use --overwrite to replace them")


@contextmanager
def staging_folder(output: Path) -> Iterator[Path]:
    """Makes the staging folder in a checked output folder, and removes it in the end.

    What a dead run left in it goes first. A lock that ends with its process tells a dead run from one that is at work.

    Yields:
        Its absolute path.

    Raises:
        UsageError: If it cannot be made, or another run is at work in it.
    """
    staging = output.resolve() / _STAGING
    try:
        staging.mkdir(parents=True, exist_ok=True)
        lock = (staging / _LOCK).open("w")
    except OSError as error:
        raise UsageError(f"the output {output} cannot be written to: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"another run is writing to {output}") from error
        for path in staging.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != _LOCK:
                path.unlink()
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def write_rejected(output: Path, rejected: str) -> None:
    """Writes `rejected.jsonl`, which tells of the last run, also of one that failed."""
    (output / REJECTED_FILE).write_text(rejected, encoding="utf-8")


def publish(output: Path, *, shard_names: list[str], tracks: str, manifest: str) -> None:
    """Replaces what was in the folder: shards and `tracks.jsonl` first and, last and at once, `dataset.json`."""
    (output / MANIFEST_FILE).unlink(missing_ok=True)
    for path in output.iterdir():
        if _SHARD.fullmatch(path.name):
            path.unlink()
    for name in shard_names:
        (output / _STAGING / name).replace(output / name)
    (output / TRACKS_FILE).write_text(tracks, encoding="utf-8")
    (output / _STAGING / MANIFEST_FILE).write_text(manifest, encoding="utf-8")
    (output / _STAGING / MANIFEST_FILE).replace(output / MANIFEST_FILE)
