"""The output folder: a dataset is in it as a whole or not at all, and an old one stays until the new one is whole."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from beam_pipeline import storage
from beam_pipeline.locked_folder import LOCK, locked_folder
from tfrecords.errors import UsageError
from tfrecords.manifest import MANIFEST_FILE, REJECTED_FILE, TRACKS_FILE

FEATURES = "features"
_STAGING = ".beam-pipeline-staging"
_SHARD = re.compile(r"[a-z]+-\d{5,}-of-\d{5,}\.tfrecord")
_OWN_NAMES = (MANIFEST_FILE, TRACKS_FILE, REJECTED_FILE, _STAGING, FEATURES)


def check_output(output: str, *, overwrite: bool) -> None:
    """Refuses an output folder that holds a dataset, unless it may be overwritten, or anything that is not ours.

    What a run that failed or died has left is no dataset, and does not stand in the way.

    Raises:
        UsageError: Naming what is in the way.
    """
    try:
        names = sorted(storage.names_in(output))
    except OSError as error:
        raise UsageError(f"the output {output} cannot be used as a folder: {error.strerror or error}") from error
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
def staging_folder(output: str) -> Iterator[str]:
    """Makes the staging folder in a checked output folder, and removes it in the end.

    What a dead run left in it goes first. On this machine a lock that ends with its process tells a dead run from one that is
    at work; behind a URL nothing does. Each run has a folder of its own in it: workers of a run that was given up may live on
    for a while, and what they still write must not reach the next one.

    Yields:
        The absolute path of this run's folder.

    Raises:
        UsageError: If it cannot be made, or another run is at work in it.
    """
    run = uuid4().hex
    if storage.is_remote(output):
        staging = storage.join(output, _STAGING)
        storage.remove_folder(staging)
        try:
            yield storage.join(staging, run)
        finally:
            storage.remove_folder(staging)
        return
    with locked_folder(Path(output), _STAGING) as folder:
        for name in storage.names_in(str(folder)) - {LOCK}:
            storage.remove_folder(storage.join(str(folder), name))
        (folder / run).mkdir()
        try:
            yield str(folder / run)
        finally:
            storage.remove_folder(str(folder))


def publish(output: str, staging: str, *, shards: Mapping[str, str], manifest: str) -> None:
    """Replaces what was in the folder: shards and `tracks.jsonl` first and, last and at once, `dataset.json`.

    Args:
        output: The folder.
        staging: The staging folder in it, with the shards and `tracks.jsonl`.
        shards: Staged names by final names.
        manifest: Text of `dataset.json`.
    """
    storage.remove(output, [MANIFEST_FILE])
    storage.remove(output, [name for name in storage.names_in(output) if _SHARD.fullmatch(name)])
    storage.move(staging, [*shards.values(), TRACKS_FILE], target=output, new_names=[*shards, TRACKS_FILE])
    storage.write(storage.join(output, MANIFEST_FILE), [manifest.encode()])
