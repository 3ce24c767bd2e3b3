"""The pooled convolution computes what stock Keras' layers compute one after the other, gradients included."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_model.networks.pooled_convolution import PooledConvolution
from tests.conftest import REPOSITORY

TIME, FREQUENCY = ((10, 23), (1, 20)), ((21, 20), (20, 1))


def log_mels(n: int, shape: tuple[int, int] = (80, 80), *, repeated_from: int | None = None) -> np.ndarray:
    """Like preset `paper`'s, (n, *shape, 1) float64; from frame `repeated_from` on all frames are alike, as its padding is."""
    values = np.random.default_rng(3).normal(11.5, 1.5, (n, *shape, 1))
    if repeated_from is not None:
        values[:, :, repeated_from:] = values[:, :, repeated_from - 1 : repeated_from]
    return values


def stock_of(layer: PooledConvolution, shape: tuple[int, int]) -> Sequence[keras.layers.Layer]:
    """Stock layers with the same weights."""
    kernel_size, dtype = layer.kernel_size, layer.dtype_policy
    stock = [layers.Conv2D(layer.filters, kernel_size, padding="same", dtype=dtype)]
    stock[0].build((None, *shape, 1))
    stock[0].set_weights([layer.kernel.numpy(), layer.bias.numpy()])
    if layer.batch_normalization:
        stock.append(layers.BatchNormalization(momentum=layer.momentum, epsilon=layer.epsilon, dtype=dtype))
        stock[1].build((None, *shape, layer.filters))
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        stock[1].set_weights([getattr(layer, name).numpy() for name in names])
    return [*stock, layers.MaxPooling2D(layer.pool_size, dtype=dtype)]


def built(layer: PooledConvolution, shape: tuple[int, ...]) -> PooledConvolution:
    """The layer with weights that are neither zero nor all positive."""
    layer.build((None, *shape))
    rng = np.random.default_rng(5)
    for weight in layer.weights[1:]:
        weight.assign(rng.uniform(0.5, 2, weight.shape) if "variance" in weight.path else rng.normal(0, 1, weight.shape))
    return layer


