"""The training step and inference of the shallow network beside stock Keras layers and PyTorch, in one run on the same cores.

Each contestant has a process of its own; they take turns, so that a slow minute of the machine is everyone's.

    python -m benchmarks.training                 # the project's network and stock layers; PyTorch's where torch is installed
    KERAS_BACKEND=jax python -m benchmarks.training
"""

import argparse
import importlib.util
import multiprocessing
import os
import statistics
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from benchmarks.timing import median_seconds

# A training step and an inference over a batch; both wait for their result.
Steps = tuple[Callable[[], Any], Callable[[], Any]]

_EPOCH_SAMPLES = 11250  # of the paper: 750 tracks, 15 chunks each
# Multiply-adds of one sample forward: two convolutions and two dense layers.
_FORWARD_MACS = 80 * 80 * 16 * (10 * 23 + 21 * 20) + 10240 * 200 + 200 * 10


def _batch(batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Log-mels in preset `paper`'s range, with its repeated frames, and labels."""
    rng = np.random.default_rng(0)
    log_mels = rng.normal(11.5, 1.5, (batch_size, 80, 80, 1)).astype(np.float32)
    log_mels[:, :, 41:] = log_mels[:, :, 40:41]
    return log_mels, rng.integers(0, 10, batch_size)


def _keras_steps(*, stock: bool, batchnorm: bool, batch: tuple[np.ndarray, np.ndarray], xla: bool) -> Steps:
    """A training step and an inference over a batch, on whichever backend Keras has."""
    from keras_model.quiet import load_tensorflow

    if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
        load_tensorflow()
    import keras

    from benchmarks.stock_network import stock_shallow
    from keras_model.networks.classifiers import build_classifier

    model = (
        stock_shallow(batchnorm=batchnorm) if stock else build_classifier("shallow", (80, 80), n_genres=10, batchnorm=batchnorm)
    )
    optimizer = keras.optimizers.Adam(5e-5, epsilon=1e-8)
    optimizer.build(model.trainable_variables)
    if keras.backend.backend() == "jax":
        return _jax_steps(model, optimizer, batch)
    return _tensorflow_steps(model, optimizer, batch, xla=xla)


def _tensorflow_steps(model: Any, optimizer: Any, batch: tuple[np.ndarray, np.ndarray], *, xla: bool) -> Steps:
    import keras
    import tensorflow as tf

    log_mels, labels = tf.constant(batch[0]), tf.constant(batch[1])

    @tf.function(jit_compile=xla)
    def train() -> Any:
        with tf.GradientTape() as tape:
            losses = keras.losses.sparse_categorical_crossentropy(labels, model(log_mels, training=True))
            loss = tf.reduce_mean(losses) + tf.add_n(model.losses)
        optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables, strict=True))
        return loss

    infer = tf.function(lambda: model(log_mels, training=False), jit_compile=xla)
    return lambda: float(train()), lambda: infer().numpy()


def _jax_steps(model: Any, optimizer: Any, batch: tuple[np.ndarray, np.ndarray]) -> Steps:
    import jax
    import keras
    from jax import numpy as jnp

    log_mels, labels = jnp.asarray(batch[0]), jnp.asarray(batch[1])

    def loss(trainable: Any, others: Any) -> Any:
        outputs, others, penalties = model.stateless_call(trainable, others, log_mels, training=True, return_losses=True)
        return jnp.mean(keras.losses.sparse_categorical_crossentropy(labels, outputs)) + sum(penalties), others

    @jax.jit
    def step(trainable: Any, others: Any, slots: Any) -> Any:
        (value, others), gradients = jax.value_and_grad(loss, has_aux=True)(trainable, others)
        trainable, slots = optimizer.stateless_apply(slots, gradients, trainable)
        return value, trainable, others, slots

    infer = jax.jit(lambda trainable, others: model.stateless_call(trainable, others, log_mels, training=False)[0])
    state = [[weight.value for weight in group] for group in (model.trainable_variables, model.non_trainable_variables)]
    state.append([weight.value for weight in optimizer.variables])

    def train() -> float:
        value, *state[:] = step(*state)
        return float(value)

    return train, lambda: np.asarray(infer(*state[:2]))


def _contestants() -> dict[str, tuple[str, dict[str, Any]]]:
    """By name: the framework, and what tells contestants of it apart."""
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    found = {
        f"this network ({backend})": ("keras", {"stock": False, "xla": False}),
        f"stock Keras layers ({backend})": ("keras", {"stock": True, "xla": False}),
    }
    if backend == "tensorflow":
        found["stock Keras layers, XLA"] = ("keras", {"stock": True, "xla": True})
    if importlib.util.find_spec("torch"):
        found["PyTorch, as by the author"] = ("torch", {"channels_last": False})
        found["PyTorch, channels last"] = ("torch", {"channels_last": True})
    return found


def _serve(connection: Connection, framework: str, settings: dict[str, Any], batchnorm: bool, batch_size: int) -> None:
    """A contestant's process: whenever it is asked, how long a training step and an inference take."""
    batch = _batch(batch_size)
    if framework == "torch":
        from benchmarks.torch_network import torch_steps

        steps = torch_steps(batchnorm=batchnorm, batch=batch, **settings)
    else:
        steps = _keras_steps(batchnorm=batchnorm, batch=batch, **settings)
    for _ in iter(connection.recv, None):
        connection.send([median_seconds(step, runs=5) for step in steps])


def _seconds(batchnorm: bool, batch_size: int, rounds: int) -> Iterator[tuple[str, float, float]]:
    """Yields name, seconds of a training step and of an inference, each the median over rounds."""
    context = multiprocessing.get_context("spawn")
    connections = {}
    for name, (framework, settings) in _contestants().items():
        connections[name], theirs = context.Pipe()
        arguments = (theirs, framework, settings, batchnorm, batch_size)
        context.Process(target=_serve, args=arguments, daemon=True).start()
        theirs.close()  # so that a contestant that dies is an EOFError here
    seconds: dict[str, list[list[float]]] = {name: [] for name in connections}
    for _ in range(rounds):
        for name, connection in connections.items():
            connection.send("measure")
            seconds[name].append(connection.recv())
    for name, connection in connections.items():
        connection.send(None)
        train, infer = (statistics.median(values) for values in zip(*seconds[name], strict=True))
        yield name, train, infer


def main() -> None:
    """Prints samples per second and the ratios to the project's network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for batchnorm in (False, True):
        print(f"\n{'With' if batchnorm else 'Without'} batch normalisation, batch {options.batch_size}, {os.cpu_count()} cores")
        print(f"{'':34}{'training: samples/s':>20}{'s/epoch':>9}{'ratio':>7}{'inference: samples/s':>22}{'ratio':>7}", flush=True)
        rows = list(_seconds(batchnorm, options.batch_size, options.rounds))
        _, own_train, own_infer = rows[0]
        for name, train, infer in rows:
            speeds = options.batch_size / train, options.batch_size / infer
            print(
                f"{name:34}{speeds[0]:20.0f}{_EPOCH_SAMPLES / speeds[0]:9.1f}{train / own_train:7.2f}"
                f"{speeds[1]:22.0f}{infer / own_infer:7.2f}",
                flush=True,
            )
        gflops = 2 * 3 * _FORWARD_MACS * options.batch_size / own_train / 1e9
        print(f"This network's training step: {gflops:.0f} GFLOP/s, counting three times the forward products")


if __name__ == "__main__":
    main()
