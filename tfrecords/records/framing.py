"""The TFRecord file format: each record with its length and two masked CRC-32C sums."""

import struct
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import google_crc32c

_MASK_DELTA = 0xA282EAD8  # tensorflow/core/lib/hash/crc32c.h
_PIECE_BYTES = 2**20


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF)


def frame(record: bytes) -> bytes:
    """A record as it stands in a TFRecord file: length (uint64), its CRC, the bytes, their CRC."""
    length = struct.pack("<Q", len(record))
    return b"".join((length, _masked_crc(length), record, _masked_crc(record)))


def unframe(framed: bytes) -> bytes:
    """The record that `frame` has framed.

    Raises:
        ValueError: If these bytes are not one whole record with the right sums.
    """
    record = framed[12:-4]
    if len(framed) < 16 or frame(record) != framed:
        raise ValueError("damaged record")
    return record


class Readable(Protocol):
    """What can be read from as from a file."""

    def read(self, size: int, /) -> bytes:
        """The next `size` bytes, fewer at the end."""


class Frame(NamedTuple):
    """What stands at one place of a TFRecord file.

    Attributes:
        position: Of its first byte.
        record: The record; empty where it is damaged.
        flaw: What is wrong with it, "" for nothing.
    """

    position: int
    record: bytes
    flaw: str


def scan_records(file: Readable, *, longest: int | None = None) -> Iterator[Frame]:
    """Yields what stands in a TFRecord file, also what is damaged. After a damaged length nothing can be found any more.

    However large the lengths in the file are, no more is read than it holds, and no more kept than `longest`.

    Args:
        file: Open for reading, at its beginning.
        longest: A record of more bytes is passed over, with a flaw.
    """
    position = 0
    while header := file.read(12):
        if len(header) < 12 or _masked_crc(header[:8]) != header[8:]:
            yield Frame(position, b"", "damaged record length")
            return
        (length,) = struct.unpack("<Q", header[:8])
        if longest is not None and length > longest:
            whole = sum(map(len, _pieces(file, length + 4))) == length + 4
            yield Frame(position, b"", f"record of {length} bytes, expected at most {longest}" if whole else "damaged record")
        else:
            record = file.read(length) if length <= _PIECE_BYTES else b"".join(_pieces(file, length))
            whole = len(record) == length and _masked_crc(record) == file.read(4)
            yield Frame(position, record, "") if whole else Frame(position, b"", "damaged record")
        position += length + 16


def _pieces(file: Readable, size: int) -> Iterator[bytes]:
    """The next `size` bytes in pieces: asked for all at once, a damaged length would take all memory."""
    while size and (piece := file.read(min(size, _PIECE_BYTES))):
        yield piece
        size -= len(piece)


def read_records(file: Readable, *, name: str) -> Iterator[bytes]:
    """Yields the records of a TFRecord file and checks both sums of each.

    Args:
        file: Open for reading.
        name: What to call the file in an error.

    Raises:
        ValueError: If a sum is wrong or the file ends inside a record.
    """
    for frame_read in scan_records(file):
        if frame_read.flaw:
            raise ValueError(f"{name}: {frame_read.flaw} at byte {frame_read.position}")
        yield frame_read.record
