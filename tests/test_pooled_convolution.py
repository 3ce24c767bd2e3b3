"""The pooled convolution computes what stock Keras' layers compute one after the other, gradients included."""

import os
import subprocess
import sys
from collections.abc import Sequence
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


def pair(
    filters: int,
    kernel_size: tuple[int, int],
    pool_size: tuple[int, int],
    shape: tuple[int, int],
    *,
    batch_normalization: bool = False,
    dtype: str = "float32",
    momentum: float = 0.9,
) -> tuple[PooledConvolution, Sequence[keras.layers.Layer]]:
    """The fused computation, and stock layers with the same weights, which are neither zero nor all positive."""

    def made() -> list[keras.layers.Layer]:
        chain = [layers.Conv2D(filters, kernel_size, padding="same", dtype=dtype)]
        chain[0].build((None, *shape, 1))
        if batch_normalization:
            chain.append(layers.BatchNormalization(momentum=momentum, epsilon=1e-5, dtype=dtype))
            chain[1].build((None, *shape, filters))
        return [*chain, layers.MaxPooling2D(pool_size, dtype=dtype)]

    inner, stock = made(), made()
    rng = np.random.default_rng(5)
    stock[0].set_weights([inner[0].kernel.numpy(), rng.normal(0, 1, filters)])
    if batch_normalization:
        stock[1].set_weights([*rng.normal(0, 1, (3, filters)), rng.uniform(0.5, 2, filters)])
    for one, other in zip(inner, stock, strict=True):
        one.set_weights(other.get_weights())
    return PooledConvolution(inner[0], inner[1] if batch_normalization else None, inner[-1]), stock


def stock_statistics(layer: PooledConvolution) -> Any:
    """Its batch normalisation."""
    return layer.normalization


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
    layer, chain = pair(16, kernel_size, (1, 1), (80, 80))
    upstream = np.random.default_rng(1).normal(0, 1, (16, 80, 80, 16))
    ours, stock = gradients([layer], inputs, upstream), gradients(chain[:1], inputs, upstream)
    assert_equal(ours[0], stock[0], 1e-5)
    for of_ours, of_stock in zip(ours[1], stock[1], strict=True):
        assert_equal(of_ours, of_stock, 1e-5)


@pytest.mark.parametrize(
    ("shape", "kernel_size", "pool_size", "repeated_from"),
    [
        ((80, 80), *TIME, 41),
        ((80, 80), *FREQUENCY, 41),
        ((30, 50), (10, 23), (2, 2), None),
        ((23, 31), (4, 5), (3, 7), 9),
        ((11, 203), (3, 8), (2, 5), None),  # lines of several blocks
        ((203, 11), (8, 3), (5, 2), None),
        ((7, 6), (10, 9), (1, 1), None),  # a kernel larger than the image
    ],
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
    layer, stock = pair(4, kernel_size, pool_size, shape, batch_normalization=batch_normalization, dtype="float64")
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
        normalization: Any = layer.normalization
        assert (normalization.gamma.numpy() < 0).any(), "a decreasing filter is part of the test"
        assert_equal(normalization.moving_mean.numpy(), stock[1].moving_mean.numpy(), 1e-12)
        assert_equal(normalization.moving_variance.numpy(), stock[1].moving_variance.numpy(), 1e-12)
    after: Any = inputs
    for one in stock:
        after = one(after)
    assert_equal(layer(inputs, training=False).numpy(), after.numpy(), 1e-12)


def test_windows_of_equal_values_share_their_gradient() -> None:
    layer, _ = pair(4, (1, 1), (4, 5), (20, 30), dtype="float64")
    _, (of_inputs, *_) = gradients([layer], np.zeros((2, 20, 30, 1)), np.ones((2, 5, 6, 4)))
    np.testing.assert_allclose(of_inputs, np.full(of_inputs.shape, layer.convolution.kernel.numpy().sum() / 20), rtol=1e-12)


def test_variance_keeps_its_digits_where_the_mean_is_large() -> None:
    inputs = (log_mels(8, (40, 40)) + 3000).astype(np.float32)
    settings: dict[str, Any] = {"batch_normalization": True, "momentum": 0.0}
    layer, _ = pair(4, (10, 9), (5, 5), (40, 40), **settings)
    exact, _ = pair(4, (10, 9), (5, 5), (40, 40), dtype="float64", **settings)
    exact.set_weights(layer.get_weights())
    for one in (layer, exact):
        one(inputs, training=True)
    found, expected = (stock_statistics(one).moving_variance.numpy() for one in (layer, exact))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("batch_normalization", [False, True])
def test_a_sample_does_not_depend_on_its_neighbours(batch_normalization: bool) -> None:
    layer, _ = pair(3, (5, 4), (4, 5), (20, 30), batch_normalization=batch_normalization)
    inputs = log_mels(4, (20, 30)).astype(np.float32)
    together = layer(inputs).numpy()
    assert together.shape == (4, *layer.compute_output_shape((4, 20, 30, 1))[1:])
    np.testing.assert_allclose(together, np.concatenate([layer(inputs[i : i + 1]).numpy() for i in range(4)]), atol=1e-5)


def test_frozen_it_keeps_its_statistics() -> None:
    layer, _ = pair(3, (5, 4), (4, 5), (20, 30), batch_normalization=True)
    stock_statistics(layer).trainable = False
    before = [weight.numpy() for weight in layer.weights]
    inputs = log_mels(4, (20, 30)).astype(np.float32)
    np.testing.assert_array_equal(layer(inputs, training=True).numpy(), layer(inputs, training=False).numpy())
    for weight, value in zip(layer.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_is_near(policy: str) -> None:
    inputs = log_mels(4, (20, 30)).astype(np.float32) - 11.5
    layer, _ = pair(3, (5, 4), (4, 5), (20, 30), batch_normalization=True)
    mixed, _ = pair(3, (5, 4), (4, 5), (20, 30), batch_normalization=True, dtype=policy)
    mixed.set_weights(layer.get_weights())
    upstream = np.random.default_rng(1).normal(0, 1, (4, 5, 6, 3))
    expected, found = gradients([layer], inputs, upstream), gradients([mixed], inputs, upstream)
    assert found[0].dtype == mixed.compute_dtype
    assert stock_statistics(mixed).moving_variance.dtype == "float32"
    assert_equal(found[0].astype(np.float32), expected[0], 0.03)
    assert all(np.isfinite(gradient.astype(np.float32)).all() for gradient in found[1])


ON_JAX = """
import jax, keras, numpy as np

keras.config.set_floatx("float64")
from tests.test_pooled_convolution import pair

inputs = np.random.default_rng(0).normal(11.5, 1.5, (3, 23, 31, 1))
for batch_normalization in (False, True):
    ours, chain = pair(4, (4, 5), (3, 7), (23, 31), batch_normalization=batch_normalization, dtype="float64")
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
