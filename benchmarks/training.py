"""Training and inference of a network, fused and by Keras' layers, and in PyTorch, in one run on the same device.

Each contestant has a process of its own; they take turns, so that a slow minute of the machine is everyone's.

    python -m benchmarks.training                            # on a CPU; PyTorch's where torch is installed
    python -m benchmarks.training --model deep bbnn          # of other networks, by Keras alone
    KERAS_BACKEND=jax python -m benchmarks.training --samples 11250 --precision float32 mixed_bfloat16
                                                             # on a GPU that has JAX and Keras, and needs no TensorFlow
"""

import argparse
import importlib.util
import itertools
import multiprocessing
import os
import statistics
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from benchmarks.timing import median_seconds

# An epoch of training and an inference over some samples.
Work = tuple[Callable[[], Any], Callable[[], Any]]

_EPOCH_SAMPLES = 11250  # of the paper: 750 tracks, 15 chunks each; its author's two P100s took 1.96 s
_STEPS_PER_EXECUTION = 16  # on a GPU, which would wait for Python
# Multiply-adds of one sample forward, by the direct way: two convolutions and two dense layers.
_FORWARD_MACS = 80 * 80 * 16 * (10 * 23 + 21 * 20) + 10240 * 200 + 200 * 10


def samples_like_paper(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Log-mels (n, 80, 80, 1) in preset `paper`'s range, with its repeated frames, and labels (n,)."""
    rng = np.random.default_rng(0)
    log_mels = rng.normal(11.5, 1.5, (n, 80, 80, 1)).astype(np.float32)
    log_mels[:, :, 41:] = log_mels[:, :, 40:41]
    return log_mels, rng.integers(0, 10, n)


def _keras_work(
    *,
    model: str,
    convolution: str,
    precision: str,
    xla: bool,
    batchnorm: bool,
    samples: tuple[np.ndarray, np.ndarray],
    batch_size: int,
) -> Work:
    """Stock `fit` and `predict`, on whichever backend Keras has."""
    if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
        from keras_model.quiet import load_tensorflow

        load_tensorflow()
    import keras

    from benchmarks.stock_network import pooled_before_activation
    from keras_model.networks.classifiers import build_classifier
    from keras_model.networks.fused import has_gpu, implement

    keras.config.set_dtype_policy(precision)
    if convolution == "pooled first":
        network = pooled_before_activation(batchnorm=batchnorm)
    else:
        network = build_classifier(model, (80, 80), n_genres=10, batchnorm=batchnorm, synchronized=False)
        implement(network, convolution)
    compiled: dict[str, Any] = {"jit_compile": xla} if keras.backend.backend() == "tensorflow" else {}
    if has_gpu():
        compiled["steps_per_execution"] = _STEPS_PER_EXECUTION
    network.compile(keras.optimizers.Adam(5e-5, epsilon=1e-8), "sparse_categorical_crossentropy", **compiled)
    log_mels, labels = samples
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        from tfrecords.records.shard_records import made_ahead

        # Arrays would go through a tf.data pipeline that is tuned while it runs, the end of which waits for the tuning.
        batches = made_ahead(tf.data.Dataset.from_tensor_slices((log_mels, labels)).batch(batch_size))
        return lambda: network.fit(batches, shuffle=False, verbose=0), lambda: network.predict(batches, verbose=0)
    return (
        lambda: network.fit(log_mels, labels, batch_size=batch_size, shuffle=False, verbose=0),
        lambda: network.predict(log_mels, batch_size=batch_size, verbose=0),
    )


def _contestants(model: str, precisions: list[str]) -> dict[str, tuple[str, dict[str, Any]]]:
    """By name: the framework, and what tells contestants of it apart."""
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for precision in precisions:
        suffix = "" if precision == "float32" else f", {precision}"
        plain = {"model": model, "precision": precision, "xla": False}
        found[f"fused{suffix}"] = ("keras", {"convolution": "fused", **plain})
        if model != "shallow":
            found[f"as by default{suffix}"] = ("keras", {"convolution": "auto", **plain})
        found[f"stock layers{suffix}"] = ("keras", {"convolution": "stock", **plain})
        if model == "shallow":
            found[f"stock, LeakyReLU after pooling{suffix}"] = ("keras", {"convolution": "pooled first", **plain})
        if model == "shallow" and os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
            found[f"stock layers, XLA{suffix}"] = ("keras", {"convolution": "stock", **plain, "xla": True})
    if model == "shallow" and importlib.util.find_spec("torch"):
        found["PyTorch, as by the author"] = ("torch", {"channels_last": False})
        found["PyTorch, channels last"] = ("torch", {"channels_last": True})
    return found


def _serve(
    connection: Connection, framework: str, settings: dict[str, Any], options: argparse.Namespace, batchnorm: bool
) -> None:
    """A contestant's process: whenever it is asked, how long an epoch and an inference take."""
    samples = samples_like_paper(options.samples)
    if framework == "torch":
        from benchmarks.torch_network import torch_work

        work = torch_work(batchnorm=batchnorm, samples=samples, batch_size=options.batch_size, **settings)
    else:
        work = _keras_work(batchnorm=batchnorm, samples=samples, batch_size=options.batch_size, **settings)
    for _ in iter(connection.recv, None):
        connection.send([median_seconds(part, runs=1) for part in work])


def _seconds(options: argparse.Namespace, model: str, batchnorm: bool) -> Iterator[tuple[str, float, float]]:
    """Yields name, seconds of an epoch and of an inference, each the median over rounds."""
    context = multiprocessing.get_context("spawn")
    connections = {}
    for name, (framework, settings) in _contestants(model, options.precision).items():
        connections[name], theirs = context.Pipe()
        context.Process(target=_serve, args=(theirs, framework, settings, options, batchnorm), daemon=True).start()
        theirs.close()  # so that a contestant that dies is an EOFError here
    seconds: dict[str, list[list[float]]] = {name: [] for name in connections}
    for _ in range(options.rounds):
        for name, connection in connections.items():
            connection.send("measure")
            seconds[name].append(connection.recv())
    for name, connection in connections.items():
        connection.send(None)
        train, infer = (statistics.median(values) for values in zip(*seconds[name], strict=True))
        yield name, train, infer


def main() -> None:
    """Prints samples per second, and how many times as fast the fused network is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--samples", type=int, default=640, help="in a measurement")
    parser.add_argument("--precision", nargs="+", default=["float32"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", nargs="+", default=["shallow"])
    options = parser.parse_args()
    for model, batchnorm in itertools.product(options.model, (False, True)):
        if model == "bbnn" and batchnorm:  # it always has its own
            continue
        normalised = "with" if batchnorm else "without"
        print(f"\n{model} {normalised} batch normalisation, batch {options.batch_size}, {os.cpu_count()} cores")
        heading = ("training: samples/s", "s/epoch", "fused is", "inference: samples/s", "fused is")
        print(f"{'':48}" + "".join(f"{title:>21}" for title in heading), flush=True)
        rows = list(_seconds(options, model, batchnorm))
        _, own_train, own_infer = rows[0]
        for name, train, infer in rows:
            speeds = options.samples / train, options.samples / infer
            cells = (
                f"{speeds[0]:.0f}",
                f"{_EPOCH_SAMPLES / speeds[0]:.2f}",
                f"{train / own_train:.2f} x",
                f"{speeds[1]:.0f}",
                f"{infer / own_infer:.2f} x",
            )
            print(f"{name:48}" + "".join(f"{cell:>21}" for cell in cells), flush=True)
        if model == "shallow":
            gflops = 2 * 3 * _FORWARD_MACS * options.samples / own_train / 1e9
            print(f"The fused training is worth {gflops:.0f} GFLOP/s of direct convolutions, three times the forward products")


if __name__ == "__main__":
    main()
