"""A partial file, and what is known of the whole one that it is a part of."""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import requests


@dataclass(frozen=True, kw_only=True)
class Version:
    """Which version of which file a partial file is a part of.

    Attributes:
        url: Address of the file.
        n_bytes: Size of the whole file; None where the server has not said.
        tag: The ETag, if it is a strong one, else the time of the last change.
        content_id: Hugging Face's name for the content. It redirects to servers whose ETag is another one, or missing.
    """

    url: str
    n_bytes: int | None
    tag: str | None
    content_id: str | None

    @classmethod
    def of(cls, url: str, response: requests.Response) -> Self:
        """What an answer of status 200 or 206 says of the file."""
        if response.status_code == 206:
            n_bytes = content_range(response)[1]
        else:
            length = response.headers.get("Content-Length", "")
            n_bytes = int(length) if length.isdecimal() else None
        etag = response.headers.get("ETag", "W/")
        tag = response.headers.get("Last-Modified") if etag.startswith("W/") else etag
        ids = [hop.headers["X-Linked-ETag"] for hop in response.history if "X-Linked-ETag" in hop.headers]
        return cls(url=url, n_bytes=n_bytes, tag=tag, content_id=ids[-1] if ids else None)

    def matches(self, other: Self) -> bool | None:
        """Whether both are the same version; None where the servers have not said enough to tell."""
        if self.n_bytes is not None and other.n_bytes is not None and self.n_bytes != other.n_bytes:
            return False
        if self.content_id and other.content_id:
            return self.content_id == other.content_id
        if self.tag and other.tag:
            return self.tag == other.tag
        return None


def content_range(response: requests.Response) -> tuple[int | None, int | None]:
    """The first byte of a part, and the size of the whole; None for what cannot be read."""
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if not found:
        return None, None
    return int(found[1]), None if found[2] == "*" else int(found[2])


class PartialFile:
    """A file that grows, and the note beside it of what it is a part of.

    Attributes:
        path: The file.
        version: What the note says; None without a note, or with one of another address.
    """

    def __init__(self, path: Path, url: str) -> None:
        self.path = path
        self._note = _note_of(path)
        self.version: Version | None = None
        try:
            version = Version(**json.loads(self._note.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return
        if version.url == url:
            self.version = version

    @property
    def n_bytes(self) -> int:
        """Bytes that are there and can be continued."""
        return self.path.stat().st_size if self.version and self.path.exists() else 0

    @property
    def is_whole(self) -> bool:
        """Whether the last byte is there; what the bytes are is another question."""
        return self.version is not None and self.path.exists() and self.n_bytes == self.version.n_bytes

    def begin(self, version: Version) -> None:
        """Begins anew.

        In this order, a run that dies in between leaves no bytes beside the note of another version.
        """
        self.path.unlink(missing_ok=True)
        self.note(version)

    def note(self, version: Version) -> None:
        """Notes what the bytes are a part of."""
        self.version = version
        self._note.write_text(json.dumps(asdict(version)), encoding="utf-8")


def _note_of(path: Path) -> Path:
    return path.with_name(path.name + ".version.json")


def discard(path: Path) -> None:
    """Removes a downloaded or partial file, so that the next download begins anew."""
    path.unlink(missing_ok=True)
    _note_of(path).unlink(missing_ok=True)
