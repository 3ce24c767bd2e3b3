"""Leaks: what lies in two splits, though a network must not be tested on what it was trained on."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tfrecords.dataset.manifest import DatasetError
from tfrecords.dataset.tracks import read_tracks
from tfrecords.errors import quoted
from tfrecords.places import Place

_SHOWN = 3


class LeakFinder:
    """Finds leaks among tracks that it is shown one by one."""

    def __init__(self) -> None:
        # Each with the track and the split that it was seen in first.
        self._tracks: dict[str, str] = {}
        self._audio: dict[str, tuple[str, str]] = {}
        self._groups: dict[str, tuple[str, str]] = {}
        # What was seen in a second split: the audio with its first track there, the groups with all of their further splits.
        self._audio_elsewhere: dict[str, tuple[str, str]] = {}
        self._told_groups: set[tuple[str, str]] = set()

    def leaks_of(self, track: Mapping[str, Any]) -> Iterator[str]:
        """Yields a sentence for each leak between this track and those shown before.

        Args:
            track: A line of `tracks.jsonl`: `track_id`, `split`, `audio_blake3` and, where there is one, `group`.
        """
        track_id, split, audio, group = track["track_id"], track["split"], track["audio_blake3"], track.get("group")
        first_split = self._tracks.setdefault(track_id, split)
        if first_split != split:
            yield f"track {quoted(track_id)} lies in two splits, {_named(first_split)} and {_named(split)}"
        twin_id, twin_split = self._audio.setdefault(audio, (track_id, split))
        if twin_split != split:
            self._audio_elsewhere.setdefault(audio, (track_id, split))
        else:
            twin_id, twin_split = self._audio_elsewhere.get(audio, (track_id, split))
        if twin_split != split and twin_id != track_id:
            yield f"tracks {_described(twin_id, twin_split)} and {_described(track_id, split)} hold the same audio"
        if group is None:
            return
        mate_id, mate_split = self._groups.setdefault(group, (track_id, split))
        if mate_split != split and (group, split) not in self._told_groups:
            self._told_groups.add((group, split))
            mates = f"{_described(mate_id, mate_split)} and {_described(track_id, split)}"
            yield f"group {quoted(group)} lies in two splits: its tracks {mates}"


def _named(split: str) -> str:
    return split if split.isidentifier() else quoted(split)


def _described(track_id: str, split: str) -> str:
    return f"{quoted(track_id)} ({_named(split)})"


def find_leaks(tracks: Iterable[Mapping[str, Any]]) -> list[str]:
    """Finds tracks, audio and groups that lie in two splits; in time linear in the number of tracks.

    Args:
        tracks: Lines of `tracks.jsonl`: `track_id`, `split`, `audio_blake3` and, where there is one, `group`.

    Returns:
        A sentence for each track that lies in a second split, for each that holds the audio of a track in another split, and
        for each further split that a group lies in; in the order of the tracks. Empty where nothing leaks.
    """
    finder = LeakFinder()
    return [leak for track in tracks for leak in finder.leaks_of(track)]


def refuse_leaks(folder: Place) -> None:
    """Refuses a dataset whose splits share tracks, audio or groups.

    Raises:
        DatasetError: Naming the first leaks and their number; or if the list of tracks cannot be read.
    """
    leaks = find_leaks(read_tracks(folder))
    if leaks:
        raise DatasetError(f"the splits of {folder} leak: {first_leaks(leaks)}")


def first_leaks(leaks: Sequence[str]) -> str:
    """The first leaks and their number, for one line."""
    more = f"; and {len(leaks) - _SHOWN} more, {len(leaks)} in all" if len(leaks) > _SHOWN else ""
    return f"{'; '.join(leaks[:_SHOWN])}{more}"
