"""Groups of tracks that no computed split parts."""

from collections.abc import Iterable, Sequence

from beam_pipeline.track import Track


def join_groups(tracks: Sequence[Track], sets: Iterable[Iterable[str]]) -> tuple[Track, ...]:
    """The tracks, those of each set in one group. Where they have groups already, the groups that a set links become one.

    Args:
        tracks: In any order.
        sets: Of track ids; those that are not among the tracks play no part.
    """
    group_of = {track.track_id: track.group or track.track_id for track in tracks}
    joined: dict[str, str] = {}

    def name_of(group: str) -> str:
        while group in joined:
            group = joined[group]
        return group

    linked = set()
    for one in sets:
        present = [track_id for track_id in one if track_id in group_of]
        if len(present) > 1:
            linked |= set(present)
            name, *others = sorted({name_of(group_of[track_id]) for track_id in present})
            joined |= dict.fromkeys(others, name)
    return tuple(
        track._replace(group=name_of(group_of[track.track_id])) if track.group or track.track_id in linked else track
        for track in tracks
    )
