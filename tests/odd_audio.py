"""Audio files of many formats, whole, cut off, damaged and odd: the same thousands at each call."""

import io
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import soundfile

_FORMATS = [
    *(("WAV", subtype) for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "IMA_ADPCM")),
    *(("WAVEX", "PCM_24"), ("WAVEX", "FLOAT"), ("RF64", "PCM_16"), ("W64", "PCM_16"), ("W64", "FLOAT")),
    *(("AIFF", subtype) for subtype in ("PCM_S8", "PCM_16", "PCM_24", "FLOAT")),
    *(("AU", "PCM_16"), ("AU", "FLOAT"), ("AU", "ULAW"), ("CAF", "PCM_16"), ("CAF", "PCM_32"), ("CAF", "ALAC_16")),
    *(("FLAC", "PCM_S8"), ("FLAC", "PCM_16"), ("FLAC", "PCM_24")),
    *(("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")),
]
_RATES_HZ = {"OPUS": (8000, 16000, 48000)}
_AT_MOST_STEREO = ("IMA_ADPCM", "ALAC_16", "OPUS", "MPEG_LAYER_III")
_SIZES = (bytes(4), b"\xff" * 4, b"\xff\xff\xff\x7f", b"\x00\xf0\xff\x7f", b"\x7f\xff\xff\xff", b"\x01\x00\x00\x00")
_HEADER_BYTES = 100


class OddFile(NamedTuple):
    """A file and what it is."""

    container: str
    subtype: str
    damage: str
    data: bytes


def odd_files(n_files: int) -> Iterator[OddFile]:
    """Yields files of 500 to 4000 samples; all formats, with all kinds of damage."""
    for number in range(n_files):
        rng = np.random.default_rng(number)
        container, subtype = _FORMATS[number % len(_FORMATS)]
        damage = list(_DAMAGES)[number // len(_FORMATS) % len(_DAMAGES)]
        n_channels = int(rng.integers(1, 3 if subtype in _AT_MOST_STEREO else 4))
        rate = int(rng.choice(_RATES_HZ.get(subtype, (8000, 16000, 22050, 44100, 48000))))
        samples = 0.2 * rng.standard_normal((int(rng.integers(500, 4000)), n_channels))
        file = io.BytesIO()
        soundfile.write(file, samples, rate, format=container, subtype=subtype)
        yield OddFile(container, subtype, damage, _DAMAGES[damage](bytearray(file.getvalue()), rng))


def id3_tag(n_bytes: int) -> bytes:
    """An ID3v2 tag with so many bytes of nothing in it."""
    return b"ID3\x03\x00\x00" + bytes(n_bytes >> shift & 127 for shift in (21, 14, 7, 0)) + bytes(n_bytes)


def _place(data: bytearray, rng: np.random.Generator, *, within: int | None = None) -> int:
    return int(rng.integers(min(len(data), within or len(data))))


def _flip(data: bytearray, rng: np.random.Generator, *, n_bits: int, within: int | None = None) -> bytes:
    for _ in range(n_bits):
        data[_place(data, rng, within=within)] ^= 1 << int(rng.integers(8))
    return bytes(data)


def _insert(data: bytearray, rng: np.random.Generator, *, n_bytes: int, within: int | None = None) -> bytes:
    place = _place(data, rng, within=within)
    return bytes(data[:place] + rng.bytes(n_bytes) + data[place:])


def _remove(data: bytearray, rng: np.random.Generator, *, n_bytes: int) -> bytes:
    place = _place(data, rng)
    return bytes(data[:place] + data[place + n_bytes :])


def _replace_size(data: bytearray, rng: np.random.Generator) -> bytes:
    place = _place(data, rng, within=_HEADER_BYTES) // 2 * 2
    return bytes(data[:place] + _SIZES[rng.integers(len(_SIZES))] + data[place + 4 :])


def _insert_chunk(data: bytearray, rng: np.random.Generator) -> bytes:
    """Before the first chunk of RIFF and FORM: an empty one, one of odd length with its padding, or without."""
    order = "big" if data.startswith(b"FORM") else "little"
    n_bytes, padding = ((0, 0), (3, 1), (3, 0))[rng.integers(3)]
    chunk = b"JUNK" + n_bytes.to_bytes(4, order) + bytes(n_bytes + padding)  # type: ignore[arg-type]
    return bytes(data[:12] + chunk + data[12:])


_DAMAGES: dict[str, Callable[[bytearray, np.random.Generator], bytes]] = {
    "none": lambda data, rng: bytes(data),
    "cut off": lambda data, rng: bytes(data[: _place(data, rng)]),
    "cut off near the end": lambda data, rng: bytes(data[: -int(rng.integers(1, 20))]),
    "bit": lambda data, rng: _flip(data, rng, n_bits=1),
    "bits": lambda data, rng: _flip(data, rng, n_bits=10),
    "bits of the header": lambda data, rng: _flip(data, rng, n_bits=2, within=_HEADER_BYTES),
    "tag before": lambda data, rng: id3_tag(int(rng.integers(3000))) + bytes(data),
    "byte after": lambda data, rng: bytes(data) + b"\x00",
    "bytes after": lambda data, rng: bytes(data) + rng.bytes(int(rng.integers(2, 1000))),
    "bytes within": lambda data, rng: _insert(data, rng, n_bytes=int(rng.integers(1, 9))),
    "bytes missing": lambda data, rng: _remove(data, rng, n_bytes=int(rng.integers(1, 200))),
    "another size": _replace_size,
    "a chunk before": _insert_chunk,
}
