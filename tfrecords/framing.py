"""The TFRecord file format: each record with its length and two masked CRC-32C sums."""

import struct
from collections.abc import Iterator
from typing import BinaryIO

import google_crc32c

_MASK_DELTA = 0xA282EAD8  # tensorflow/core/lib/hash/crc32c.h


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF)


def frame(record: bytes) -> bytes:
    """A record as it stands in a TFRecord file: length (uint64), its CRC, the bytes, their CRC."""
    length = struct.pack("<Q", len(record))
    return b"".join((length, _masked_crc(length), record, _masked_crc(record)))


def read_records(file: BinaryIO, *, name: str) -> Iterator[bytes]:
    """Yields the records of a TFRecord file and checks both sums of each.

    Args:
        file: Open for reading.
        name: What to call the file in an error.

    Raises:
        ValueError: If a sum is wrong or the file ends inside a record.
    """
    position = 0
    while header := file.read(12):
        if len(header) < 12 or _masked_crc(header[:8]) != header[8:]:
            raise ValueError(f"{name}: damaged record length at byte {position}")
        (length,) = struct.unpack("<Q", header[:8])
        record = file.read(length)
        if len(record) < length or _masked_crc(record) != file.read(4):
            raise ValueError(f"{name}: damaged record at byte {position}")
        yield record
        position += length + 16
