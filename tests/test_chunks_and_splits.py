"""Properties of the draws: chunks, splits, and the hash behind both."""

import hashlib
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_pipeline.chunks import TooShortError, draw_chunks
from beam_pipeline.index import Track
from beam_pipeline.plan import Plan
from beam_pipeline.splits import assign_splits, herbert_split, stratified_split
from tfrecords.errors import UsageError
from tfrecords.log_mel_spec import PRESETS
from tfrecords.stable_hash import stable_hash

SPEC = PRESETS["paper"]
GTZAN_GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")


def tracks_of(counts: dict[str, int]) -> list[Track]:
    return [
        Track(track_id=f"{genre}.{number:05d}", path=f"{genre}/{genre}.{number:05d}.wav", genre=genre)
        for genre, count in counts.items()
        for number in range(count)
    ]


GTZAN = tracks_of(dict.fromkeys(GTZAN_GENRES, 100))
corpora = st.dictionaries(st.sampled_from("abcdefg"), st.integers(2, 40), min_size=1).map(tracks_of)


@given(
    n_samples=st.integers(164033, 900_000),
    n_chunks=st.integers(1, 15),
    seed=st.integers(-5, 2**70),
    track_id=st.text(max_size=20),
)
def test_drawn_chunks_are_distinct_ascending_candidates(n_samples: int, n_chunks: int, seed: int, track_id: str) -> None:
    drawn = draw_chunks(n_samples, track_id=track_id, n_chunks=n_chunks, seed=seed, spec=SPEC)
    assert len(drawn) == n_chunks
    assert drawn == sorted(set(drawn))
    assert drawn[0] >= 0
    assert drawn[-1] < SPEC.n_candidate_chunks(n_samples)


def test_every_candidate_is_drawn_equally_often() -> None:
    counts = Counter(
        index for number in range(2000) for index in draw_chunks(661794, track_id=f"t.{number}", n_chunks=15, seed=0, spec=SPEC)
    )
    # 2000 draws of 15 in 63: 476 expected, standard deviation 19.
    assert len(counts) == 63
    assert all(abs(count - 476) < 5 * 19 for count in counts.values())


def test_seed_zero_is_a_seed() -> None:
    draws = {seed: tuple(draw_chunks(661794, track_id="blues.00000", n_chunks=15, seed=seed, spec=SPEC)) for seed in range(4)}
    assert len(set(draws.values())) == 4


def test_a_track_one_sample_too_short_is_refused() -> None:
    assert draw_chunks(164033, track_id="t", n_chunks=15, seed=0, spec=SPEC) == list(range(15))
    with pytest.raises(TooShortError, match=r"7\.44 s hold 14 candidate chunks of the 15 asked for, which need 7\.44 s"):
        draw_chunks(164032, track_id="t", n_chunks=15, seed=0, spec=SPEC)


def test_hash_does_not_change() -> None:
    """Published datasets depend on it."""
    assert stable_hash("split", 0, "blues.00000") == hashlib.sha256(b'["split", 0, "blues.00000"]').digest()


@given(corpora, st.integers(), st.floats(0.01, 0.99), st.randoms())
def test_stratified_split(tracks: list[Track], seed: int, test_fraction: float, random: object) -> None:
    split_of = stratified_split(tracks, seed=seed, test_fraction=test_fraction)
    assert set(split_of) == {track.track_id for track in tracks}
    for genre, count in Counter(track.genre for track in tracks).items():
        n_test = sum(split_of[track.track_id] == "test" for track in tracks if track.genre == genre)
        assert 1 <= n_test <= count - 1
        assert abs(n_test - count * test_fraction) <= 1
    shuffled = list(tracks)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert stratified_split(shuffled, seed=seed, test_fraction=test_fraction) == split_of


def test_gtzan_has_75_and_25_tracks_a_genre() -> None:
    split_of = stratified_split(GTZAN, seed=0, test_fraction=0.25)
    assert Counter((track.genre, split_of[track.track_id]) for track in GTZAN) == Counter(
        {(genre, split): n for genre in GTZAN_GENRES for split, n in (("train", 75), ("test", 25))}
    )
    assert split_of != stratified_split(GTZAN, seed=1, test_fraction=0.25)


def test_herberts_split_is_his_own() -> None:
    split_of = assign_splits(GTZAN, scheme="herbert", seed=5, test_fraction=0.5)
    assert Counter((track.genre, split_of[track.track_id]) for track in GTZAN) == Counter(
        {(genre, split): n for genre in GTZAN_GENRES for split, n in (("train", 75), ("test", 25))}
    )
    assert split_of["blues.00011"] == "test"
    assert split_of["blues.00000"] == "train"


def test_herberts_list_is_the_published_one(shared: Path) -> None:
    import json

    published = set(json.loads((shared / "gtzan_splits/herbert_test_250.json").read_text())["test"])
    assert {track_id for track_id, split in herbert_split(GTZAN).items() if split == "test"} == published


@pytest.mark.parametrize(
    ("tracks", "message"),
    [
        (tracks_of({"speech": 5, "music": 5}), "250 of its 250 test tracks are not here"),
        ([track for track in GTZAN if track.track_id != "blues.00011"], "1 of its 250 test tracks are not here .*'blues.00011'"),
        (GTZAN + tracks_of({"polka": 2}), "ten genres alone, not 'polka'"),
    ],
)
def test_herberts_split_refuses_another_corpus(tracks: list[Track], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        herbert_split(tracks)


@pytest.mark.parametrize("test_fraction", [0.0, 1.0, -0.5, float("nan")])
def test_fractions_out_of_range_are_refused(test_fraction: float) -> None:
    with pytest.raises(UsageError, match="must lie between 0 and 1"):
        stratified_split(GTZAN, seed=0, test_fraction=test_fraction)


def test_a_genre_with_one_track_is_refused() -> None:
    with pytest.raises(UsageError, match="genre 'b' has one track alone"):
        stratified_split(tracks_of({"a": 3, "b": 1}), seed=0, test_fraction=0.25)


@given(st.integers(1, 12), st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=50))
def test_shards_are_ranges_of_the_order(n_shards: int, digests: list[bytes]) -> None:
    """Read one after the other, the shards hold the records in one order, whatever their number."""
    plan = Plan(
        root="",
        spec=SPEC,
        genres=(),
        chunks_per_track=1,
        seed=0,
        n_shards={"test": n_shards},
        staging="",
        features=None,
        handover=None,
        progress=None,
    )
    names = [plan.shard_name("test", index) for index in range(n_shards)]
    shards = [plan.shard_of("test", digest) for digest in sorted(digests)]
    assert shards == sorted(shards)
    assert set(shards) <= set(names)
