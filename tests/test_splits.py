"""Computed splits: what is asked for, each genre alike, no group on two sides, and the same in any order."""

import hashlib
import json
from collections import Counter, defaultdict
from math import sqrt
from random import Random

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from beam_pipeline.splits.schemes import assign_splits, check_scheme
from beam_pipeline.track import Track
from tests.corpora import (
    GTZAN,
    GTZAN_GENRES,
    any_tracks,
    corpus_of,
    grouped,
    mixed_group_tracks,
    pure_group_tracks,
    straddling,
    tracks_of,
    ungrouped_tracks,
)
from tfrecords.dataset.stable_hash import stable_hash
from tfrecords.dataset.stratification import choose_share, deal_folds
from tfrecords.errors import UsageError

fractions = st.floats(0.01, 0.99)


def group_sizes(tracks: list[Track]) -> dict[str, Counter[str]]:
    """By genre and group the number of tracks."""
    sizes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for track in tracks:
        if track.group is not None:
            sizes[track.genre][track.group] += 1
    return sizes


@given(ungrouped_tracks, st.integers(), fractions)
def test_without_groups_each_genre_is_cut_at_one_rank(tracks: list[Track], seed: int, fraction: float) -> None:
    chosen = choose_share(tracks, share=fraction, seed=seed, purpose="split")
    for genre, count in Counter(track.genre for track in tracks).items():
        ranked = sorted(
            (track.track_id for track in tracks if track.genre == genre),
            key=lambda track_id: stable_hash("split", seed, track_id),
        )
        n_chosen = min(max(int(count * fraction + 0.5), 1), count - 1)
        assert [track_id in chosen for track_id in ranked] == [True] * n_chosen + [False] * (count - n_chosen)


def test_datasets_that_were_published_keep_their_split() -> None:
    tracks = tracks_of({"cats": 40, "dogs": 7, "emus": 2})
    for seed, fraction, digest in (
        (0, 0.25, "bb703a9f5dd876627cc0fefa244427a94d4bec8add6b56af4550a109c78eb3be"),
        (3, 0.4, "64d6b7a4f9c2fd9082a9c627afa1fa447309d2b65b6343c0c570ed057d2b7d34"),
    ):
        assignment = assign_splits(corpus_of(tracks), scheme=None, seed=seed, test_fraction=fraction)
        assert assignment.scheme == "stratified"
        assert hashlib.sha256(json.dumps(sorted(assignment.split_of.items())).encode()).hexdigest() == digest


@given(pure_group_tracks, st.integers(), fractions)
def test_groups_within_genres_miss_the_share_by_a_group_at_most(tracks: list[Track], seed: int, fraction: float) -> None:
    chosen = choose_share(tracks, share=fraction, seed=seed, purpose="split")
    sizes = group_sizes(tracks)
    for genre, count in Counter(track.genre for track in tracks).items():
        n_chosen = sum(track.genre == genre for track in tracks if track.track_id in chosen)
        wanted = min(max(int(count * fraction + 0.5), 1), count - 1)
        largest = max(sizes[genre].values(), default=1)
        assert abs(n_chosen - wanted) <= (largest if largest > 1 else 0)
        if len(sizes[genre]) + sum(track.group is None for track in tracks if track.genre == genre) > 1:
            assert 0 < n_chosen < count


@given(mixed_group_tracks, st.integers(), fractions)
def test_groups_across_genres_miss_the_share_by_no_more_than_chance(tracks: list[Track], seed: int, fraction: float) -> None:
    chosen = choose_share(tracks, share=fraction, seed=seed, purpose="split")
    groups = [Counter(t.genre for t in tracks if t.group == group) for group in {track.group for track in tracks} - {None}]
    groups = [group for group in groups if group.total() > 1]
    squares = sum(n**2 for group in groups for n in group.values())
    n_tracks = Counter(track.genre for track in tracks)
    # A genre without single tracks may have had a group moved, so that it is on both sides.
    moving = [genre for genre, n in n_tracks.items() if sum(group[genre] for group in groups) == n]
    for genre, n in n_tracks.items():
        n_chosen = sum(track.genre == genre for track in tracks if track.track_id in chosen)
        moved = sum(max(group[genre] for group in groups if group[other]) for other in moving)
        assert abs(n_chosen - n * fraction) <= 1 + sqrt(fraction * (1 - fraction) * squares) + moved


