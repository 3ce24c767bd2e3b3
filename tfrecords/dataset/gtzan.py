"""What GTZAN is made of: its genres, in the order of their labels, and the ids of its thousand tracks."""

from collections.abc import Sequence

GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
TRACK_IDS = frozenset(f"{genre}.{number:05d}" for genre in GENRES for number in range(100))


def is_gtzan(genres: Sequence[str], *, synthetic: bool, knows_tracks: bool) -> bool:
    """Whether a corpus is GTZAN, or GTZAN with tracks missing.

    Args:
        genres: Of the corpus, in alphabetical order.
        synthetic: Whether its audio was generated.
        knows_tracks: Whether every track's id is one of TRACK_IDS.
    """
    return not synthetic and tuple(genres) == GENRES and knows_tracks
