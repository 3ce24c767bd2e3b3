"""Votes: properties, the tie rule, and the accuracies that are made of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from keras_model.evaluation.accuracies import Evaluation
from keras_model.evaluation.votes import vote


@st.composite
def chunks(draw: st.DrawFn) -> tuple[NDArray[np.float32], list[str]]:
    n_chunks, n_genres = draw(st.integers(1, 40)), draw(st.integers(2, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    logits = rng.standard_normal((n_chunks, n_genres)) * draw(st.sampled_from([0.0, 1.0, 20.0]))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return probabilities.astype(np.float32), [f"t{number}" for number in rng.integers(0, 5, n_chunks)]


@given(chunks(), st.randoms())
def test_votes(data: tuple[NDArray[np.float32], list[str]], random: object) -> None:
    probabilities, track_ids = data
    votes = vote(probabilities, track_ids)
    assert votes.track_ids == tuple(sorted(set(track_ids)))
    np.testing.assert_allclose(votes.probability.sum(axis=1), 1.0, atol=1e-5)
    for row, track_id in enumerate(votes.track_ids):
        own = probabilities[[one == track_id for one in track_ids]].astype(np.float64)
        counts = np.bincount(own.argmax(axis=1), minlength=own.shape[1])
        assert votes.votes[row].tolist() == counts.tolist()
        assert own.sum(axis=0)[votes.maximum[row]] == pytest.approx(own.sum(axis=0).max())
        assert counts[votes.majority[row]] == counts.max()
        tied = own.sum(axis=0)[counts == counts.max()]
        assert own.sum(axis=0)[votes.majority[row]] == pytest.approx(tied.max())
        log_sums = np.log(np.maximum(own, 1e-30)).sum(axis=0)
        assert log_sums[votes.product[row]] == pytest.approx(log_sums.max())

    order = list(range(len(track_ids)))
    random.shuffle(order)  # type: ignore[attr-defined]
    again = vote(probabilities[order], [track_ids[index] for index in order])
    for name in ("probability", "votes", "maximum", "majority", "product"):
        np.testing.assert_array_equal(getattr(votes, name), getattr(again, name))


def test_the_three_rules_can_differ() -> None:
    probabilities = np.array([[0.40, 0.35, 0.25], [0.40, 0.35, 0.25], [0.001, 0.509, 0.49]])
    votes = vote(probabilities, ["t"] * 3)
    assert (votes.majority[0], votes.maximum[0], votes.product[0]) == (0, 1, 1)


def test_a_tied_majority_goes_to_the_higher_sum() -> None:
    probabilities = np.array([[0.6, 0.4, 0.0], [0.1, 0.9, 0.0], [0.55, 0.45, 0.0], [0.0, 0.8, 0.2]])
    assert vote(probabilities, ["t"] * 4).majority[0] == 1


def test_certainty_does_not_break_the_product() -> None:
    votes = vote(np.array([[1.0, 0.0], [0.0, 1.0], [0.4, 0.6]]), ["t"] * 3)
    assert votes.product[0] == 1


def test_no_chunks_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one chunk, got 0 and 0"):
        vote(np.zeros((0, 3)), [])
    with pytest.raises(ValueError, match="got 2 and 1"):
        vote(np.zeros((2, 3)), ["a"])


def test_accuracies_by_hand() -> None:
    """Track a (genre x) is right by chunks 2 of 3; track b (genre y) by 0 of 2."""
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4], [0.7, 0.3]])
    labels, track_ids = np.array([0, 0, 0, 1, 1]), ["a", "a", "a", "b", "b"]
    evaluation = Evaluation(
        genres=("x", "y"),
        probabilities=probabilities,
        labels=labels,
        track_ids=track_ids,
        chunk_indices=np.array([7, 2, 5, 1, 0]),
        places=np.arange(5),
    )
    assert evaluation.accuracies == {"raw": pytest.approx(2 / 5), "maximum": 0.5, "majority": 0.5}
    assert evaluation.confusions["raw"].tolist() == [[2, 1], [2, 0]]
    assert evaluation.confusions["maximum"].tolist() == [[1, 0], [1, 0]]
    assert evaluation.cross_entropy == pytest.approx(-np.log([0.9, 0.8, 0.3, 0.4, 0.3]).mean())
    values = evaluation.to_dict()
    assert values["per_genre"]["x"] == {"raw": pytest.approx(2 / 3), "maximum": 1.0, "majority": 1.0}
    assert values["tracks"]["b"] == {
        "genre": "y",
        "maximum": "x",
        "majority": "x",
        "probability": pytest.approx(0.65),
        "votes": [2, 0],
        "chunks": {"index": [0, 1], "record": [4, 3], "label": [0, 0], "probability": [0.7, 0.6]},
    }
    assert values["tracks"]["a"]["chunks"] == {
        "index": [2, 5, 7],
        "record": [1, 2, 0],
        "label": [0, 1, 0],
        "probability": [0.8, 0.7, 0.9],
    }