def gradients(chain: Sequence[Any], inputs: np.ndarray, upstream: np.ndarray) -> tuple[Any, list[Any]]:
    """Outputs in training, and gradients of inputs, kernel, bias and, with batch normalisation, gamma and beta."""
    dtype = chain[0].compute_dtype

    @tf.function
    def compute(x: Any, of_output: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = x
            for layer in chain:
                y = layer(y, training=True) if not isinstance(layer, layers.MaxPooling2D | layers.Conv2D) else layer(y)
            total = tf.reduce_sum(y * of_output)
        return y, tape.gradient(total, [x, *(weight for layer in chain for weight in layer.trainable_weights)])

    outputs, found = compute(tf.constant(inputs, dtype), tf.constant(upstream, dtype))
    return outputs.numpy(), [gradient.numpy() for gradient in found]


def assert_equal(ours: Any, stock: Any, tolerance: float) -> None:
    """To a share of the largest value."""
    assert ours.shape == stock.shape
    np.testing.assert_allclose(ours, stock, rtol=0, atol=tolerance * np.abs(stock).max())


@pytest.mark.parametrize("kernel_size", [TIME[0], FREQUENCY[0], (3, 3), (4, 7)])
@pytest.mark.parametrize("repeated_from", [None, 41])
def test_without_pooling_it_is_a_convolution(kernel_size: tuple[int, int], repeated_from: int | None) -> None:
    """In float32. With pooling, rounding may choose another one of two almost equal values: there float64 decides, below."""
    inputs = log_mels(16, repeated_from=repeated_from)
    layer = built(PooledConvolution(16, kernel_size, (1, 1)), (80, 80, 1))
    upstream = np.random.default_rng(1).normal(0, 1, (16, 80, 80, 16))
    ours, stock = gradients([layer], inputs, upstream), gradients(stock_of(layer, (80, 80))[:1], inputs, upstream)
    assert_equal(ours[0], stock[0], 1e-5)
    for of_ours, of_stock in zip(ours[1], stock[1], strict=True):
        assert_equal(of_ours, of_stock, 1e-5)


@pytest.mark.parametrize(
    ("shape", "kernel_size", "pool_size", "repeated_from"),
    [((80, 80), *TIME, 41), ((80, 80), *FREQUENCY, 41), ((30, 50), (10, 23), (2, 2), None), ((23, 31), (4, 5), (3, 7), 9)],
)
@pytest.mark.parametrize("batch_normalization", [False, True])
def test_values_and_gradients_are_those_of_stock_layers(
    shape: tuple[int, int],
    kernel_size: tuple[int, int],
    pool_size: tuple[int, int],
    repeated_from: int | None,
    batch_normalization: bool,
) -> None:
    inputs = log_mels(3, shape, repeated_from=repeated_from)
    layer = PooledConvolution(4, kernel_size, pool_size, batch_normalization=batch_normalization, dtype="float64")
    built(layer, (*shape, 1))
    stock = stock_of(layer, shape)
    before = layer(inputs, training=False).numpy()
    upstream = np.random.default_rng(1).normal(0, 1, before.shape)
    ours, theirs = gradients([layer], inputs, upstream), gradients(stock, inputs, upstream)
    assert_equal(ours[0], theirs[0], 1e-12)
    assert len(ours[1]) == (5 if batch_normalization else 3)
    for name, of_ours, of_theirs in zip(("inputs", "kernel", "bias", "gamma", "beta"), ours[1], theirs[1], strict=False):
        if batch_normalization and name == "bias":  # the mean takes it out again: what is left is rounding
            assert np.abs(of_ours).max() < 1e-9 > np.abs(of_theirs).max()
        elif name != "inputs" or repeated_from is None:  # where equal patches tie, stock layers give the first one's inputs all
            assert_equal(of_ours, of_theirs, 1e-11)
    if batch_normalization:
        assert (layer.gamma.numpy() < 0).any(), "a decreasing filter is part of the test"
        assert_equal(layer.moving_mean.numpy(), stock[1].moving_mean.numpy(), 1e-12)
        assert_equal(layer.moving_variance.numpy(), stock[1].moving_variance.numpy(), 1e-12)
    after: Any = inputs
    for one in stock:
        after = one(after)
    assert_equal(layer(inputs, training=False).numpy(), after.numpy(), 1e-12)


def test_variance_keeps_its_digits_where_the_mean_is_large() -> None:
    inputs = (log_mels(8, (40, 40)) + 3000).astype(np.float32)
    layer = built(PooledConvolution(4, (10, 9), (5, 5), batch_normalization=True, momentum=0.0), (40, 40, 1))
    exact = PooledConvolution(4, (10, 9), (5, 5), batch_normalization=True, momentum=0.0, dtype="float64")
    built(exact, (40, 40, 1)).kernel.assign(layer.kernel.numpy())
    for one in (layer, exact):
        one(inputs, training=True)
    np.testing.assert_allclose(layer.moving_variance.numpy(), exact.moving_variance.numpy(), rtol=1e-4)


@pytest.mark.parametrize("batch_normalization", [False, True])
def test_a_sample_does_not_depend_on_its_neighbours(batch_normalization: bool) -> None:
    layer = built(PooledConvolution(3, (5, 4), (4, 5), batch_normalization=batch_normalization), (20, 30, 1))
    inputs = log_mels(4, (20, 30)).astype(np.float32)
    together = layer(inputs).numpy()
    assert together.shape == (4, *layer.compute_output_shape((4, 20, 30, 1))[1:])
    np.testing.assert_allclose(together, np.concatenate([layer(inputs[i : i + 1]).numpy() for i in range(4)]), atol=1e-5)


def test_frozen_it_keeps_its_statistics() -> None:
    layer = built(PooledConvolution(3, (5, 4), (4, 5), batch_normalization=True), (20, 30, 1))
    layer.trainable = False
    before = [weight.numpy() for weight in layer.weights]
    inputs = log_mels(4, (20, 30)).astype(np.float32)
    np.testing.assert_array_equal(layer(inputs, training=True).numpy(), layer(inputs, training=False).numpy())
    for weight, value in zip(layer.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_is_near(policy: str) -> None:
    inputs = log_mels(4, (20, 30)).astype(np.float32) - 11.5
    layer = built(PooledConvolution(3, (5, 4), (4, 5), batch_normalization=True), (20, 30, 1))
    mixed = built(PooledConvolution(3, (5, 4), (4, 5), batch_normalization=True, dtype=policy), (20, 30, 1))
    mixed.set_weights(layer.get_weights())
    upstream = np.random.default_rng(1).normal(0, 1, (4, 5, 6, 3))
    expected, found = gradients([layer], inputs, upstream), gradients([mixed], inputs, upstream)
    assert found[0].dtype == mixed.compute_dtype
    assert mixed.moving_variance.dtype == "float32"
    assert_equal(found[0].astype(np.float32), expected[0], 0.03)
    assert all(np.isfinite(gradient.astype(np.float32)).all() for gradient in found[1])


def test_it_is_saved_and_loaded(tmp_path: Path) -> None:
    layer = PooledConvolution(
        5, (3, 4), (2, 3), batch_normalization=True, momentum=0.8, kernel_regularizer=keras.regularizers.L1(0.01), name="one"
    )
    model = keras.Sequential([keras.Input((8, 9, 1)), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].get_config() == layer.get_config()
    assert [weight.name for weight in layer.weights] == ["kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance"]
    inputs = log_mels(2, (8, 9)).astype(np.float32)
    np.testing.assert_array_equal(model(inputs), loaded(inputs))
    assert float(sum(loaded.losses)) == pytest.approx(0.01 * np.abs(layer.kernel.numpy()).sum(), rel=1e-5)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((None, 80, 80, 2), r"expects an input of shape \(batch, height, width, 1\), got \(None, 80, 80, 2\)"),
        ((None, None, 80, 1), r"expects an input of shape"),
        ((None, 80), r"expects an input of shape"),
        ((None, 80, 19, 1), r"pools \(1, 20\), more than its input of shape \(None, 80, 19, 1\) has"),
    ],
)
def test_an_unusable_shape_is_refused(shape: tuple[int | None, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PooledConvolution(16, *TIME).build(shape)


ON_JAX = """
import jax, keras, numpy as np
from keras import layers
from keras_model.networks.pooled_convolution import PooledConvolution

keras.config.set_floatx("float64")
rng = np.random.default_rng(0)
inputs = rng.normal(11.5, 1.5, (3, 23, 31, 1))
for batch_normalization in (False, True):
    ours = PooledConvolution(4, (4, 5), (3, 7), batch_normalization=batch_normalization)
    ours.build(inputs.shape)
    chain = [layers.Conv2D(4, (4, 5), padding="same"), layers.MaxPooling2D((3, 7))]
    chain[0].build(inputs.shape)
    chain[0].set_weights([ours.kernel, ours.bias])
    if batch_normalization:
        ours.gamma.assign([1.0, -0.5, 2.0, -1.0])
        chain.insert(1, layers.BatchNormalization(momentum=0.9, epsilon=1e-5))
        chain[1].build((None, 23, 31, 4))
        chain[1].gamma.assign(ours.gamma)
    stock = keras.Sequential([keras.Input(inputs.shape[1:]), *chain])

    def loss(trainable, model):
        outputs, state = model.stateless_call(trainable, [w.value for w in model.non_trainable_variables], inputs, training=True)
        return (outputs**3).sum(), state

    found = []
    for model in (ours, stock):
        weights = [weight.value for weight in model.trainable_variables]
        (value, state), gradient = jax.jit(jax.value_and_grad(lambda w: loss(w, model), has_aux=True))(weights)
        found.append([value, *state, gradient[0], *gradient[2:]])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())  # of batch normalisation, where float32 takes part
    print("equal", len(found[0]))
"""


def test_on_jax_it_is_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ON_JAX],
        cwd=REPOSITORY,
        env=os.environ | {"KERAS_BACKEND": "jax", "JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["equal", "2", "equal", "6"]  # value, statistics and gradients, of which the bias is left out
