"""A dataset's folder, or its place in an object store: whether what its `dataset.json` names is there, whole and unaltered."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tfrecords.command_line.programs import program
from tfrecords.dataset.manifest import MANIFEST_FILE, DatasetError, Manifest, NoDatasetError, Shard
from tfrecords.places import Place, sha256_of


@contextmanager
def _readable(folder: Place) -> Iterator[None]:
    """Says of a folder, or a store, that cannot be read why."""
    try:
        yield
    except OSError as error:
        raise DatasetError(f"{error.filename or folder} cannot be read: {error.strerror}") from error


def check_there(folder: Place) -> None:
    """Refuses a folder without `dataset.json`.

    Raises:
        NoDatasetError: If there is no such folder, or no such file in it.
        DatasetError: If that cannot be told.
    """
    with _readable(folder):
        if (folder / MANIFEST_FILE).is_file():
            return
        there = folder.is_dir()
    raise NoDatasetError(
        f"{folder} is no whole dataset: it has no {MANIFEST_FILE}" if there else f"there is no dataset in {folder}"
    )


def read_manifest(folder: Place) -> Manifest:
    """Reads a dataset's manifest, without looking at its shards.

    Raises:
        NoDatasetError: If the folder or the manifest is missing.
        DatasetError: If the manifest is damaged or cannot be read.
    """
    check_there(folder)
    with _readable(folder):
        text = (folder / MANIFEST_FILE).read_bytes()
    try:
        return Manifest.from_json(text.decode())
    except ValueError as error:
        raise DatasetError(f"{folder}: {error}") from error


def read_dataset(folder: Place) -> Manifest:
    """Reads a dataset's manifest and checks that every file it names is there, whole and unaltered.

    The SHA-256 of a shard behind a URL is left to who reads it, so that it is not fetched twice (`tfrecords.records.shards`).

    Raises:
        DatasetError: Naming every file that is missing or altered.
    """
    manifest = read_manifest(folder)
    with _readable(folder):
        problems = _flaws(folder, manifest.shards, hashed=isinstance(folder, Path))
        tracks = folder / manifest.tracks_file
        if not tracks.is_file():
            problems.insert(0, f"{tracks.name} is missing")
        elif sha256_of(tracks) != manifest.tracks_sha256:
            problems.insert(0, f"{tracks.name} was altered: its SHA-256 differs")
    if problems:
        again = f"{program('pipeline')} --overwrite"
        raise DatasetError(f"{folder} is damaged: {'; '.join(problems)}; make it again with {again}")
    return manifest


def check_shards(folder: Place, shards: Iterable[Shard]) -> None:
    """Checks that shards are there and of their sizes; what is in them is not looked at.

    Raises:
        DatasetError: Naming every one that is not.
    """
    with _readable(folder):
        problems = _flaws(folder, shards, hashed=False)
    if problems:
        raise DatasetError(f"{folder} is damaged: {'; '.join(problems)}")


def _flaws(folder: Place, shards: Iterable[Shard], *, hashed: bool) -> list[str]:
    sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}
    flaws = []
    for shard in shards:
        if shard.name not in sizes:
            flaws.append(f"{shard.name} is missing")
        elif sizes[shard.name] != shard.n_bytes:
            flaws.append(f"{shard.name} has {sizes[shard.name]} bytes instead of {shard.n_bytes}")
        elif hashed and sha256_of(folder / shard.name) != shard.sha256:
            flaws.append(f"{shard.name} was altered: its SHA-256 differs")
    return flaws
