"""Corpora for tests of the splits: lists of tracks without files."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from hypothesis import strategies as st

from beam_pipeline.corpora.index import Corpus
from beam_pipeline.splits.schemes import SplitAssignment
from beam_pipeline.track import Track
from tfrecords.dataset.corpus import CorpusInfo

GTZAN_GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")


def tracks_of(counts: Mapping[str, int]) -> list[Track]:
    return [
        Track(track_id=f"{genre}.{number:05d}", path=f"{genre}/{genre}.{number:05d}.wav", genre=genre)
        for genre, count in counts.items()
        for number in range(count)
    ]


GTZAN = tracks_of(dict.fromkeys(GTZAN_GENRES, 100))


def corpus_of(tracks: Iterable[Track], *, synthetic: bool = False, given_splits: Mapping[str, str] | None = None) -> Corpus:
    tracks = tuple(sorted(tracks, key=lambda track: track.track_id))
    return Corpus(
        root="corpus",
        info=CorpusInfo(name="corpus", synthetic=synthetic),
        tracks=tracks,
        genres=tuple(sorted({track.genre for track in tracks})),
        given_splits=given_splits,
    )


def grouped(genres_and_groups: Iterable[tuple[str, str | None]]) -> list[Track]:
    return [
        Track(track_id=f"{genre}.{number:05d}", path=f"{number}.wav", genre=genre, group=group)
        for number, (genre, group) in enumerate(genres_and_groups)
    ]


def without_doubles(tracks: list[Track]) -> list[Track]:
    """Those of genres that have two and more tracks."""
    counts: defaultdict[str, int] = defaultdict(int)
    for track in tracks:
        counts[track.genre] += 1
    return [track for track in tracks if counts[track.genre] > 1]


# Without groups, with groups that each lie in one genre, and with groups across genres.
ungrouped_tracks = st.dictionaries(st.sampled_from("abcdefg"), st.integers(2, 40), min_size=1).map(tracks_of)
_genres = st.sampled_from("abcd")
_numbers = st.one_of(st.none(), st.integers(0, 8))
_pairs = st.lists(st.tuples(_genres, _numbers), min_size=2, max_size=150)
pure_group_tracks = _pairs.map(
    lambda pairs: without_doubles(grouped((genre, None if n is None else f"{genre}{n}") for genre, n in pairs))
).filter(bool)
mixed_group_tracks = _pairs.map(
    lambda pairs: without_doubles(grouped((genre, None if n is None else str(n)) for genre, n in pairs))
).filter(bool)
any_tracks = st.one_of(ungrouped_tracks, pure_group_tracks, mixed_group_tracks)


def straddling(assignment: SplitAssignment) -> list[str]:
    """Groups that lie in more than one split."""
    splits = defaultdict(set)
    for track in assignment.tracks:
        if track.group is not None:
            splits[track.group].add(assignment.split_of[track.track_id])
    return [group for group, where in splits.items() if len(where) > 1]
