"""Whether the folders of a corpus are its genres, or something else that lies above them."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath

from tfrecords.errors import UsageError

# What folders are called that hold splits, without case, hyphens and underscores.
_SPLITS = frozenset(
    {
        "train",
        "training",
        "test",
        "testing",
        "valid",
        "validation",
        "val",
        "dev",
        "eval",
        "evaluation",
        "held",
        "heldout",
        "holdout",
    }
)
_SHOWN = 3


def check_shape(root: str, paths: Iterable[PurePosixPath]) -> None:
    """Refuses a folder whose folders are named as splits are, or hold the same folders each.

    Args:
        root: The folder.
        paths: Of the audio files below it, relative to it.

    Raises:
        UsageError: Saying what was seen and which option to use.
    """
    below: defaultdict[str, set[str]] = defaultdict(set)
    has_files = set()
    for path in paths:
        if len(path.parts) > 2:
            below[path.parts[0]].add(path.parts[1])
        else:
            has_files.add(path.parts[0])
    tops = sorted(below.keys() | has_files)
    common = sorted(set.intersection(*below.values())) if below and not has_files else []
    seen = f"{root} holds the folders {_shown(tops)}"
    if tops and all(top.lower().replace("-", "").replace("_", "") in _SPLITS for top in tops):
        if common:
            raise UsageError(
                f"{seen}, named as splits are, and {_shown(common)} in each: --genre-level 2 takes these for the genres and "
                "splits anew, a catalogue (--tracks) keeps the splits"
            )
        raise UsageError(
            f"{seen}, named as splits are: a catalogue (--tracks) tells each track's genre and split, --genre-level 1 takes the "
            "folders for the genres"
        )
    if len(tops) > 1 and len(common) > 1 and all(folders == set(common) for folders in below.values()):
        raise UsageError(
            f"{seen}, and {_shown(common)} in each: --genre-level 2 takes the latter for the genres, --genre-level 1 the former"
        )


def _shown(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(map(repr, names[:_SHOWN]))}{more}"
