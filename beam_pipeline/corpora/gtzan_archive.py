"""GTZAN's archive: where its tracks are expected on this machine, and how they come out of it."""

import gzip
import os
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from tfrecords.errors import FailedError, quoted

GTZAN = Path("data/gtzan")
GENRES = "genres"
ARCHIVE = "genres.tar.gz"
# What is not finished lies here, where `run_pipeline.py` does not look for tracks.
WORK = ".download"

# The first site, opihi.cs.uvic.ca, is gone. Its file had this sum (mirdata's, and TensorFlow Datasets').
MD5 = "5b3d6dddb579ab49814ab86dba69e7c7"
# GTZAN has 1.3 GB. A small archive can claim as much as fills the disk.
MAX_BYTES = 4 * 2**30
_BLOCK_BYTES = 2**20


def extract_genres(archive: Path, folder: Path) -> None:
    """Extracts the plain files below the archive's folder `genres`.

    Left out are files elsewhere and hidden ones, such as macOS' "._*" (AppleDouble), of which GTZAN has one beside each track.

    Raises:
        FailedError: If the archive is damaged, or no copy of GTZAN: the end of a sentence that begins with its name. Part of it
            may lie in the folder then.
        OSError: If a file cannot be written.
    """
    n_bytes = n_files = 0

    def wanted(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
        nonlocal n_bytes, n_files
        for member in tar:
            n_bytes += member.size
            if member.size < 0 or n_bytes > MAX_BYTES:
                raise FailedError(f"holds {quoted(member.name)} of {member.size} bytes, {n_bytes} in all: it is no copy of GTZAN")
            parts = PurePosixPath(member.name).parts
            if parts[:1] != (GENRES,) or any(part.startswith(".") for part in parts):
                continue
            if not (member.isreg() or member.isdir()):
                raise FailedError(f"holds {quoted(member.name)}, a link or a device: it is no copy of GTZAN")
            n_files += member.isreg()
            member.mode = 0o755 if member.isdir() else 0o644
            member.uid, member.gid, member.uname, member.gname = os.getuid(), os.getgid(), "", ""
            yield member

    try:
        with gzip.open(archive) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            # Python 3.11.2, Debian 12's, has no such filter; what it would refuse or change is not among these members.
            tar.extraction_filter = getattr(tarfile, "data_filter", None)
            tar.extractall(folder, members=wanted(tar))  # noqa: S202 (they are looked at)
            # The check sum stands at the end of the stream, behind what tarfile reads.
            while stream.read(_BLOCK_BYTES):
                pass
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError) as error:
        raise FailedError(f"is damaged: {error}") from error
    if not n_files:
        raise FailedError(f"holds no files in {GENRES}/")
