"""Where datasets lie: a folder of this machine, or objects behind a URL (`s3://`, `gs://`), read by the same methods."""

import errno
import hashlib
import io
import os
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Self, cast

from tfrecords.errors import UsageError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_SCHEMES = ("s3://", "gs://")
_RETRY_SECONDS = 20
_REASON_CHARACTERS = 300
_READ_BYTES = 4 * 2**20  # in a request


class RemoteStat(NamedTuple):
    """What is known of an object: its size in bytes."""

    st_size: int


@dataclass(frozen=True)
class RemotePath:
    """A file or folder behind a URL, with those methods of pathlib.Path that reading a dataset takes.

    The clients are Arrow's. Unlike those of fsspec they are not written in Python: TensorFlow, when it discards a dataset, waits
    for whoever reads it, in any thread of Python's, also in the one that all of fsspec's readers would wait for.

    They raise OSError, with the URL and the reason in one line. `is_file` and `is_dir` are false only where the store says that
    nothing is there; one that cannot be asked is an error.

    Attributes:
        url: Without a slash at its end.
        cache_dir: Folder on this machine that keeps copies of a dataset's shards; None where they are read from the store.
    """

    url: str
    cache_dir: Path | None = None
    _listed: Any = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, name: str) -> Self:
        return type(self)(f"{self.url}/{name}", self.cache_dir)

    @property
    def name(self) -> str:
        """What stands after the last slash."""
        return self.url.rpartition("/")[2]

    def is_file(self) -> bool:
        """Whether there is such an object."""
        return _is(self._info(), "File")

    def is_dir(self) -> bool:
        """Whether there are objects below it. It is an error if there is no such bucket."""
        if _is(self._info(), "Directory"):
            return True
        with _told_of(self.url):
            store, path = _store(self.url)
            if _is(store.get_file_info(path.partition("/")[0]), "NotFound"):
                raise OSError("there is no such bucket")
        return False

    def stat(self) -> RemoteStat:
        """The size of an object."""
        return RemoteStat(self._info().size)

    def iterdir(self) -> Iterator[Self]:
        """Yields what lies in a folder, of which there is none where nothing does."""
        from pyarrow.fs import FileSelector

        with _told_of(self.url):
            store, path = _store(self.url)
            listed = store.get_file_info(FileSelector(path, allow_not_found=True))
        for info in listed:
            yield type(self)(f"{self.url}/{info.base_name}", self.cache_dir, info)

    def open(self, mode: str = "rb") -> BinaryIO:
        """Opens an object for reading, in `mode` "rb"."""
        return buffered(RemoteFile(self.url))

    def read_bytes(self) -> bytes:
        """Reads an object whole."""
        with self.open() as file:
            return file.read()

    def _info(self) -> Any:
        if self._listed is not None:
            return self._listed
        with _told_of(self.url):
            store, path = _store(self.url)
            return store.get_file_info(path)


Place = Path | RemotePath


def place_of(folder: str | Place, *, cache_dir: Path | None = None) -> Place:
    """What a path or a URL of a dataset's folder stands for.

    Args:
        folder: Such as "data/tfrecords" or "s3://bucket/tfrecords".
        cache_dir: For a URL, the folder on this machine that is to keep copies of the shards.

    Raises:
        UsageError: If the URL is of no store, or a cache is to be kept of a local folder.
    """
    text = str(folder)
    if "://" in text:
        if not text.startswith(_SCHEMES) or not text.partition("://")[2].strip("/"):
            raise UsageError(f"{text} cannot be read: expected a path, or a URL such as gs://bucket/folder or s3://bucket/folder")
        return RemotePath(text.rstrip("/"), cache_dir)
    if cache_dir is not None:
        raise UsageError(f"{text} lies on this machine: only a dataset behind a URL has its shards copied to {cache_dir}")
    return Path(text)


def sha256_of(path: Place) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(cast(io.BufferedReader, file), "sha256").hexdigest()


class RemoteFile(io.RawIOBase):
    """An object that is read from its beginning to its end, unbuffered."""

    def __init__(self, url: str) -> None:
        """Opens it.

        Raises:
            OSError: With the URL and the reason, as reading it does.
        """
        self._url = url
        with _told_of(url):
            store, path = _store(url)
            self._file = store.open_input_stream(path)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Reads the next bytes into a buffer; their number."""
        with _told_of(self._url):
            return int(self._file.readinto(buffer))

    def close(self) -> None:
        """Ends the connection."""
        if not self.closed:
            self._file.close()
        super().close()


def buffered(file: RemoteFile) -> BinaryIO:
    """The same object, which the store is asked for in large pieces."""
    return cast(BinaryIO, io.BufferedReader(file, _READ_BYTES))


def _is(info: Any, kind: str) -> bool:
    return bool(info.type.name == kind)


def _store(url: str) -> tuple[Any, str]:
    """The client of the store, and what it calls the object."""
    scheme, _, path = url.partition("://")
    return _client(f"{scheme}://{path.partition('/')[0]}"), path


@cache
def _client(bucket: str) -> Any:
    """A bucket's; for all threads. Addresses and keys are those of the environment (`AWS_ENDPOINT_URL` and the like)."""
    from pyarrow.fs import FileSystem  # a process that meets no URL does without it

    # Google's would ask again for a quarter of an hour, also where there are no keys.
    return FileSystem.from_uri(f"{bucket}?retry_limit_seconds={_RETRY_SECONDS}" if bucket.startswith("gs:") else bucket)[0]


@contextmanager
def _told_of(url: str) -> Iterator[None]:
    """Raises what a store's client raises as an OSError of this URL, with the reason in one line."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), url) from error
    except (OSError, ValueError) as error:
        raise OSError(errno.EIO, textwrap.shorten(str(error), _REASON_CHARACTERS, placeholder=" …"), url) from error
