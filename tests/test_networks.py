"""Each network's layers, sizes and settings, as its source has them."""

import keras
import numpy as np
import pytest

from tests.networks import build, log_mels, plain_bbnn, plain_parallel, shapes_of, with_random_statistics
from tfrecords.errors import UsageError


@pytest.mark.parametrize(
    ("name", "batchnorm", "parameters", "trainable"),
    [
        ("shallow", False, 2_060_642, 2_060_642),
        ("shallow", True, 2_060_770, 2_060_706),
        ("deep", False, 1_280_002, 1_280_002),
        ("deep", True, 1_281_922, 1_280_962),
        # Both figures as in the summary that the authors' notebook printed.
        ("bbnn", False, 190_826, 185_642),
    ],
)
def test_parameters(name: str, batchnorm: bool, parameters: int, trainable: int) -> None:
    model = build(name, batchnorm=batchnorm)
    assert model.count_params() == parameters
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == trainable


def test_bbnn_has_the_papers_parameters_besides_batch_normalisation() -> None:
    layers = build("bbnn").layers
    assert sum(layer.count_params() for layer in layers if not isinstance(layer, keras.layers.BatchNormalization)) == 180_458


def test_shapes_of_the_shallow_network() -> None:
    model = build("shallow", batchnorm=True)
    shapes = shapes_of(model)
    assert shapes["log_mel"] == (80, 80, 1)
    for branch, pooled in (("time", (80, 4, 16)), ("frequency", (4, 80, 16))):
        layers = [f"{branch}_{kind}" for kind in ("convolution", "batchnorm", "leaky_relu")]
        assert {shapes[layer] for layer in layers} == {(80, 80, 16)}
        assert shapes[f"{branch}_pool"] == pooled
    assert shapes["branches"] == (10240,)
    assert shapes["hidden"] == (200,)
    assert model.output_shape == (None, 10)
    assert model.get_layer("time_convolution").kernel.shape == (10, 23, 1, 16)
    assert model.get_layer("frequency_convolution").kernel.shape == (21, 20, 1, 16)


def test_shapes_of_the_deep_network() -> None:
    model = build("deep", batchnorm=True)
    shapes = shapes_of(model)
    kernels = {
        "time": ((10, 23, 1, 16), (5, 11, 16, 32), (3, 5, 32, 64), (2, 4, 64, 128)),
        "frequency": ((21, 10, 1, 16), (10, 5, 16, 32), (5, 3, 32, 64), (4, 2, 64, 128)),
    }
    pooled = {
        "time": ((40, 40, 16), (20, 20, 32), (10, 10, 64), (10, 2, 128)),
        "frequency": ((40, 40, 16), (20, 20, 32), (10, 10, 64), (2, 10, 128)),
    }
    for branch in ("time", "frequency"):
        for number in range(4):
            name = f"{branch}_{number + 1}"
            assert model.get_layer(f"{name}_convolution").kernel.shape == kernels[branch][number]
            before = pooled[branch][number - 1][:2] if number else (80, 80)
            layers = [f"{name}_{kind}" for kind in ("convolution", "batchnorm", "leaky_relu")]
            assert {shapes[layer] for layer in layers} == {(*before, pooled[branch][number][2])}
            assert shapes[f"{name}_pool"] == pooled[branch][number]
    assert shapes["time_flat"] == shapes["frequency_flat"] == (2560,)
    assert shapes["branches"] == (5120,)
    assert shapes["hidden"] == (200,)
    assert model.output_shape == (None, 10)


def test_shapes_of_bbnn() -> None:
    model = build("bbnn")
    shapes = shapes_of(model)
    assert shapes["first_convolution"] == shapes["first_batchnorm"] == (80, 80, 32)
    assert shapes["first_pool"] == (80, 20, 32)
    for number, n_channels in ((1, 32), (2, 160), (3, 288)):
        block = f"block_{number}"
        assert shapes[f"{block}_one_batchnorm"] == shapes[f"{block}_pool"] == (80, 20, n_channels)
        for way, size in (("one", 1), ("three_reduced", 1), ("three", 3), ("five_reduced", 1), ("five", 5), ("pooled", 1)):
            n_inputs = 32 if way in ("three", "five") else n_channels
            assert model.get_layer(f"{block}_{way}_convolution").kernel.shape == (size, size, n_inputs, 32)
        assert shapes[block] == (80, 20, 128)
        assert shapes[f"broadcast_{number}"] == (80, 20, n_channels + 128)
    assert model.get_layer("transition_convolution").kernel.shape == (1, 1, 416, 32)
    assert shapes["transition_pool"] == (40, 10, 32)
    assert shapes["average"] == (32,)
    assert model.output_shape == (None, 10)


