"""python -m tests.replicas N_REPLICAS FILE: trainings on noise on so many logical CPUs; their weights as a NumPy archive.

On four, only the small network is trained: TensorFlow takes long to build the step for each replica.
"""

import sys
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_model.options import TrainOptions
from keras_model.training.fit import build_model, fit
from tests.tiny_training import GENRES, WeightsAtEnd, noise, tiny_network

# By name: records, shape, options. 128 + 50 and 64 + 1 records in batches of 64: the last one has 50, or 1.
TRAININGS: dict[str, tuple[int, tuple[int, int], dict[str, Any]]] = {
    "last_50": (178, (6, 5), {"epochs": 17}),
    "last_1": (65, (6, 5), {"epochs": 25, "ema": 0.9}),
    "shallow": (65, (20, 21), {"epochs": 2, "batchnorm": True}),
}


def train(name: str) -> list[np.ndarray]:
    n_records, shape, options = TRAININGS[name]
    at_end = WeightsAtEnd()
    fit(
        TrainOptions(batch_size=64, learning_rate=1e-3, l1=1e-3, dropout=0.0, precision="float64", **options),
        train=noise(n_records, shape=shape),
        test=noise(7, seed=1, shape=shape),
        genres=GENRES,
        build=build_model if name == "shallow" else tiny_network,
        callbacks=[at_end],
        show_progress=False,
    )
    return at_end.weights + at_end.optimizer_state


def skipped_step() -> tuple[float, bool]:
    """Float16, where the gradients of the last replica alone overflow: the loss scale after it, and whether all is finite."""
    records = noise(8)
    assert records.cached is not None
    at_end, scales = WeightsAtEnd(), []

    class Scale(keras.callbacks.Callback):
        def on_train_end(self, logs: dict[str, float] | None = None) -> None:
            scales.append(float(self.model.optimizer.dynamic_scale.numpy()))

    def last_is_large(batches: tf.data.Dataset, *, epoch: int, first_step: int) -> tf.data.Dataset:
        return batches.map(lambda log_mels, targets: (tf.concat([log_mels[:-1], 1e3 * log_mels[-1:]], 0), 9.0 * targets))

    fit(
        TrainOptions(batch_size=8, epochs=1, l1=0.0, dropout=0.0, precision="mixed_float16"),
        train=records,
        test=records,
        genres=GENRES,
        build=tiny_network,
        callbacks=[at_end, Scale()],
        augment=last_is_large,
        show_progress=False,
    )
    return scales[0], all(np.isfinite(weight).all() for weight in at_end.weights)


def main(n_replicas: int, path: str) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * n_replicas)
    weights = {"shallow": train("shallow")} if n_replicas < 4 else {}
    weights |= {name: train(name) for name in ("last_50", "last_1")}
    scale, is_finite = skipped_step() if n_replicas < 4 else (0.0, False)
    arrays = {f"{name}/{index}": weight for name, of_one in weights.items() for index, weight in enumerate(of_one)}
    np.savez(path, allow_pickle=False, **arrays | {"scale": np.array(scale), "is_finite": np.array(is_finite)})


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