@given(any_tracks, st.integers(), fractions, st.integers(2, 6), st.randoms(use_true_random=False))
def test_no_group_is_parted_and_the_order_plays_no_part(
    tracks: list[Track], seed: int, fraction: float, n_folds: int, random: Random
) -> None:
    shuffled = random.sample(tracks, len(tracks))
    chosen = choose_share(tracks, share=fraction, seed=seed, purpose="split")
    fold_of = deal_folds(tracks, n_folds=n_folds, seed=seed)
    assert choose_share(shuffled, share=fraction, seed=seed, purpose="split") == chosen
    assert deal_folds(shuffled, n_folds=n_folds, seed=seed) == fold_of
    assert fold_of.keys() == {track.track_id for track in tracks} >= chosen
    for group in {track.group for track in tracks} - {None}:
        members = [track.track_id for track in tracks if track.group == group]
        assert len({track_id in chosen for track_id in members}) == 1
        assert len({fold_of[track_id] for track_id in members}) == 1


@given(st.one_of(ungrouped_tracks, pure_group_tracks), st.integers(), st.integers(2, 6))
def test_folds_are_equal_to_a_track_or_a_group(tracks: list[Track], seed: int, n_folds: int) -> None:
    fold_of = deal_folds(tracks, n_folds=n_folds, seed=seed)
    largest = {genre: max(groups.values()) for genre, groups in group_sizes(tracks).items()}
    for genre in {track.genre for track in tracks}:
        sizes = [0] * n_folds
        for track in tracks:
            sizes[fold_of[track.track_id]] += track.genre == genre
        assert max(sizes) - min(sizes) <= largest.get(genre, 1)
    if not largest:
        totals = Counter(fold_of.values())
        assert max(totals[fold] for fold in range(n_folds)) - min(totals[fold] for fold in range(n_folds)) <= 1


def test_the_test_splits_of_all_folds_are_the_corpus() -> None:
    tracks = grouped([("ab"[number % 2], f"g{number % 11}" if number % 3 else None) for number in range(90)])
    assignments = [
        assign_splits(corpus_of(tracks), scheme=f"kfold-{number}/4", seed=7, test_fraction=0.25) for number in (1, 2, 3, 4)
    ]
    tested = [track_id for assignment in assignments for track_id, split in assignment.split_of.items() if split == "test"]
    assert sorted(tested) == sorted(track.track_id for track in tracks)
    assert not any(straddling(assignment) for assignment in assignments)
    assert [assignment.splits for assignment in assignments] == [("train", "test")] * 4


@given(any_tracks, st.integers(), st.floats(0.05, 0.6))
def test_validation_is_taken_from_train_alone(tracks: list[Track], seed: int, fraction: float) -> None:
    corpus = corpus_of(tracks)
    try:
        without = assign_splits(corpus, scheme=None, seed=seed, test_fraction=0.3)
        assignment = assign_splits(corpus, scheme=None, seed=seed, test_fraction=0.3, validation_fraction=fraction)
    except UsageError:
        reject()  # a genre has too few tracks or groups for three splits
    assert assignment.splits == ("train", "validation", "test")
    assert not straddling(assignment)
    assert assignment.left_out == {}
    for track_id, split in without.split_of.items():
        assert assignment.split_of[track_id] in (("test",) if split == "test" else ("train", "validation"))
    present = {(track.genre, assignment.split_of[track.track_id]) for track in tracks}
    assert present == {(genre, split) for genre in corpus.genres for split in assignment.splits}


def test_shares_of_gtzan_sized_genres() -> None:
    tracks = tracks_of(dict.fromkeys("abc", 100))
    assignment = assign_splits(corpus_of(tracks), scheme=None, seed=0, test_fraction=0.25, validation_fraction=0.2)
    assert Counter((track.genre, assignment.split_of[track.track_id]) for track in tracks) == Counter(
        {(genre, split): n for genre in "abc" for split, n in (("train", 60), ("validation", 15), ("test", 25))}
    )
    other = assign_splits(corpus_of(tracks), scheme=None, seed=1, test_fraction=0.25, validation_fraction=0.2)
    assert other.split_of != assignment.split_of


