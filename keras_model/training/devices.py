"""What shares each batch: one device, all devices of a machine, or those of several machines."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from keras_model.run_folder import TrainingError
from keras_model.training.cluster import Cluster


@contextmanager
def lost_workers_named() -> Iterator[None]:
    """Within it, an operation that fails because of another worker raises a TrainingError that says so."""
    try:
        yield
    except (
        tf.errors.UnavailableError,
        tf.errors.AbortedError,
        tf.errors.CancelledError,
        tf.errors.DeadlineExceededError,
    ) as error:
        if Cluster.from_environment().n_workers == 1:
            raise
        raise TrainingError(
            f"another worker was lost or cannot be reached ({type(error).__name__}): "
            "once all of them can run again, go on by --resume with each"
        ) from error


@functools.cache
def make_strategy() -> tf.distribute.Strategy:
    """The process's one strategy: TensorFlow does not take a second one of another size.

    On several machines (TF_CONFIG) it must be made before the first operation runs. One device needs no strategy, and without
    one XLA can compile the whole step.
    """
    if has_gpus():
        # The same seed gives the same numbers: some of cuDNN's algorithms add up in another order each time.
        tf.config.experimental.enable_op_determinism()
    if Cluster.from_environment().n_workers > 1:
        with lost_workers_named():
            return tf.distribute.MultiWorkerMirroredStrategy()
    names = _local_devices()
    return tf.distribute.MirroredStrategy(names) if len(names) > 1 else tf.distribute.get_strategy()


def device_names() -> list[str]:
    """What shares each batch, for people: "GPU:0", or "worker 1: CPU:0" on several machines."""
    cluster, names = Cluster.from_environment(), _local_devices()
    if cluster.n_workers == 1:
        return names
    n_local = make_strategy().num_replicas_in_sync // cluster.n_workers
    return [f"worker {worker}: {name}" for worker in range(cluster.n_workers) for name in names[:n_local]]


def has_gpus() -> bool:
    """Whether this process sees a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def _local_devices() -> list[str]:
    """All visible GPUs, or else the CPU (several where it was divided into logical devices)."""
    for kind in ("GPU", "CPU"):
        if devices := tf.config.list_logical_devices(kind):
            return [f"{kind}:{index}" for index in range(len(devices))]
    raise RuntimeError("TensorFlow sees neither a GPU nor a CPU")
