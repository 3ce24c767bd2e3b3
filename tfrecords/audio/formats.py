"""Which decoder reads an audio file, and names for the formats that a machine cannot decode, from a file's first bytes."""

from functools import cache
from importlib.util import find_spec

import soundfile

# Endings that are taken out of a folder. The second line is of audio that PyAV decodes, the last of what is reported by name.
AUDIO_SUFFIXES = frozenset(
    {".wav", ".wave", ".w64", ".rf64", ".au", ".snd", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".caf"}
    | {".m4a", ".mp4", ".aac", ".mka", ".webm", ".wma", ".wv"}
    | {".ape", ".mpc", ".dsf"}
)
# Enough of a file for all that follows.
HEAD_BYTES = 64
# Where in the file, which bytes, the format's name, and FFmpeg's demuxer: formats that PyAV decodes.
_WITH_PYAV = (
    (4, b"ftyp", "MP4 or M4A (AAC or ALAC)", "mov"),
    *((0, b"\xff" + bytes([second]), "AAC", "aac") for second in (0xF0, 0xF1, 0xF8, 0xF9)),
    (0, b"\x1a\x45\xdf\xa3", "Matroska or WebM", "matroska"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMA", "asf"),
    (0, b"wvpk", "WavPack", "wv"),
)
# Likewise formats that neither decodes.
_UNKNOWN = (
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"MPCK", "Musepack"),
    (0, b"MP+", "Musepack"),
    (0, b"#!AMR", "AMR"),
    (0, b"DSD ", "DSD"),
)
# Formats that some builds of libsndfile lack: also libsndfile's container, and its subtype where the container has several.
_OPTIONAL = (
    (0, b"fLaC", "FLAC", "FLAC", None),
    (28, b"OpusHead", "Opus", "OGG", "OPUS"),
    (28, b"\x01vorbis", "Ogg Vorbis", "OGG", "VORBIS"),
    (0, b"ID3", "MP3", "MP3", None),
    (0, b"\xff\xfb", "MP3", "MP3", None),
    (0, b"\xff\xf3", "MP3", "MP3", None),
    (0, b"\xff\xf2", "MP3", "MP3", None),
)


# Where in the file, which bytes, and the format's name: of all formats above.
MAGIC_BYTES: tuple[tuple[int, bytes, str], ...] = (
    *((position, magic, name) for position, magic, name, _ in _WITH_PYAV),
    *_UNKNOWN,
    *((position, magic, name) for position, magic, name, _, _ in _OPTIONAL),
)


def demuxer_of(head: bytes) -> str | None:
    """FFmpeg's demuxer for a file that begins with `head`, where PyAV decodes that and is installed; None for all others."""
    if not has_pyav():
        return None
    return next((demuxer for position, magic, _, demuxer in _WITH_PYAV if head.startswith(magic, position)), None)


def undecodable_format(head: bytes) -> tuple[str, str] | None:
    """The name of a file's format by its first bytes, and what should decode it; None if that is not why it does not decode."""
    libsndfile = f"libsndfile {soundfile.__libsndfile_version__}"
    for position, magic, name, _ in _WITH_PYAV:
        if head.startswith(magic, position):
            return name, "it needs PyAV: pip install av"
    for position, magic, name in _UNKNOWN:
        if head.startswith(magic, position):
            return name, libsndfile
    for position, magic, name, container, subtype in _OPTIONAL:
        if head.startswith(magic, position) and not _can_decode(container, subtype):
            return name, libsndfile
    return None


@cache
def has_pyav() -> bool:
    """Whether PyAV is installed."""
    return find_spec("av") is not None


def _can_decode(container: str, subtype: str | None) -> bool:
    if container not in soundfile.available_formats():
        return False
    return subtype is None or subtype in soundfile.available_subtypes(container)