def test_a_draw_for_validation_does_not_continue_that_for_test() -> None:
    tracks = tracks_of({"a": 400, "b": 400})
    test = choose_share(tracks, share=0.5, seed=0, purpose="split")
    validation = choose_share(tracks, share=0.5, seed=0, purpose="validation")
    # 400 expected where the draws are independent, standard deviation 10 in each half.
    assert 150 < len(test & validation) < 250


def test_a_genre_in_two_groups_is_tested_and_trained_on() -> None:
    """The greedy deal alone would give train both: the larger, later one takes nothing to a side that lacks a third of it."""
    for seed in range(20):
        tracks = grouped([("a", "large")] * 10 + [("a", "small")] * 2 + [("b", None)] * 8)
        assignment = assign_splits(corpus_of(tracks), scheme=None, seed=seed, test_fraction=0.2)
        tested = {track.group for track in tracks if track.genre == "a" and assignment.split_of[track.track_id] == "test"}
        assert tested == {"small"}


@pytest.mark.parametrize(
    ("tracks", "options", "message"),
    [
        (tracks_of({"a": 3, "b": 1}), {}, "genre 'b' has one track alone to split"),
        (tracks_of({"a": 9, "b": 2}), {"validation_fraction": 0.5}, "genre 'b' has one track alone to split"),
        (grouped([("a", "x")] * 4 + [("b", None)] * 4), {}, "puts no track of genre 'a' into test: .* too few groups"),
        (tracks_of({"a": 9, "b": 3}), {"scheme": "kfold-1/4"}, "3 of 4 folds hold genre 'b'"),
        (
            grouped([("a", f"g{n % 2}") for n in range(9)] + [("b", None)] * 4),
            {"scheme": "kfold-3/3"},
            "2 of 3 folds hold genre 'a'",
        ),
        (GTZAN, {"test_fraction": 0.0}, "must lie between 0 and 1"),
        (GTZAN, {"test_fraction": 1.0}, "must lie between 0 and 1"),
        (GTZAN, {"test_fraction": -0.5}, "must lie between 0 and 1"),
        (GTZAN, {"test_fraction": float("nan")}, "must lie between 0 and 1"),
        (GTZAN, {"validation_fraction": 1.0}, "at least 0 and below 1"),
        (GTZAN, {"validation_fraction": float("nan")}, "at least 0 and below 1"),
        (GTZAN, {"scheme": "fault-filtered", "validation_fraction": 0.1}, "has a validation split of its own"),
        (GTZAN, {"scheme": "kfold-0/4"}, "expected a split of stratified"),
    ],
)
def test_what_cannot_be_split(tracks: list[Track], options: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"scheme": None, "seed": 0, "test_fraction": 0.25} | options
    with pytest.raises(UsageError, match=message) as caught:
        assign_splits(corpus_of(tracks), **arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "scheme", ["stratified", "herbert", "fault-filtered", "artist-1", "artist-3", "kfold-1/2", "kfold-10/10"]
)
def test_names_of_schemes(scheme: str) -> None:
    assert check_scheme(scheme) == scheme


@pytest.mark.parametrize(
    "scheme",
    [
        "",
        "Stratified",
        "artist-0",
        "artist-4",
        "kfold",
        "kfold-1",
        "kfold-0/4",
        "kfold-5/4",
        "kfold-1/1",
        "kfold-01/4",
        "catalogue",
    ],
)
def test_names_that_are_no_schemes(scheme: str) -> None:
    with pytest.raises(UsageError, match="expected"):
        check_scheme(scheme)


def test_the_demo_genres_are_not_gtzan() -> None:
    """A synthetic corpus may have GTZAN's genres and file names; what is known of GTZAN's audio is not true of it."""
    tracks = tracks_of(dict.fromkeys(GTZAN_GENRES, 10))
    synthetic = assign_splits(corpus_of(tracks, synthetic=True), scheme=None, seed=0, test_fraction=0.25)
    assert {track.group for track in synthetic.tracks} == {None}
    assert synthetic.notes == ()
