"""Files on this machine, and objects behind a URL (`gs://`, `s3://`) through Beam's filesystems, by one set of functions.

A local path is taken as it is, whatever characters it has. Beam takes some functions' paths for patterns: a URL of a folder may
hold no star, question mark or bracket.
"""

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from beam_pipeline.storage_errors import StorageError, persistently
from tfrecords.errors import UsageError

_BATCH = 100  # objects per request


# What stands on the command line; None where Beam itself has told its filesystems, in a worker of its own.
_arguments: tuple[str, ...] | None = None


def set_options(arguments: Sequence[str]) -> None:
    """Tells object stores' clients what stands on the command line, such as an address; in this process."""
    global _arguments
    _arguments = tuple(arguments)
    _filesystems.cache_clear()


@cache
def _filesystems() -> Any:
    """Beam's own, with a client of S3's that is shared; a process that meets no URL does without both."""
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions

    from beam_pipeline.beam_internals import share_s3_clients

    if _arguments is not None:  # without any, be they empty, the client of S3 refuses to be made
        FileSystems.set_options(PipelineOptions(list(_arguments)))
    share_s3_clients()
    return FileSystems


def is_remote(path: str) -> bool:
    """Whether a path is a URL rather than a path on this machine."""
    return "://" in path


def check_url(path: str) -> None:
    """Refuses a URL that no filesystem of Beam's stands for, or that Beam would take for a pattern.

    Raises:
        UsageError: Saying why.
    """
    if not is_remote(path):
        return
    if set(path) & set("*?[]"):
        raise UsageError(f"{path}: a URL may hold none of * ? [ ]")
    try:
        _filesystems().get_filesystem(path)
    except (ValueError, OSError) as error:
        extra = {"gs": "gcp", "s3": "aws"}.get(path.split("://")[0])
        hint = f"install apache-beam[{extra}]" if extra else "expected a path, or a URL such as gs:// or s3://"
        raise UsageError(f"{path} cannot be used: {hint}") from error


def join(folder: str, *names: str) -> str:
    """A path below a folder."""
    return (
        "/".join((folder.rstrip("/"), *filter(None, names))) if is_remote(folder) else os.path.join(folder, *filter(None, names))
    )


def resolve(path: str, *, root: str) -> str:
    """What a path that is relative to `root`, absolute or a URL means."""
    return path if is_remote(path) else join(root, path)


def parent(path: str) -> str:
    """The folder that a file lies in."""
    return path.rpartition("/")[0] if is_remote(path) else str(Path(path).parent)


def absolute(path: str) -> str:
    """A path that means the same to a process in another folder."""
    return path.rstrip("/") if is_remote(path) else str(Path(path).resolve())


def read(path: str) -> bytes:
    """Reads a file whole.

    Raises:
        OSError: If it is not there or may not be read.
        StorageError: If the disk or the object store fails.
    """

    def read_all() -> bytes:
        with open_file(path) as file:
            return file.read()

    return persistently(read_all, path)


def open_file(path: str) -> BinaryIO:
    """Opens a file for reading."""
    if not is_remote(path):
        return Path(path).open("rb")
    from apache_beam.io.filesystem import CompressionTypes

    file: BinaryIO = _filesystems().open(path, compression_type=CompressionTypes.UNCOMPRESSED)
    return file


@contextmanager
def new_file(path: str) -> Iterator[BinaryIO]:
    """Opens a new file for writing. An object appears when it is closed, a file at once; in the end it is on the disk.

    Raises:
        StorageError: If it cannot be written.
    """
    try:
        if not is_remote(path):
            make_folder(parent(path))
            with Path(path).open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            return
        from apache_beam.io.filesystem import CompressionTypes

        with _filesystems().create(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
            yield file
    except OSError as error:
        raise StorageError(path, error) from error


def write(path: str, parts: Iterable[bytes], *, synced: bool = True) -> None:
    """Writes a file, which is there as a whole or not at all; its folder is made if it is missing.

    Nothing is written where there are no bytes to write to a URL: Beam cannot write empty objects to S3.

    Args:
        path: Of the file.
        parts: What it holds.
        synced: Whether it is on the disk before it has its name; without that, a loss of power may leave it cut off.

    Raises:
        StorageError: If it cannot be written.
    """
    if is_remote(path):
        if data := b"".join(parts):
            with new_file(path) as file:
                file.write(data)
        return
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{uuid4().hex}")
    try:
        try:
            file = temporary.open("wb")
        except FileNotFoundError:
            make_folder(str(target.parent))
            file = temporary.open("wb")
        with file:
            file.writelines(parts)
            if synced:
                file.flush()
                os.fsync(file.fileno())
        temporary.rename(target)
        if synced:
            _sync_folder(target.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise StorageError(path, error) from error


def _sync_folder(folder: Path) -> None:
    """Has the disk keep the names in a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: str) -> None:
    """Makes a folder and those above it; object stores have none."""
    if not is_remote(path):
        Path(path).mkdir(parents=True, exist_ok=True)


def files_below(folder: str) -> Iterator[str]:
    """Paths of the files below a folder, relative to it, in no particular order; none if it is missing.

    Objects that consoles and other tools put in an object store for a folder are no files: their names end with a slash.
    """
    if not is_remote(folder):
        for parent, _, names in os.walk(folder):
            yield from (str(Path(parent, name).relative_to(folder)) for name in names)
        return
    prefix = f"{folder.rstrip('/')}/"
    for result in _filesystems().match([f"{prefix}**"]):
        yield from (one.path.removeprefix(prefix) for one in result.metadata_list if not one.path.endswith("/"))


def names_in(folder: str) -> set[str]:
    """Names of the files and folders in a folder; none if it is missing.

    Raises:
        OSError: If it cannot be listed.
    """
    if is_remote(folder):
        return {path.split("/")[0] for path in files_below(folder)}
    try:
        return set(os.listdir(folder))
    except FileNotFoundError:
        return set()


def move(folder: str, names: Sequence[str], *, target: str, new_names: Sequence[str]) -> None:
    """Moves files of one folder to another on the same filesystem, under new names. What has such a name is replaced.

    Raises:
        StorageError: If one cannot be moved.
    """
    pairs = [(join(folder, name), join(target, new)) for name, new in zip(names, new_names, strict=True)]
    try:
        if not is_remote(folder):
            for old, new in pairs:
                Path(old).replace(new)
            _sync_folder(Path(target))
            return
        for first in range(0, len(pairs), _BATCH):
            olds, news = zip(*pairs[first : first + _BATCH], strict=True)
            _filesystems().rename(list(olds), list(news))
    except OSError as error:
        raise StorageError(target, error) from error


def remove(folder: str, names: Iterable[str]) -> None:
    """Removes files of a folder; those that are missing are no error.

    Raises:
        StorageError: If one cannot be removed.
    """
    paths = [join(folder, name) for name in names]
    try:
        if not is_remote(folder):
            for path in paths:
                Path(path).unlink(missing_ok=True)
            return
        for first in range(0, len(paths), _BATCH):
            _filesystems().delete(paths[first : first + _BATCH])
    except OSError as error:
        raise StorageError(folder, error) from error


def remove_folder(folder: str) -> None:
    """Removes a folder with all that is in it, or a file, if it is there."""
    if is_remote(folder):
        remove(folder, list(files_below(folder)))
    elif Path(folder).is_dir():
        shutil.rmtree(folder, ignore_errors=True)
    else:
        Path(folder).unlink(missing_ok=True)
