"""Which split a track belongs to, decided before anything is cut: chunks of one track never lie in two splits."""

import json
from collections import defaultdict
from collections.abc import Sequence
from importlib import resources
from typing import Literal

from beam_pipeline.index import Track
from tfrecords.errors import UsageError
from tfrecords.stable_hash import stable_hash

SplitScheme = Literal["stratified", "herbert"]


def stratified_split(tracks: Sequence[Track], *, seed: int, test_fraction: float) -> dict[str, str]:
    """Splits each genre alike: those of its tracks that rank first by a hash of (seed, track id) are the test tracks.

    Args:
        tracks: All tracks, in any order.
        seed: Another seed gives another split.
        test_fraction: Share of each genre's tracks, rounded half up; at least one track and never all.

    Returns:
        "train" or "test" by track id.

    Raises:
        UsageError: If a genre has a single track, or `test_fraction` does not lie between 0 and 1.
    """
    if not 0 < test_fraction < 1:
        raise UsageError(f"the test fraction must lie between 0 and 1, got {test_fraction}")
    by_genre = defaultdict(list)
    for track in tracks:
        by_genre[track.genre].append(track.track_id)
    split_of: dict[str, str] = {}
    for genre, track_ids in by_genre.items():
        if len(track_ids) < 2:
            raise UsageError(f"genre {genre!r} has one track alone: a stratified split needs at least two tracks a genre")
        n_test = min(max(int(len(track_ids) * test_fraction + 0.5), 1), len(track_ids) - 1)
        ranked = sorted(track_ids, key=lambda track_id: stable_hash("split", seed, track_id))
        split_of |= {track_id: "test" if rank < n_test else "train" for rank, track_id in enumerate(ranked)}
    return split_of


def herbert_split(tracks: Sequence[Track]) -> dict[str, str]:
    """The paper's own split of GTZAN: 250 listed test tracks, 25 a genre.

    Raises:
        UsageError: If the corpus is not GTZAN, or lacks one of the test tracks.
    """
    text = resources.files("beam_pipeline").joinpath("split_lists/herbert.json").read_text(encoding="utf-8")
    test = set(json.loads(text)["test"])
    present = {track.track_id for track in tracks}
    if missing := test - present:
        raise UsageError(
            f"split 'herbert' is a list of GTZAN's tracks, and {len(missing)} of its {len(test)} test tracks are not here "
            f"(for instance {min(missing)!r}); use --split stratified for another corpus"
        )
    listed_genres = {track_id.split(".")[0] for track_id in test}
    if others := {track.genre for track in tracks} - listed_genres:
        raise UsageError(f"split 'herbert' knows GTZAN's ten genres alone, not {min(others)!r}; use --split stratified")
    return {track_id: "test" if track_id in test else "train" for track_id in present}


def assign_splits(tracks: Sequence[Track], *, scheme: SplitScheme, seed: int, test_fraction: float) -> dict[str, str]:
    """The split of every track by the named scheme; see `stratified_split` and `herbert_split`."""
    if scheme == "herbert":
        return herbert_split(tracks)
    return stratified_split(tracks, seed=seed, test_fraction=test_fraction)
