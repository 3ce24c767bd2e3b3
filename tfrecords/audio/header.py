"""How long a file is by its header, where libsndfile itself says how much of that is there."""

import os
import re
from typing import Any

# libsndfile's number where a header announces no length, as in FLAC that was written to a pipe.
UNKNOWN_FRAMES = 2**63 - 1

# Bytes of a sample where each is stored by itself. There libsndfile seeks exactly, as it does in FLAC, which has the same names.
SAMPLE_BYTES = {"PCM_S8": 1, "PCM_U8": 1, "ULAW": 1, "ALAW": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}
# By container: what libsndfile's log calls the length of the samples, and how many other bytes are counted with them.
_LENGTH = {
    "WAV": ("data", 0),
    "WAVEX": ("data", 0),
    "RF64": ("Data size", 0),
    "W64": ("data", 24 + 7),  # of which up to seven are padding
    "CAF": ("data", 4),
    "AU": ("Data Size", 0),
    "AIFF": ("SSND", 8),
    "SVX": ("BODY", 0),
}
# A program that cannot go back to write the length leaves the largest that there is, or that without a header.
_OPEN_LENGTH, _LARGEST_HEADER = 2**31, 2**16
_ID3_HEAD_BYTES = 10
# An MP3's first frame is one of these if it tells the length; else that is estimated from the bit rate.
_XING = re.compile(rb"Xing|Info")
_FRAME_BYTES = 2048


def announced_by_header(file: Any, descriptor: int) -> int | None:
    """Samples of each channel that a file's header announces; None where it leaves that open, or gives an estimate.

    Args:
        file: A `soundfile.SoundFile`, or what stands in for it.
        descriptor: Of the file.
    """
    if file.format == "FLAC" or (file.format == "MP3" and _XING.search(_first_mp3_frame(descriptor))):
        return None if file.frames == UNKNOWN_FRAMES else file.frames
    if file.format not in _LENGTH or file.subtype not in SAMPLE_BYTES:
        return None
    name, n_others = _LENGTH[file.format]
    found = re.search(rf"^ *{name} *: (\d+)", file.extra_info, re.MULTILINE)
    n_bytes = int(found[1]) if found else 0
    if -n_bytes % _OPEN_LENGTH <= _LARGEST_HEADER:
        return None
    return (n_bytes - n_others) // (SAMPLE_BYTES[file.subtype] * file.channels)


def _first_mp3_frame(descriptor: int) -> bytes:
    """Some bytes from the beginning of an MP3's sound, after its tag."""
    head = os.pread(descriptor, _ID3_HEAD_BYTES, 0)
    n_tag = _ID3_HEAD_BYTES + sum(byte % 128 << 7 * (9 - place) for place, byte in enumerate(head) if place >= 6)
    return os.pread(descriptor, _FRAME_BYTES, n_tag if head.startswith(b"ID3") else 0)
