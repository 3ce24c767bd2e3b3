"""Splits of GTZAN that others published, as lists of its tracks."""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from functools import partial

from beam_pipeline.corpora.index import Corpus
from beam_pipeline.splits.repetitions import read_list
from tfrecords.dataset.gtzan import GENRES, TRACK_IDS
from tfrecords.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class SplitList:
    """A published split.

    Attributes:
        split_of: The split by track id.
        group_of: The artist by track id where the list names artists; else empty.
        unlisted: What is said of a track of GTZAN that the list leaves out.
    """

    split_of: Mapping[str, str]
    group_of: Mapping[str, str] = field(default_factory=dict)
    unlisted: str = ""


def _herbert() -> SplitList:
    test = set(read_list("herbert")["test"])
    return SplitList(split_of={track_id: "test" if track_id in test else "train" for track_id in TRACK_IDS})


def _fault_filtered() -> SplitList:
    content = read_list("fault-filtered")
    split_of = {track_id: split for split in ("train", "validation", "test") for track_id in content[split]}
    return SplitList(split_of=split_of, unlisted=content["unlisted"])


def _artist(number: int) -> SplitList:
    content = read_list("artist")
    split_of: dict[str, str] = {}
    group_of: dict[str, str] = {}
    for fold, artists in enumerate(content["folds"], start=1):
        for artist, track_ids in artists.items():
            split_of |= dict.fromkeys(track_ids, "test" if fold == number else "train")
            group_of |= dict.fromkeys(track_ids, artist)
    return SplitList(split_of=split_of, group_of=group_of, unlisted=content["unlisted"])


_LISTS: dict[str, Callable[[], SplitList]] = {
    "herbert": _herbert,
    "fault-filtered": _fault_filtered,
    **{f"artist-{number}": partial(_artist, number) for number in (1, 2, 3)},
}
LISTED_SCHEMES = tuple(_LISTS)


def split_list(scheme: str) -> SplitList:
    """The list of a scheme, which is one of LISTED_SCHEMES."""
    return _LISTS[scheme]()


def check_listed(corpus: Corpus, scheme: str, split_of: Mapping[str, str]) -> tuple[str, ...]:
    """Holds a list against a corpus.

    Returns:
        A line for the user if train tracks of the list are missing, else nothing.

    Raises:
        UsageError: If a genre is not GTZAN's, or one of the list's validation or test tracks is missing.
    """
    present = {track.track_id for track in corpus.tracks}
    for split in ("test", "validation"):
        listed, missing = _listed_and_missing(split_of, split, present)
        if missing:
            raise UsageError(
                f"split {scheme!r} is a list of GTZAN's tracks, and {len(missing)} of its {len(listed)} {split} tracks are not "
                f"here (for instance {min(missing)!r}); use --split stratified for another corpus"
            )
    if others := set(corpus.genres) - set(GENRES):
        raise UsageError(f"split {scheme!r} knows GTZAN's ten genres alone, not {min(others)!r}; use --split stratified")
    listed, missing = _listed_and_missing(split_of, "train", present)
    if missing:
        return (
            f"{len(missing)} of the {len(listed)} train tracks of split {scheme!r} are not here, for instance {min(missing)!r}",
        )
    return ()


def _listed_and_missing(split_of: Mapping[str, str], split: str, present: Set[str]) -> tuple[set[str], set[str]]:
    listed = {track_id for track_id, where in split_of.items() if where == split}
    return listed, listed - present
