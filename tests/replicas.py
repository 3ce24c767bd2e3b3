"""python -m tests.replicas N_REPLICAS FILE: trainings on noise on so many logical CPUs; their weights as a NumPy archive.

On four, only the small networks are trained: TensorFlow takes long to build the step for each replica.
"""

import sys
from typing import Any

import numpy as np
import tensorflow as tf

from keras_model.options import TrainOptions
from keras_model.training.fit import build_model, fit, make_strategy
from tests.tiny_training import GENRES, WeightsAtEnd, noise, tiny_network

# By name: records, shape, options. 128 + 50 and 64 + 1 records in batches of 64: the last one has 50, or 1.
TRAININGS: dict[str, tuple[int, tuple[int, int], dict[str, Any]]] = {
    "last_50": (178, (6, 5), {"epochs": 17, "batchnorm": True}),
    "last_1": (65, (6, 5), {"epochs": 25, "batchnorm": True, "ema": 0.9}),
    "last_50_plain": (178, (6, 5), {"epochs": 3}),
    "last_1_plain": (65, (6, 5), {"epochs": 3}),
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
        test_every_epoch=False,
    )
    return at_end.weights + at_end.optimizer_state


def masks(n_replicas: int) -> list[np.ndarray]:
    """The states of each replica's dropout generator when an epoch begins, two epochs."""
    import keras

    from keras_model.training.callbacks import SeedDropout

    strategy = make_strategy()
    with strategy.scope():
        inputs = keras.Input((4,))
        model = keras.Model(inputs, keras.layers.Dropout(0.5)(inputs))
    seeding = SeedDropout(3)
    seeding.set_model(model)
    states = []
    for epoch in range(2):
        seeding.on_epoch_begin(epoch)
        state = model.layers[1].seed_generator.state.value
        states += [value.numpy() for value in strategy.experimental_local_results(state)]
    return states


def main(n_replicas: int, path: str) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * n_replicas)
    names = [name for name in TRAININGS if n_replicas < 4 or name != "shallow"]
    arrays = {f"{name}/{index}": weight for name in names for index, weight in enumerate(train(name))}
    arrays["masks"] = np.stack(masks(n_replicas))
    np.savez(path, allow_pickle=False, **arrays)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
