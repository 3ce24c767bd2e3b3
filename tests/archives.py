"""Archives of the download's tests, good and hostile ones."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np


def tar_gz(files: Mapping[str, bytes], *members: tarfile.TarInfo) -> bytes:
    """An archive of plain files, and of further members without content."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for member in members:
            tar.addfile(member)
    return stream.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, *, target: str = "", n_bytes: int = 0) -> tarfile.TarInfo:
    """A member that claims a kind, a link's target and a size."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, n_bytes
    return info


def raw_tar_gz(blocks: Sequence[bytes]) -> bytes:
    """Whatever blocks, compressed."""
    return gzip.compress(b"".join(blocks), compresslevel=1)


def noise(n_bytes: int, seed: int = 0) -> bytes:
    """Bytes that do not compress."""
    return np.random.default_rng(seed).bytes(n_bytes)


def md5(data: bytes) -> str:
    """The MD5 in hexadecimal digits."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def tracks_in(folder: Path) -> dict[str, bytes]:
    """The content of each track below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.wav")}


def names_in(folder: Path) -> set[str]:
    """What a folder holds."""
    return {path.name for path in folder.iterdir()}


TRACKS = {f"genres/{genre}/{genre}.0000{number}.wav": noise(50_000, number) for genre in ("blues", "rock") for number in range(4)}
ARCHIVE = tar_gz(TRACKS | {"._genres": b"x", "genres/blues/._blues.00000.wav": b"x"})
