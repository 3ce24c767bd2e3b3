"""Stratified choices of tracks: each genre alike, and never with one group on two sides.

Groups are dealt first, in the order of a hash, each to the side that lacks most of what the group holds. Then each genre's single
tracks fill up what is missing, in the order of a hash: without groups a genre is cut at one rank.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence, Set
from typing import Protocol

from tfrecords.dataset.stable_hash import stable_hash
from tfrecords.errors import UsageError


class Track(Protocol):
    """What of a track decides its side."""

    @property
    def track_id(self) -> str:
        """For instance "blues.00000"."""

    @property
    def genre(self) -> str:
        """Name of the genre."""

    @property
    def group(self) -> str | None:
        """What must lie on one side as a whole, for instance an artist."""


def choose_share(tracks: Sequence[Track], *, share: float, seed: int, purpose: str) -> set[str]:
    """Chooses a share of each genre's tracks.

    Without groups it is exactly `share`, rounded half up; at least one track of each genre and never all. With groups that each
    lie in one genre it misses that by no more than the genre's largest group. Groups across genres can make it miss by more, but
    not by more than chance would: see docs/splits.md.

    Args:
        tracks: In any order.
        share: Between 0 and 1.
        seed: Another seed chooses other tracks.
        purpose: Draws for different purposes are independent of each other.

    Returns:
        The ids of the chosen tracks. Of a genre whose tracks lie in too few groups it may hold none, or all.

    Raises:
        UsageError: If a genre has a single track.
    """
    n_tracks = Counter(track.genre for track in tracks)
    if alone := [genre for genre, n in n_tracks.items() if n < 2]:
        raise UsageError(f"genre {min(alone)!r} has one track alone to split; at least two of each genre are needed")
    wanted = {genre: min(max(int(n * share + 0.5), 1), n - 1) for genre, n in n_tracks.items()}
    groups, singles = _by_group(tracks, seed=seed, purpose=purpose)
    sizes = [_sizes(group) for group in groups]
    is_chosen = [side == 0 for side in _deal(sizes, shares=(share, 1.0 - share))]
    _complete(sizes, is_chosen, genres=sorted(wanted), with_singles=singles.keys())

    chosen = {track.track_id for group, is_in in zip(groups, is_chosen, strict=True) if is_in for track in group}
    n_chosen = _held(sizes, is_chosen, side=True)
    for genre, track_ids in singles.items():
        chosen.update(track_ids[: max(wanted[genre] - n_chosen[genre], 0)])
    return chosen


def deal_folds(tracks: Sequence[Track], *, n_folds: int, seed: int) -> dict[str, int]:
    """Deals the tracks to folds.

    Without groups the folds' sizes differ by at most one, in each genre and in all. With groups that each lie in one genre they
    differ in it by no more than the genre's largest group.

    Args:
        tracks: In any order.
        n_folds: Number of folds.
        seed: Another seed gives other folds.

    Returns:
        The fold, from 0, by track id.
    """
    groups, singles = _by_group(tracks, seed=seed, purpose="fold")
    sizes = [_sizes(group) for group in groups]
    folds = _deal(sizes, shares=(1.0 / n_folds,) * n_folds)
    fold_of = {track.track_id: fold for group, fold in zip(groups, folds, strict=True) for track in group}
    held = [_held(sizes, folds, side=fold) for fold in range(n_folds)]
    totals = [genre_counts.total() for genre_counts in held]
    for genre in sorted(singles):
        # The fold that lacks most of this genre and, of equals, most in all.
        queue = [(held[fold][genre], totals[fold], fold) for fold in range(n_folds)]
        heapq.heapify(queue)
        for track_id in singles[genre]:
            in_genre, in_all, fold = queue[0]
            heapq.heapreplace(queue, (in_genre + 1, in_all + 1, fold))
            totals[fold] += 1
            fold_of[track_id] = fold
    return fold_of


def _by_group(tracks: Sequence[Track], *, seed: int, purpose: str) -> tuple[list[list[Track]], dict[str, list[str]]]:
    """Groups of two and more tracks, and by genre the ids of single tracks; both in the order of their hashes."""
    members = defaultdict(list)
    singles = defaultdict(list)
    for track in tracks:
        if track.group is None:
            singles[track.genre].append(track.track_id)
        else:
            members[track.group].append(track)
    for group in [group for group, held in members.items() if len(held) == 1]:
        (track,) = members.pop(group)
        singles[track.genre].append(track.track_id)
    for track_ids in singles.values():
        track_ids.sort(key=lambda track_id: stable_hash(purpose, seed, track_id))
    return [members[group] for group in sorted(members, key=lambda group: stable_hash(purpose, seed, "group", group))], singles


def _sizes(group: Sequence[Track]) -> dict[str, int]:
    """How many tracks of each genre a group holds, the genres in alphabetical order."""
    return dict(sorted(Counter(track.genre for track in group).items()))


def _deal(sizes: Sequence[Mapping[str, int]], *, shares: Sequence[float]) -> list[int]:
    """Deals groups, one after the other, to the side that lacks most of what the group holds; of equals, to the smallest side.

    With d the number of tracks of one genre that one side holds beyond its share, the choice is that of the least Σ d² over sides
    and genres. A choice by lot would add (1 - Σ share²) · Σ size² to it on average, so this one adds no more.
    """
    dealt: Counter[str] = Counter()
    held: list[Counter[str]] = [Counter() for _ in shares]
    totals = [0] * len(shares)
    sides = []
    for size in sizes:
        dealt.update(size)
        ranks = (
            (-sum(n * (share * dealt[genre] - on_side[genre]) for genre, n in size.items()), total, side)
            for side, (share, on_side, total) in enumerate(zip(shares, held, totals, strict=True))
        )
        *_, side = min(ranks)
        held[side].update(size)
        totals[side] += sum(size.values())
        sides.append(side)
    return sides


def _held(sizes: Sequence[Mapping[str, int]], sides: Sequence[int], *, side: int) -> Counter[str]:
    """How many tracks of each genre the groups on one side hold."""
    held: Counter[str] = Counter()
    for size, where in zip(sizes, sides, strict=True):
        if where == side:
            held.update(size)
    return held


def _complete(
    sizes: Sequence[Mapping[str, int]], is_chosen: list[bool], *, genres: Sequence[str], with_singles: Set[str]
) -> None:
    """Moves a group to a side that would lack a genre: the smallest one whose genres all keep a track on the other side."""
    held = {side: _held(sizes, is_chosen, side=side) for side in (True, False)}
    for genre in genres:
        for side in (True, False):
            # A genre's single tracks will fill up either side.
            if held[side][genre] or genre in with_singles:
                continue
            movable = [
                index
                for index, size in enumerate(sizes)
                if genre in size and all(held[not side][other] > n or other in with_singles for other, n in size.items())
            ]
            if movable:
                index = min(movable, key=lambda index: sum(sizes[index].values()))
                is_chosen[index] = side
                held[side].update(sizes[index])
                held[not side].subtract(sizes[index])
