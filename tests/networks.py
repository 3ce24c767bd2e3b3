"""The networks as tests build them, and the same networks written plainly, layer by layer, as their sources have them."""

from typing import Any

import keras
import numpy as np
import pytest

from keras_model.networks.classifiers import build_classifier

PAPER = (80, 80)
# Every network that `train.py` can build: its name, and whether batch normalisation is added.
CASES = (("shallow", False), ("shallow", True), ("deep", False), ("deep", True), ("bbnn", False), ("probe", False))
# The same, of which the default tests take one of a kind.
_FEW = (("shallow", True), ("deep", True), ("probe", False))
FEW_CASES = [case if case in _FEW else pytest.param(*case, marks=pytest.mark.long) for case in CASES]


def build(name: str, shape: tuple[int, int] = PAPER, *, seed: int = 0, n_genres: int = 10, **options: Any) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return build_classifier(name, shape, n_genres=n_genres, **{"synchronized": False, **options})


def log_mels(n: int, shape: tuple[int, int] = PAPER) -> np.ndarray:
    """Like preset `paper`: mean 11.5, standard deviation 1.5, the second half of the frames alike."""
    values = np.random.default_rng(0).normal(11.5, 1.5, (n, *shape, 1)).astype(np.float32)
    half = shape[1] // 2
    values[:, :, half + 1 :] = values[:, :, half : half + 1]
    return values


def shapes_of(model: keras.Model) -> dict[str, tuple[int, ...]]:
    return {layer.name: tuple(layer.output.shape[1:]) for layer in model.layers}


def with_random_statistics(model: keras.Model) -> keras.Model:
    """Gives batch normalisation gammas of both signs and statistics other than 0 and 1, and biases and kernels other than 0."""
    rng = np.random.default_rng(3)
    for layer in model.layers:
        if hasattr(layer, "gamma"):
            shape = layer.gamma.shape
            layer.moving_variance.assign(rng.uniform(0.5, 2, shape))
            for weight, deviation in ((layer.gamma, 1), (layer.beta, 0.5), (layer.moving_mean, 1)):
                weight.assign(rng.normal(0, deviation, shape))
        if hasattr(layer, "kernel"):
            layer.bias.assign(rng.normal(0, 0.1, layer.bias.shape))
            if not np.any(layer.kernel):
                layer.kernel.assign(rng.normal(0, 1, layer.kernel.shape) / np.sqrt(layer.kernel.shape[0]))
    return model


def plain_parallel(model: keras.Model, n_poolings: int, values: np.ndarray) -> np.ndarray:
    """Schindler's parallel networks with LeakyReLU before each pooling, with the weights of a built one."""
    flat = []
    for branch in ("time", "frequency"):
        x: Any = keras.ops.convert_to_tensor(values)
        for number in range(1, n_poolings + 1):
            name = branch if n_poolings == 1 else f"{branch}_{number}"
            convolved, normalized = model.get_layer(f"{name}_convolution"), model.get_layer(f"{name}_batchnorm")
            pool_size = model.get_layer(f"{name}_pool").pool_size
            x = keras.ops.conv(x, convolved.kernel, padding="same") + convolved.bias
            deviation = keras.ops.sqrt(normalized.moving_variance + normalized.epsilon)
            x = normalized.gamma * (x - normalized.moving_mean) / deviation + normalized.beta
            x = keras.ops.max_pool(keras.ops.leaky_relu(x, 0.3), pool_size, strides=pool_size)
        flat.append(keras.ops.reshape(x, (len(values), -1)))
    x = keras.ops.leaky_relu(model.get_layer("hidden")(keras.ops.concatenate(flat, axis=1)), 0.3)
    return np.asarray(model.get_layer("genre")(x))


def plain_bbnn(model: keras.Model, values: np.ndarray) -> np.ndarray:
    """The authors' network on (time, frequency) inputs, in their order, with the transposed kernels of a built one."""
    ops = keras.ops

    def convolved(x: Any, name: str) -> Any:
        layer = model.get_layer(f"{name}_convolution")
        return ops.conv(x, ops.transpose(layer.kernel, (1, 0, 2, 3)), padding="same") + layer.bias

    def active(x: Any, name: str) -> Any:
        return ops.relu(model.get_layer(f"{name}_batchnorm")(x, training=False))

    def unit(x: Any, name: str) -> Any:
        return convolved(active(x, name), name)

    x = ops.transpose(ops.convert_to_tensor(values), (0, 2, 1, 3))
    x = ops.max_pool(active(convolved(x, "first"), "first"), (4, 1), strides=(4, 1))
    for block in ("block_1", "block_2", "block_3"):
        ways = [
            unit(x, f"{block}_one"),
            unit(unit(x, f"{block}_three_reduced"), f"{block}_three"),
            unit(unit(x, f"{block}_five_reduced"), f"{block}_five"),
            unit(ops.max_pool(x, (3, 3), strides=(1, 1), padding="same"), f"{block}_pooled"),
        ]
        x = ops.concatenate([x, *ways], axis=-1)
    x = ops.average_pool(unit(x, "transition"), (2, 2), strides=(2, 2))
    x = ops.mean(active(x, "last"), axis=(1, 2))
    return np.asarray(model.get_layer("genre")(x))
