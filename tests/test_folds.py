"""Folds of a dataset: stratified, and with nothing that belongs together on two sides."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrecords.dataset.folds import fold_of_tracks
from tfrecords.errors import UsageError


def track(number: int, genre: str, *, audio: str | None = None, group: str | None = None) -> Any:
    return {"track_id": f"{genre}.{number}", "genre": genre, "audio_blake3": audio or f"{genre}{number}", "group": group}


@given(
    st.lists(st.integers(12, 40), min_size=1, max_size=4),
    st.integers(2, 5),
    st.integers(0, 3),
    st.randoms(use_true_random=False),
)
def test_folds_hold_each_genre_alike_whatever_the_order(sizes: list[int], n_folds: int, seed: int, random: Any) -> None:
    tracks = [track(number, f"genre{label}") for label, size in enumerate(sizes) for number in range(size)]
    fold_of = fold_of_tracks(tracks, n_folds=n_folds, seed=seed)
    assert set(fold_of) == {one["track_id"] for one in tracks}
    for label, size in enumerate(sizes):
        counts = Counter(fold for track_id, fold in fold_of.items() if track_id.startswith(f"genre{label}."))
        assert {counts[fold] for fold in range(n_folds)} <= {size // n_folds, -(-size // n_folds)}
    random.shuffle(tracks)
    assert fold_of_tracks(tracks, n_folds=n_folds, seed=seed) == fold_of


@given(st.lists(st.tuples(st.integers(0, 14), st.integers(0, 14)), min_size=40, max_size=80), st.integers(0, 3))
def test_groups_and_equal_audio_stay_together(links: list[tuple[int, int]], seed: int) -> None:
    """Each track has one of few groups or none, and one of few recordings; chains of both bind, too."""
    tracks = [
        track(number, "one", audio=f"a{audio}" if audio < 5 else None, group=f"g{group}" if group < 5 else None)
        for number, (audio, group) in enumerate(links)
    ]
    singles = [track(number, "one") for number in range(1000, 1010)]
    fold_of = fold_of_tracks([*tracks, *singles], n_folds=2, seed=seed)
    for key in ("audio_blake3", "group"):
        folds: dict[str, set[int]] = {}
        for one in tracks:
            if one[key] is not None:
                folds.setdefault(one[key], set()).add(fold_of[one["track_id"]])
        assert all(len(found) == 1 for found in folds.values())


def test_another_seed_deals_other_folds() -> None:
    tracks = [track(number, "one") for number in range(40)]
    assert fold_of_tracks(tracks, n_folds=4, seed=0) != fold_of_tracks(tracks, n_folds=4, seed=1)


def test_a_genre_that_cannot_be_in_every_fold_is_refused() -> None:
    tracks = [track(number, "many") for number in range(8)] + [track(number, "few", group="all") for number in range(8)]
    with pytest.raises(UsageError, match="2 folds cannot all hold genre 'few': its tracks, or their groups, are too few"):
        fold_of_tracks(tracks, n_folds=2, seed=0)
