"""What shares each batch: one device, or all GPUs of the machine."""

import functools

import tensorflow as tf


@functools.cache
def make_strategy() -> tf.distribute.Strategy:
    """The process's one strategy: TensorFlow does not take a second one of another size.

    One device has none, for a MirroredStrategy over it costs milliseconds a step (docs/training.md).
    """
    names = device_names()
    return tf.distribute.MirroredStrategy(names) if len(names) > 1 else tf.distribute.get_strategy()


def device_names() -> list[str]:
    """All visible GPUs, or else the CPU (several where it was divided into logical devices): "GPU:0"."""
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return [f"{device.device_type}:{index}" for index, device in enumerate(devices)]
