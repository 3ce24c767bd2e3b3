"""Another implementation of a network's first convolutions, with the network's own weights.

A network is stock Keras layers, and stays so: what is saved, loaded and shown is those. What is put in here is how some of them
compute: a convolution of the log-mel's one channel, its batch normalisation and its pooling as one.
"""

import math
import platform
from pathlib import Path
from typing import Any

import keras

from keras_model.networks.pooled_convolution import PooledConvolution
from keras_model.networks.settings import IMPLEMENTATIONS

# Without gradients it is the slower one for smaller pooling windows (benchmarks/training.py --model deep).
_LEAST_WINDOW = 8


def implement(model: keras.Model, implementation: str = "auto") -> keras.Model:
    """Chooses how a network's first convolutions are computed; may be called again.

    Args:
        model: Of this package's networks, or one of their files loaded by Keras.
        implementation: "stock" for Keras' own layers; "fused" for one fused computation of each convolution of one channel with
            its batch normalisation and pooling; "auto" for what was measured to be faster on a machine of this kind.

    Returns:
        The model. Functions that were traced before keep what they were traced with.

    Raises:
        ValueError: If there is no such implementation.
    """
    if implementation not in IMPLEMENTATIONS:
        raise ValueError(f"implementation must be one of {', '.join(IMPLEMENTATIONS)}, got {implementation!r}")
    model.call = type(model).call.__get__(model)
    if implementation == "fused" or (implementation == "auto" and _is_fused_faster(model)):
        in_training = _fused_twin(model)
        in_inference = in_training if implementation == "fused" else _fused_twin(model, least_window=_LEAST_WINDOW)

        def call(inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
            return (in_training if training else in_inference).call(inputs, training=training, mask=mask)

        model.call = call
    return model


def has_gpu() -> bool:
    """Whether Keras' backend has a GPU."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))
    if keras.backend.backend() == "jax":
        import jax

        return bool(jax.default_backend() != "cpu")
    return False


def _is_fused_faster(model: keras.Model) -> bool:
    """As measured by benchmarks/training.py on CPUs of x86-64, with and without AVX-512; on others and on GPUs no one has."""
    if has_gpu() or platform.machine() not in ("x86_64", "AMD64"):
        return False
    # Where the CPU multiplies in bfloat16, stock layers do, too; the fused computation is in float32 at least.
    return model.dtype_policy.name != "mixed_bfloat16" or not {"avx512_bf16", "amx_bf16"} & _cpu_flags()


def _cpu_flags() -> set[str]:
    """What the CPU can do, in Linux' words; nothing where that cannot be read."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return set()
    return next((set(line.split()) for line in text.splitlines() if line.startswith("flags")), set())


def _fused_twin(model: keras.Model, *, least_window: int = 1) -> keras.Model:
    """A network of the same layers, but for those that are fused, of pooling windows of so many values; they share weights."""
    layers = {layer.name: layer for layer in model.layers}
    fused, passed_over = {}, set()
    for name, layer in layers.items():
        block = name.removesuffix("_convolution")
        pool = layers.get(f"{block}_pool")
        is_convolution = isinstance(layer, keras.layers.Conv2D) and layer.kernel.shape[2] == 1
        if is_convolution and pool is not None and math.prod(pool.pool_size) >= least_window:
            fused[name] = PooledConvolution(layer, layers.get(f"{block}_batchnorm"), pool, name=f"{block}_fused")
            passed_over |= {f"{block}_batchnorm", f"{block}_pool"}

    def call(layer: keras.layers.Layer, *inputs: Any, **arguments: Any) -> Any:
        if layer.name in passed_over:
            return inputs[0]
        return fused.get(layer.name, layer)(*inputs, **arguments)

    # LeakyReLU rises, so that it may follow the pooling: there it stays, for a fraction of the work.
    return keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=call)
