"""A dataset's shards, wherever it lies: opened, copied to this machine, and behind a URL checked while they are read."""

import hashlib
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tqdm import tqdm

from tfrecords.dataset.manifest import MANIFEST_FILE, DatasetError, Shard
from tfrecords.errors import UsageError, quoted
from tfrecords.places import Place, RemoteFile, RemotePath, buffered, sha256_of
from tfrecords.whole_file import new_whole

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_SHA256 = re.compile(r"[0-9a-f]{64}")


def open_shard(folder: Place, shard: Shard) -> BinaryIO:
    """Opens a shard for reading.

    One that is streamed from a store is checked on the way: whoever reads it to its end has a DatasetError if it has not the
    size and SHA-256 that `dataset.json` tells. So nothing is fetched twice.

    Raises:
        DatasetError: If it was to be copied and is damaged.
        OSError: If it cannot be read, or not be copied.
    """
    path = local_shard(folder, shard)
    return buffered(_CheckedFile(f"{folder / shard.name}", shard)) if path is None else path.open("rb")


def local_shard(folder: Place, shard: Shard) -> Path | None:
    """The file of a shard on this machine: in the folder itself, or its copy in the folder's cache, which is made if need be.

    A copy has the shard's SHA-256 as its name and is compared with it each time, so that it is never that of another dataset;
    one that was damaged since is made again.

    Returns:
        The file; None for a shard that is streamed.

    Raises:
        DatasetError: If the shard that was to be copied is damaged.
        UsageError: If the cache cannot be made.
        OSError: If the shard cannot be read, or the copy not be written.
    """
    if not isinstance(folder, RemotePath):
        return folder / shard.name
    if folder.cache_dir is None:
        return None
    if not _SHA256.fullmatch(shard.sha256):  # it would lead out of the cache
        raise DatasetError(f"{folder} is damaged: {shard.name} has the SHA-256 {quoted(shard.sha256)}")
    copy = folder.cache_dir / f"{shard.sha256}.tfrecord"
    if not (copy.is_file() and sha256_of(copy) == shard.sha256):
        _make(folder.cache_dir)
        with buffered(_CheckedFile(f"{folder / shard.name}", shard)) as source, new_whole(copy) as target:
            bar = tqdm.wrapattr(source, "read", total=shard.n_bytes, desc=f"Copying {shard.name}", disable=None, leave=False)
            with bar as read:
                shutil.copyfileobj(read, target)
    return copy


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the folder {error.filename} cannot be made: {error.strerror}") from error


class _CheckedFile(RemoteFile):
    """A shard that is hashed as it is read, and compared at its end with what `dataset.json` tells."""

    def __init__(self, url: str, shard: Shard) -> None:
        super().__init__(url)
        self._shard = shard
        self._sha256 = hashlib.sha256()
        self._n_bytes = 0

    def readinto(self, buffer: "WriteableBuffer") -> int:
        n_read = super().readinto(buffer)
        self._sha256.update(memoryview(buffer)[:n_read])
        self._n_bytes += n_read
        if not n_read:
            self._compare()
        return n_read

    def _compare(self) -> None:
        if self._n_bytes != self._shard.n_bytes:
            raise DatasetError(f"{self._url} is damaged: it has {self._n_bytes} bytes instead of {self._shard.n_bytes}")
        if self._sha256.hexdigest() != self._shard.sha256:
            raise DatasetError(f"{self._url} is damaged: its SHA-256 is not the one in {MANIFEST_FILE}")
