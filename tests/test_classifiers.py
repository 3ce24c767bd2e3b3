"""What holds for every network."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_model.networks.classifiers import _BUILDERS, build_classifier
from keras_model.networks.settings import NETWORKS, NetworkSettings, network_settings
from tests.networks import CASES, build, log_mels, with_random_statistics
from tfrecords.errors import UsageError

networks = pytest.mark.parametrize(("name", "batchnorm"), CASES)
# The others begin with what the tagger makes of their data: test_reprogrammed.
BUILT = [name for name in NETWORKS if name not in ("finetuned", "reprogrammed")]


def test_every_name_has_its_network() -> None:
    assert list(_BUILDERS) == BUILT
    assert {name for name, _ in CASES} == set(BUILT)
    for name in BUILT:
        assert build(name, n_genres=3).name == name


@networks
def test_a_sample_does_not_depend_on_its_batch(name: str, batchnorm: bool) -> None:
    model = with_random_statistics(build(name, batchnorm=batchnorm))
    batch = (log_mels(5) - 11.5) / 1.5
    together = np.asarray(model(batch, training=False))
    alone = np.concatenate([np.asarray(model(batch[i : i + 1], training=False)) for i in range(5)])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(together.sum(axis=1), 1.0, atol=1e-5)
    assert np.abs(together[0] - together[1]).max() > 1e-4


@networks
def test_a_saved_network_computes_the_same(name: str, batchnorm: bool, tmp_path: Path) -> None:
    model = with_random_statistics(build(name, (40, 60), n_genres=3, batchnorm=batchnorm))
    values = (log_mels(3, (40, 60)) - 11.5) / 1.5
    expected = model(values, training=False)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_array_equal(loaded(values, training=False), expected)
    assert loaded.name == model.name
    again = keras.models.model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again(values, training=False), expected)
    assert float(sum(again.losses)) == pytest.approx(float(sum(model.losses)))


@networks
def test_the_gradient_reaches_every_weight(name: str, batchnorm: bool) -> None:
    """With batch normalisation's statistics fixed: those of the batch take out what the bias before them added."""
    model = with_random_statistics(build(name, (40, 40), n_genres=3, batchnorm=batchnorm))
    values = (log_mels(6, (40, 40)) - 11.5) / 1.5
    with tf.GradientTape() as tape:
        probabilities = model(values, training=False)
        loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(np.arange(6) % 3, probabilities))
    variables = [weight.value for weight in model.trainable_weights]
    for weight, gradient in zip(model.trainable_weights, tape.gradient(loss, variables), strict=True):
        assert gradient is not None, weight.path
        assert np.isfinite(gradient).all(), weight.path
        assert np.abs(gradient).max() > 0, weight.path


@pytest.mark.parametrize("cells", [(40, 1), (40, 60)])
@pytest.mark.parametrize("name", BUILT)
def test_standardization_is_part_of_the_model(name: str, cells: tuple[int, int], tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    mean, std = rng.normal(11, 2, cells), rng.uniform(0.5, 2, cells)
    raw = log_mels(3, (40, 60))
    plain = build(name, (40, 60), n_genres=3)
    own = build(name, (40, 60), n_genres=3, standardization={"mean": mean.tolist(), "std": std.tolist()})
    assert own.count_params() == plain.count_params()
    expected = plain((raw - mean[..., np.newaxis]) / std[..., np.newaxis], training=False)
    np.testing.assert_allclose(own(raw, training=False), expected, atol=1e-5)
    own.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        keras.models.load_model(tmp_path / "model.keras")(raw, training=False), own(raw, training=False)
    )


@pytest.mark.parametrize("name", [name for name in BUILT if name != "probe"])  # which begins with zeros
def test_the_seed_decides_the_weights(name: str) -> None:
    first, same, other = (build(name, (40, 40), seed=seed).get_weights() for seed in (0, 0, 1))
    for weights, again in zip(first, same, strict=True):
        np.testing.assert_array_equal(weights, again)
    differing = [not np.array_equal(weights, again) for weights, again in zip(first, other, strict=True) if weights.ndim > 1]
    assert differing
    assert all(differing)


def test_settings_are_the_networks_own_unless_asked_for() -> None:
    assert network_settings("deep") == NETWORKS["deep"]
    assert network_settings("deep", dropout=0.0, l1=0.0) == NetworkSettings(batchnorm=False, l1=0.0, dropout=0.0)
    assert network_settings("shallow", batchnorm=True) == NetworkSettings(batchnorm=True, l1=1e-4, dropout=0.1)
    assert network_settings("bbnn", dropout=0.2) == NetworkSettings(batchnorm=True, l1=0.0, dropout=0.2)


def test_what_cannot_be_built_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"^there is no network 'wide'; choose from shallow, deep, bbnn, probe, finetuned, reprogrammed$"
    ):
        build_classifier("wide", (80, 80), n_genres=10)
    with pytest.raises(UsageError, match=r"^--batchnorm cannot be added to bbnn, which always has batch normalisation; leave it"):
        build_classifier("bbnn", (80, 80), n_genres=10, batchnorm=True)
