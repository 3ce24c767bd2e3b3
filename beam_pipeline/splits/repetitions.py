"""What is known of GTZAN: whether a corpus is it, and which of its tracks are exact repetitions of each other."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from beam_pipeline.corpora.index import Corpus
from beam_pipeline.splits.groups import join_groups
from beam_pipeline.track import Track
from tfrecords.dataset.gtzan import TRACK_IDS, is_gtzan


def read_list(name: str) -> Any:
    """The content of a file of `lists/`."""
    return json.loads(resources.files("beam_pipeline.splits").joinpath(f"lists/{name}.json").read_text(encoding="utf-8"))


@cache
def repetitions() -> tuple[tuple[str, ...], ...]:
    """GTZAN's exact repetitions: groups of track ids that hold the same recording, after Sturm (2013)."""
    return tuple(tuple(group) for group in read_list("gtzan_duplicates")["groups"])


def looks_like_gtzan(corpus: Corpus) -> bool:
    """Whether a corpus is GTZAN, or GTZAN with tracks missing.

    It is when its audio is not synthetic, its genres are GTZAN's ten, and every id is one of GTZAN's thousand.
    """
    knows_tracks = all(track.track_id in TRACK_IDS for track in corpus.tracks)
    return is_gtzan(corpus.genres, synthetic=corpus.info.synthetic, knows_tracks=knows_tracks)


def group_repetitions(tracks: Sequence[Track]) -> tuple[Track, ...]:
    """The tracks, the exact repetitions among them in one group each."""
    return join_groups(tracks, repetitions())


def repeated_in_later_split(split_of: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The tracks whose recording a split that judges them holds too.

    Yields:
        The id of a train or validation track and that of its repetition, which is a test track or, for a train track, else a
        validation track.
    """
    judged_by = {"train": ("test", "validation"), "validation": ("test",)}
    for repetition in repetitions():
        for track_id in repetition:
            for split in judged_by.get(split_of.get(track_id, ""), ()):
                others = [other for other in repetition if split_of.get(other) == split]
                if others:
                    yield track_id, others[0]
                    break
