"""The files of a .tar.gz that nobody vouches for.

Names, sizes and kinds in an archive are whatever its maker wrote. So nothing is taken over but the bytes of plain files below one
folder, each under a name that was looked at, with the modes and owner of any new file.
"""

import gzip
import shutil
import sys
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from beam_pipeline.corpora.free_space import require_space
from beam_pipeline.runners.progress import byte_bar

# GTZAN has 1000 tracks of 1.3 MB, as many hidden files, and some folders.
MAX_MEMBERS = 10_000
MAX_FILE_BYTES = 64 * 2**20
MAX_TOTAL_BYTES = 4 * 2**30
_MAX_NAME = 255
_MAX_HEADER_BYTES = 2**16
_BLOCK_BYTES = 2**16


class ArchiveError(ValueError):
    """An archive that is damaged, or holds what it must not; the message says what."""


class _BoundedReader(gzip.GzipFile):
    """Decompressed bytes, within limits: a kilobyte of gzip can stand for a megabyte, and tarfile reads headers into memory.

    Attributes:
        allowance: How many bytes may be read before it is set again.
    """

    allowance = _MAX_HEADER_BYTES

    def read(self, size: int | None = -1) -> bytes:
        """Reads some bytes; like any file, but never all of them."""
        if size is None or not 0 <= size <= self.allowance:
            raise ArchiveError(f"holds a header of more than {_MAX_HEADER_BYTES} bytes")
        data = super().read(size)
        self.allowance -= len(data)
        if self.tell() > MAX_TOTAL_BYTES:
            raise ArchiveError(f"holds more than {MAX_TOTAL_BYTES} bytes")
        return data


def extract_tar_gz(archive: Path, folder: Path, *, top: str) -> dict[str, int]:
    """Extracts the plain files below one of the archive's folders.

    Left out are files elsewhere and hidden ones, such as macOS' "._*" (AppleDouble), of which GTZAN has one beside each track.

    Args:
        archive: The .tar.gz.
        folder: An empty folder, in which the folder `top` is made.
        top: Name of the archive's folder.

    Returns:
        Size in bytes of each file, by its path below `top`.

    Raises:
        ArchiveError: If the archive is damaged, holds a path that leads out of it, a link, a device, a file twice, more or
            larger files than any copy of GTZAN, or nothing in `top`. Part of it may lie in the folder then.
        UsageError: If the disk has no room.
        OSError: If a file cannot be written.
    """
    require_space(folder, _size_by_gzip(archive))
    sizes: dict[str, int] = {}
    try:
        with (
            archive.open("rb") as file,
            _BoundedReader(fileobj=file) as reader,
            # Not tarfile's own "r:gz": what it reads has to pass the reader's limits.
            tarfile.open(fileobj=reader, mode="r:", encoding="utf-8") as tar,
            byte_bar("Extracting", n_bytes=archive.stat().st_size) as bar,
        ):
            total = 0
            for n_members, member in enumerate(tar, start=1):
                total += member.size
                path = _checked(member, n_members=n_members, total=total)
                if path.parts[:1] == (top,) and not any(part.startswith(".") for part in path.parts):
                    if member.isdir():
                        (folder / path).mkdir(parents=True, exist_ok=True)
                    else:
                        reader.allowance = member.size
                        sizes[str(path.relative_to(top))] = _write(tar, member, folder / path)
                bar.update(file.tell() - bar.n)
                reader.allowance = _MAX_HEADER_BYTES
            # The check sum stands at the end of the stream, behind the last member.
            reader.allowance = sys.maxsize
            while reader.read(_BLOCK_BYTES):
                bar.update(file.tell() - bar.n)
    except (FileExistsError, NotADirectoryError) as error:
        raise ArchiveError(f"{archive} holds {str(Path(error.filename).relative_to(folder))!r} twice") from error
    except ArchiveError as error:
        raise ArchiveError(f"{archive} {error}") from error
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError) as error:
        # ValueError: what int() says of numbers in the headers of sparse files.
        raise ArchiveError(f"{archive} is damaged: {error}") from error
    if not sizes:
        raise ArchiveError(f"{archive} holds no files in {top}/")
    return sizes


def _size_by_gzip(archive: Path) -> int:
    """The size before compression, modulo 4 GiB, by the last four bytes of the archive (RFC 1952, ISIZE)."""
    with archive.open("rb") as file:
        file.seek(-min(4, archive.stat().st_size), 2)
        return int.from_bytes(file.read(4), "little")


def _checked(member: tarfile.TarInfo, *, n_members: int, total: int) -> PurePosixPath:
    """The path of a member that may be extracted.

    Raises:
        ArchiveError: If it may not.
    """
    if n_members > MAX_MEMBERS:
        raise ArchiveError(f"holds more than {MAX_MEMBERS} files")
    name = member.name if len(member.name) <= _MAX_NAME else member.name[:_MAX_NAME] + "…"
    path = PurePosixPath(name)
    if name != member.name or not name.isprintable() or path.is_absolute() or ".." in path.parts:
        raise ArchiveError(f"holds a file of the name {name!r}")
    if not (member.isreg() or member.isdir()):
        raise ArchiveError(f"holds {name!r}, which is {'a link' if member.issym() or member.islnk() else 'no plain file'}")
    if not 0 <= member.size <= MAX_FILE_BYTES or total > MAX_TOTAL_BYTES:
        raise ArchiveError(f"holds {name!r} of {member.size} bytes, {total} in all; that is more than a copy of GTZAN")
    return path


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> int:
    source = tar.extractfile(member)
    if source is None:
        raise ArchiveError(f"holds {member.name!r}, which is no plain file")
    path.parent.mkdir(parents=True, exist_ok=True)
    with source, path.open("xb") as target:
        shutil.copyfileobj(source, target, _BLOCK_BYTES)
        return target.tell()
