"""Names for the audio formats that a machine cannot decode, from a file's first bytes."""

import soundfile

# Endings that are taken out of a folder. The last line is of audio that libsndfile does not decode: it is reported by name.
AUDIO_SUFFIXES = frozenset(
    {".wav", ".wave", ".w64", ".rf64", ".au", ".snd", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".caf"}
    | {".m4a", ".mp4", ".aac", ".wma", ".ape", ".wv", ".mpc", ".mka", ".webm", ".dsf"}
)
# Where in the file, which bytes, and the format's name: formats that libsndfile does not know.
_UNKNOWN = (
    (4, b"ftyp", "MP4 or M4A (AAC or ALAC)"),
    (0, b"\xff\xf1", "AAC"),
    (0, b"\xff\xf9", "AAC"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMA"),
    (0, b"\x1a\x45\xdf\xa3", "Matroska or WebM"),
    (0, b"wvpk", "WavPack"),
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
MAGIC_BYTES = (*_UNKNOWN, *((position, magic, name) for position, magic, name, _, _ in _OPTIONAL))


def undecodable_format(data: bytes) -> str | None:
    """The name of a file's format, if this machine's libsndfile cannot decode it; None where that is not the reason."""
    for position, magic, name in _UNKNOWN:
        if data.startswith(magic, position):
            return name
    for position, magic, name, container, subtype in _OPTIONAL:
        if data.startswith(magic, position) and not _can_decode(container, subtype):
            return name
    return None


def _can_decode(container: str, subtype: str | None) -> bool:
    if container not in soundfile.available_formats():
        return False
    return subtype is None or subtype in soundfile.available_subtypes(container)
