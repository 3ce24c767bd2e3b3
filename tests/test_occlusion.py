"""Attribution: what is shown as a network's evidence is where its evidence lies."""

import base64
import io
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread
from numpy.typing import NDArray

from keras_model.reports.gallery import evidence_picture
from keras_model.reports.occlusion import evidence, parts_of
from tests.run_metrics import ByParts


@pytest.mark.parametrize("shape", [(80, 80), (96, 126), (5, 7), (8, 3)])
def test_parts_cover_each_value_once(shape: tuple[int, int]) -> None:
    n_times = np.zeros(shape, int)
    parts = parts_of(shape)
    for bands, frames in parts:
        n_times[bands, frames] += 1
    assert (n_times == 1).all()
    assert len(parts) == min(6, shape[0]) * min(4, shape[1])
    assert parts[0][0].start == parts[0][1].start == 0


def test_evidence_is_the_part_that_a_network_goes_by() -> None:
    network: Any = ByParts()
    log_mels = 2 + np.random.default_rng(0).uniform(0, 1, (3, 12, 20)).astype(np.float32)
    found = evidence(network, log_mels, np.arange(3), fill=np.zeros((12, 1)))
    assert found.shape == (3, 6, 4)
    for label in range(3):
        assert np.unravel_index(found[label].argmax(), (6, 4)) == (0, label), "the lowest bands come first"
        assert found[label, 0, label] > 0.2
        assert (found[label, 0, [other for other in range(3) if other != label]] < 0).all(), "hiding a rival's part helps"
        np.testing.assert_allclose(found[label, 1:], 0, atol=1e-6)
    # On the page low bands are below, and time runs to the right.
    picture = imread(io.BytesIO(base64.b64decode(evidence_picture(found[1]))))[..., 0]
    assert np.unravel_index(picture.argmin(), picture.shape) == (5, 1)


class BySeveral:
    """Stands for a network that weighs all parts against each other: a hidden layer of 40 units on their means."""

    def __init__(self, shape: tuple[int, int]) -> None:
        rng = np.random.default_rng(0)
        self.parts = parts_of(shape)
        self.hidden, self.genres = rng.normal(size=(len(self.parts), 40)), rng.normal(size=(40, 3)) / 3

    def predict(self, log_mels: NDArray[np.float32], **options: Any) -> NDArray[np.float64]:
        means = np.stack([log_mels[:, bands, frames].mean(axis=(1, 2, 3)) for bands, frames in self.parts], axis=1)
        logits = np.exp(np.maximum(means @ self.hidden, 0) @ self.genres)
        return logits / logits.sum(axis=1, keepdims=True)


def test_hiding_the_evidence_costs_more_than_hiding_anything() -> None:
    """Three parts at once, which none was chosen by."""
    shape, n = (12, 20), 50
    network: Any = BySeveral(shape)
    rng = np.random.default_rng(1)
    parts, rows = parts_of(shape), np.arange(n)
    log_mels = np.repeat(np.repeat(rng.normal(size=(n, 6, 4)), 2, axis=1), 5, axis=2).astype(np.float32)
    before = network.predict(log_mels[..., np.newaxis])
    labels = before.argmax(axis=1)
    found = evidence(network, log_mels, labels, fill=np.zeros((12, 1))).reshape(n, -1)

    def cost(chosen: NDArray[np.integer]) -> float:
        hidden = log_mels.copy()
        for row, numbers in enumerate(chosen):
            for bands, frames in (parts[number] for number in numbers):
                hidden[row, bands, frames] = 0
        return float((before[rows, labels] - network.predict(hidden[..., np.newaxis])[rows, labels]).mean())

    at_random = [cost(rng.permuted(np.tile(np.arange(24), (n, 1)), axis=1)[:, :3]) for _ in range(5)]
    assert cost(np.argsort(-found)[:, :3]) > 3 * max(at_random) > 0
