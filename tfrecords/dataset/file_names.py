"""Names of a dataset's files: those of one dataset are no other's, and tell what may be replaced."""

import re

from tfrecords.dataset.manifest import DERIVED_FILES, DUPLICATES_FILE, MANIFEST_FILE, REJECTED_FILE

_DIGITS = 8
_OWN_NAME = re.compile(r"[a-z]+-[0-9a-f]{8}-\d{5,}-of-\d{5,}\.tfrecord|tracks-[0-9a-f]{8}\.jsonl")
# What is written before it has its name.
_WRITTEN = "|".join(map(re.escape, (MANIFEST_FILE, REJECTED_FILE, DUPLICATES_FILE, *DERIVED_FILES)))
_HALF = re.compile(rf"\.({_WRITTEN}|tracks-[0-9a-f]{{8}}\.jsonl)\.[0-9a-f]{{32}}")
_FIXED_NAME = re.compile(r"[a-z]+-\d{5,}-of-\d{5,}\.tfrecord|tracks\.jsonl")


def shard_file(key: str, content: str) -> str:
    """Name of a shard: that of one dataset is no other's.

    Args:
        key: For instance "train-00000-of-00005".
        content: Digest of all that the dataset holds, in hexadecimal.
    """
    split, _, place = key.partition("-")
    return f"{split}-{content[:_DIGITS]}-{place}.tfrecord"


def tracks_file(content: str) -> str:
    """Name of the list of tracks, likewise."""
    return f"tracks-{content[:_DIGITS]}.jsonl"


def may_be_left(name: str) -> bool:
    """Whether a file's name tells that a run left it which was cut off while its dataset took another's place."""
    return _OWN_NAME.fullmatch(name) is not None or _HALF.fullmatch(name) is not None


def may_be_replaced(name: str) -> bool:
    """Whether a file's name may be one of a dataset's, also of one of format version 2, or of the half of such a file."""
    return may_be_left(name) or _FIXED_NAME.fullmatch(name) is not None
