"""The network's shapes, sizes, weights and the exactness of what it rearranges."""

import keras
import numpy as np
import pytest

from keras_model.classifiers import shallow

PAPER = (80, 80)


def inputs(n: int, shape: tuple[int, int] = PAPER) -> np.ndarray:
    """Like preset `paper`: mean 11.5, standard deviation 1.5, the last 39 frames alike."""
    values = np.random.default_rng(0).normal(11.5, 1.5, (n, *shape, 1)).astype(np.float32)
    values[:, :, 41:] = values[:, :, 40:41]
    return values


@pytest.mark.parametrize(("batchnorm", "parameters"), [(False, 2_060_642), (True, 2_060_770)])
def test_parameters_are_the_papers(batchnorm: bool, parameters: int) -> None:
    assert shallow(PAPER, n_genres=10, batchnorm=batchnorm).count_params() == parameters


def test_shapes_are_the_papers() -> None:
    model = shallow(PAPER, n_genres=10, batchnorm=True)
    shapes = {layer.name: tuple(layer.output.shape[1:]) for layer in model.layers}
    assert shapes["log_mel"] == (80, 80, 1)
    assert shapes["time_convolution"] == shapes["frequency_convolution"] == shapes["time_batchnorm"] == (80, 80, 16)
    assert shapes["time_pool"] == (80, 4, 16)
    assert shapes["frequency_pool"] == (4, 80, 16)
    assert shapes["branches"] == (10240,)
    assert shapes["hidden"] == (200,)
    assert model.output_shape == (None, 10)
    assert model.get_layer("time_convolution").kernel.shape == (10, 23, 1, 16)
    assert model.get_layer("frequency_convolution").kernel.shape == (21, 20, 1, 16)


def test_settings_are_the_papers() -> None:
    model = shallow(PAPER, n_genres=10, batchnorm=True)
    for name in ("time_convolution", "frequency_convolution", "hidden", "genre"):
        layer = model.get_layer(name)
        assert isinstance(layer.kernel_initializer, keras.initializers.HeNormal)
        assert float(layer.kernel_regularizer.l1) == pytest.approx(1e-4)
    for name in ("time_leaky_relu", "frequency_leaky_relu", "hidden_leaky_relu"):
        assert model.get_layer(name).negative_slope == pytest.approx(0.3)
    assert model.get_layer("dropout").rate == pytest.approx(0.1)
    assert len(model.losses) == 4
    penalty = sum(
        float(np.abs(model.get_layer(n).kernel.numpy()).sum())
        for n in ("time_convolution", "frequency_convolution", "hidden", "genre")
    )
    assert float(sum(model.losses)) == pytest.approx(1e-4 * penalty, rel=1e-4)


def test_pooling_before_the_leaky_relu_gives_the_same_values() -> None:
    values = np.random.default_rng(1).standard_normal((3, 80, 80, 16)).astype(np.float32)
    for pool_size in ((1, 20), (20, 1)):
        pool, relu = keras.layers.MaxPooling2D(pool_size), keras.layers.LeakyReLU(0.3)
        np.testing.assert_array_equal(pool(relu(values)), relu(pool(values)))


@pytest.mark.parametrize("batchnorm", [False, True])
def test_a_sample_does_not_depend_on_its_batch(batchnorm: bool) -> None:
    keras.utils.set_random_seed(0)
    model = shallow(PAPER, n_genres=10, batchnorm=batchnorm)
    batch = inputs(5)
    together = np.asarray(model(batch, training=False))
    alone = np.concatenate([np.asarray(model(batch[i : i + 1], training=False)) for i in range(5)])
    np.testing.assert_allclose(together, alone, atol=1e-4)
    np.testing.assert_allclose(together.sum(axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize("cells", [(40, 1), (40, 60)])
def test_standardization_is_part_of_the_model(cells: tuple[int, int], tmp_path: object) -> None:
    rng = np.random.default_rng(2)
    mean, std = rng.normal(11, 2, cells), rng.uniform(0.5, 2, cells)
    raw = inputs(3, (40, 60))
    keras.utils.set_random_seed(0)
    plain = shallow((40, 60), n_genres=3)
    keras.utils.set_random_seed(0)
    own = shallow((40, 60), n_genres=3, standardization={"mean": mean.tolist(), "std": std.tolist()})
    assert own.count_params() == plain.count_params()
    expected = plain((raw - mean[..., np.newaxis]) / std[..., np.newaxis], training=False)
    np.testing.assert_allclose(own(raw, training=False), expected, atol=1e-5)
    path = f"{tmp_path}/model.keras"
    own.save(path)
    np.testing.assert_array_equal(keras.models.load_model(path)(raw, training=False), own(raw, training=False))


def test_the_seed_decides_the_weights() -> None:
    kernels = []
    for seed in (0, 0, 1):
        keras.utils.set_random_seed(seed)
        kernels.append(shallow(PAPER, n_genres=10).get_layer("hidden").kernel.numpy())
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert not np.array_equal(kernels[0], kernels[2])
    # He-normal: a normal distribution of variance 2 / fan-in, cut at two standard deviations.
    assert kernels[0].std() == pytest.approx(np.sqrt(2 / 10240), rel=0.01)
