"""Equal audio: which tracks are there twice, and what is done so that no network is tested on what it was trained on."""

from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple

from beam_pipeline.extract.extracted import Extracted
from beam_pipeline.plan import Plan
from beam_pipeline.splits.groups import join_groups
from beam_pipeline.track import DUPLICATE, Track

# A later split judges an earlier one: what it holds is not learned from.
_JUDGED_LAST = ("train", "validation", "test")


class Decisions(NamedTuple):
    """What is done with tracks.

    Attributes:
        changed: Those of which something changes, by their ids: their split and group, or that they are left out.
    """

    changed: dict[str, Track]

    def settle(self, track: Track) -> Track:
        """A track as it goes into the dataset."""
        return self.changed.get(track.track_id, track)


def audio_of(extracted: Extracted) -> Iterator[tuple[str, Track]]:
    """Yields a track that can be used, by the digest of its audio."""
    if extracted.refusal is None:
        yield extracted.audio_blake3, extracted.track


def repeated(audio: tuple[str, Iterable[Track]]) -> Iterator[list[Track]]:
    """Yields the tracks that share a digest, in the order of their ids, if they are several."""
    tracks = sorted(audio[1], key=attrgetter("track_id"))
    if len(tracks) > 1:
        yield tracks


def decide(sets: Sequence[Sequence[Track]], tracks: Iterable[Track], *, plan: Plan) -> Decisions:
    """Decides what is done with tracks of equal audio.

    With "drop" the first of each set is kept. With "group" they are one group, which no computed split parts; splits that were
    given stay, and what repeats a track of a split that judges it is left out. With "fail" nothing is done: the run ends.

    Where something is left out or grouped, the splits are computed anew, so that each genre is still split alike.

    Args:
        sets: The tracks of each set.
        tracks: All tracks that have a split.
        plan: Says what is wanted, and what the splits follow from.

    Raises:
        UsageError: If a split would lack a genre.
    """
    left_out = dict(_left_out(sets, plan))
    if not sets or plan.duplicates == "fail":
        return Decisions({})
    if plan.computed_split is None:
        return Decisions(left_out)
    before = [track for track in tracks if track.track_id not in left_out]
    grouped = join_groups(before, ([track.track_id for track in one] for one in sets)) if plan.duplicates == "group" else before
    split_of = plan.computed_split.split_of(grouped)
    after = [track._replace(split=split_of[track.track_id]) for track in grouped]
    moved = {new.track_id: new for old, new in zip(before, after, strict=True) if new != old}
    return Decisions(moved | left_out)


def _left_out(sets: Iterable[Sequence[Track]], plan: Plan) -> Iterator[tuple[str, Track]]:
    """Yields the tracks that are left out, by their ids."""
    is_given = plan.computed_split is None
    for tracks in sets if is_given or plan.duplicates == "drop" else ():
        kept = min(tracks, key=lambda track: (-_JUDGED_LAST.index(track.split or "") if is_given else 0, track.track_id))
        for track in tracks:
            if plan.duplicates == "drop" and track is not kept:
                reason = f"repeats {kept.track_id!r} exactly"
            elif track.split != kept.split and plan.duplicates == "group":
                reason = f"repeats {kept.track_id!r} of the {kept.split} split exactly"
            else:
                continue
            yield track.track_id, track._replace(split=None, left_out=reason, left_out_kind=DUPLICATE)


def pairs_of(tracks: Sequence[Track], decisions: Decisions) -> Iterator[tuple[Track, Track]]:
    """Yields each track of a set, as it goes into the dataset or is left out, with the first of them that is used."""
    settled = [decisions.settle(track) for track in tracks]
    first = next(track for track in settled if track.split is not None)
    yield from ((track, first) for track in settled if track is not first)
