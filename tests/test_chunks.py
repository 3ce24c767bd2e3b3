"""Properties of the draws of chunks, of the hash behind them, and of the order of records."""

import hashlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_pipeline.extract.chunks import TooShortError, draw_chunks
from beam_pipeline.plan import Plan
from tfrecords.dataset.stable_hash import chunk_rank, record_order, stable_hash
from tfrecords.front_end.log_mel_spec import PRESETS

SPEC = PRESETS["paper"]


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


@given(st.integers(), st.text(), st.integers(0), st.sampled_from(["", "stretch-0.2"]))
def test_hashes_of_chunks_are_of_all_that_says_which(seed: int, track_id: str, index: int, deformation: str) -> None:
    key: list[str | int] = [seed, track_id, *([deformation] if deformation else []), index]
    assert record_order(seed, track_id, index, deformation) == stable_hash("order", *key)
    assert chunk_rank(seed, track_id, index, deformation) == stable_hash("chunk", *key)


@given(st.integers(1, 12), st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=50))
def test_shards_are_ranges_of_the_order(n_shards: int, digests: list[bytes]) -> None:
    """Read one after the other, the shards hold the records in one order, whatever their number."""
    plan = Plan(output="", genres=(), n_shards={"test": n_shards})
    keys = plan.shard_keys()
    shards = [plan.shard_key("test", digest) for digest in sorted(digests)]
    assert shards == sorted(shards)
    assert set(shards) <= set(keys)
