"""The learning rate over a training's steps, and which trainings can be prolonged."""

import dataclasses
from typing import Any

import keras
import numpy as np
import pytest

from keras_model.options import TrainOptions
from keras_model.training.fit import check_prolongation
from keras_model.training.optimizer import build_optimizer
from tfrecords.errors import UsageError

TOTAL = 100
RATE = 0.4


def rates(**options: Any) -> list[float]:
    """The rate of each step, as the optimiser has it."""
    optimizer = build_optimizer(TrainOptions(learning_rate=RATE, **options), TOTAL)
    optimizer.build([keras.Variable(np.zeros(1))])
    found = []
    for _ in range(TOTAL):
        found.append(float(optimizer.learning_rate))
        optimizer.apply([np.zeros(1)])
    return found


def test_without_options_it_is_the_same_at_every_step() -> None:
    assert rates() == pytest.approx([RATE] * TOTAL)


def test_cosine_decay_falls_to_nothing_at_the_end() -> None:
    expected = [RATE * (1 + np.cos(np.pi * step / TOTAL)) / 2 for step in range(TOTAL)]
    assert rates(learning_rate_decay="cosine") == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("decay", ["none", "cosine"])
def test_warm_up_rises_evenly_from_the_first_step(decay: str) -> None:
    found = rates(learning_rate_warmup=4, learning_rate_decay=decay)
    assert found[:5] == pytest.approx([RATE / 5, 2 * RATE / 5, 3 * RATE / 5, 4 * RATE / 5, RATE])
    left = TOTAL - 4
    falling = [RATE * (1 + np.cos(np.pi * step / left)) / 2 for step in range(left)]
    assert found[4:] == pytest.approx(falling if decay == "cosine" else [RATE] * left, rel=1e-4)


def test_a_training_shorter_than_its_warm_up_ends_while_the_rate_rises() -> None:
    found = rates(learning_rate_warmup=2 * TOTAL, learning_rate_decay="cosine")
    assert found == pytest.approx([RATE * (step + 1) / (2 * TOTAL + 1) for step in range(TOTAL)])


def test_what_depends_on_the_number_of_epochs_cannot_be_prolonged() -> None:
    def prolong(**options: Any) -> None:
        before = TrainOptions(epochs=2, **options)
        check_prolongation(before, dataclasses.replace(before, epochs=3))

    prolong()
    prolong(learning_rate_warmup=5)
    with pytest.raises(UsageError, match="--epochs cannot prolong"):
        prolong(learning_rate_decay="cosine")
    with pytest.raises(UsageError, match="--epochs cannot prolong runs: with --ema"):
        prolong(ema=0.9)