@pytest.mark.parametrize(
    ("name", "initializer", "l1", "dropout"),
    [
        ("shallow", keras.initializers.HeNormal, 1e-4, 0.1),
        ("deep", keras.initializers.HeNormal, 1e-4, 0.25),
        ("bbnn", keras.initializers.GlorotUniform, 0.0, 0.0),
    ],
)
def test_settings(name: str, initializer: type, l1: float, dropout: float) -> None:
    model = build(name)
    kernels = [layer for layer in model.layers if hasattr(layer, "kernel")]
    for layer in kernels:
        assert isinstance(layer.kernel_initializer, initializer)
        assert float(layer.kernel_regularizer.l1) == pytest.approx(l1)
    slopes = [layer.negative_slope for layer in model.layers if isinstance(layer, keras.layers.LeakyReLU)]
    assert slopes == pytest.approx([0.3] * {"shallow": 3, "deep": 9, "bbnn": 0}[name])
    assert model.get_layer("dropout").rate == pytest.approx(dropout)
    assert len(kernels) == len(model.losses) == {"shallow": 4, "deep": 10, "bbnn": 21}[name]


@pytest.mark.parametrize("name", ["shallow", "deep", "bbnn"])
def test_l1_and_dropout_as_asked_for(name: str) -> None:
    model = build(name, l1=3e-3, dropout=0.5)
    kernels = [layer.kernel.numpy() for layer in model.layers if hasattr(layer, "kernel")]
    assert float(sum(model.losses)) == pytest.approx(3e-3 * sum(np.abs(kernel).sum() for kernel in kernels), rel=1e-4)
    assert model.get_layer("dropout").rate == pytest.approx(0.5)
    assert build(name, l1=0.0, dropout=0.0).get_layer("dropout").rate == 0


@pytest.mark.parametrize(
    ("name", "n_layers", "momentum", "epsilon"), [("shallow", 2, 0.9, 1e-5), ("deep", 8, 0.9, 1e-5), ("bbnn", 21, 0.99, 1e-3)]
)
@pytest.mark.parametrize("synchronized", [True, False])
def test_batch_normalisation(name: str, n_layers: int, momentum: float, epsilon: float, synchronized: bool) -> None:
    model = build(name, batchnorm=name != "bbnn", synchronized=synchronized)
    layers = [layer for layer in model.layers if hasattr(layer, "gamma")]
    assert len(layers) == n_layers
    for layer in layers:
        assert layer.synchronized is synchronized
        assert layer.momentum == pytest.approx(momentum)
        assert layer.epsilon == pytest.approx(epsilon)
    assert model.name == {"shallow": "shallow_batchnorm", "deep": "deep_batchnorm", "bbnn": "bbnn"}[name]


def test_values_are_those_of_the_sources() -> None:
    """With batch normalisation of random gammas, negative ones too, and on a shape whose axes differ and leave rests."""
    shape = (83, 61)
    slopes = np.array([-2, 0.5, 3])[:, None, None, None] * np.linspace(-1, 1, shape[0])[:, None, None]
    values = ((log_mels(3, shape) - 11.5) / 1.5 + slopes).astype(np.float32)
    shallow = with_random_statistics(build("shallow", shape, batchnorm=True))
    np.testing.assert_allclose(shallow(values, training=False), plain_parallel(shallow, 1, values), atol=1e-5)
    deep = with_random_statistics(build("deep", shape, batchnorm=True))
    np.testing.assert_allclose(deep(values, training=False), plain_parallel(deep, 4, values), atol=1e-5)
    bbnn = with_random_statistics(build("bbnn", shape))
    expected = plain_bbnn(bbnn, values)
    np.testing.assert_allclose(bbnn(values, training=False), expected, atol=2e-6)
    assert expected.std(axis=0).max() > 1e-3, "the comparison is of a network that tells samples apart"


@pytest.mark.parametrize(("name", "least"), [("shallow", (20, 20)), ("deep", (40, 40)), ("bbnn", (2, 8))])
def test_a_shape_too_small_for_the_poolings_is_refused(name: str, least: tuple[int, int]) -> None:
    assert build(name, least).output_shape == (None, 10)
    for shape in ((least[0] - 1, least[1]), (least[0], least[1] - 1), (1, 1)):
        with pytest.raises(
            UsageError, match=rf"^the network {name} needs log-mels of at least {least[0]} mel bands .*, got"
        ) as e:
            build(name, shape)
        assert str(e.value).endswith(f"got {shape[0]} and {shape[1]}")
        assert "\n" not in str(e.value)


def test_he_normal_is_truncated() -> None:
    kernel = build("shallow").get_layer("hidden").kernel.numpy()
    # A normal distribution of variance 2 / fan-in, cut at two standard deviations of the uncut one.
    assert kernel.std() == pytest.approx(np.sqrt(2 / 10240), rel=0.01)
    assert np.abs(kernel).max() < 2.28 * np.sqrt(2 / 10240)
