"""Transfers of a file from the tests' server, whole or cut off."""

from pathlib import Path
from typing import Any

import pytest

from beam_pipeline.corpora.resumable import DownloadError, download
from tests.archives import noise
from tests.file_server import FileServer

N_BYTES = 300_000
OLD, NEW = noise(N_BYTES, seed=1), noise(N_BYTES, seed=2)


def fetch(served: FileServer, path: Path, *, n_bytes: int | None = None, checked: bool = False, at: str = "/file") -> bytes:
    download(served.url.replace("/genres.tar.gz", at), path, n_bytes=n_bytes, checked=checked)
    return path.read_bytes()


def cut_off(served: FileServer, path: Path, *, then: int = 0, **options: Any) -> str:
    """Leaves a partial file: the first attempt brings some bytes, each further one as many as said.

    Returns:
        The Range header that asks for the rest.
    """
    served.cuts = [200_000, *[then] * 10]
    with pytest.raises(DownloadError, match="was cut short time and again .* what has come is kept: run this again"):
        fetch(served, path, **options)
    served.cuts = []
    served.asked.clear()
    assert 0 < path.stat().st_size <= 200_000
    return f"bytes={path.stat().st_size}-"
