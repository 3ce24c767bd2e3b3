"""Stratified cross-validation: which fold each track of a dataset is tested in, whatever split the dataset was made with."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tfrecords.dataset.stratification import deal_folds
from tfrecords.dataset.tracks import TrackLine
from tfrecords.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class _Track:
    track_id: str
    genre: str
    group: str | None


def fold_of_tracks(tracks: Iterable[TrackLine], *, n_folds: int, seed: int) -> dict[str, int]:
    """Deals a dataset's tracks to folds, each genre alike; tracks of one group, or with the same audio, to the same fold.

    Args:
        tracks: Of all splits of the dataset.
        n_folds: Number of folds.
        seed: Another seed deals other folds.

    Returns:
        The fold, from 0, by track id.

    Raises:
        UsageError: If a genre would be missing in a fold.
    """
    joined = _joined(list(tracks))
    fold_of = deal_folds(joined, n_folds=n_folds, seed=seed)
    held = Counter((fold_of[track.track_id], track.genre) for track in joined)
    genres = sorted({track.genre for track in joined})
    if missing := [genre for genre in genres if any(not held[fold, genre] for fold in range(n_folds))]:
        raise UsageError(f"{n_folds} folds cannot all hold genre {missing[0]!r}: its tracks, or their groups, are too few")
    return fold_of


def _joined(tracks: list[TrackLine]) -> list[_Track]:
    """The tracks, with a common group for those that a group or the same audio links, also over others."""
    leader: dict[tuple[str, str], tuple[str, str]] = {}

    def find(key: tuple[str, str]) -> tuple[str, str]:
        while leader.setdefault(key, key) != key:
            key = leader[key]
        return key

    for track in tracks:
        links = [("audio", track["audio_blake3"]), *([("group", group)] if (group := track.get("group")) is not None else [])]
        first, *others = sorted({find(link) for link in links})
        leader |= dict.fromkeys(others, first)
    # Groups of one track are no groups to `deal_folds`: each genre's single tracks are dealt evenly.
    return [
        _Track(track_id=track["track_id"], genre=track["genre"], group=" ".join(find(("audio", track["audio_blake3"]))))
        for track in tracks
    ]
