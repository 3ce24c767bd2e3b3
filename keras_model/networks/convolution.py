"""The computations of keras_model.networks.pooled_convolution, with gradients of their own."""

from collections.abc import Callable
from functools import cache
from typing import Any

import keras
from keras import ops

# Rows of the output whose products one convolution of the kernel's gradient sums. Short sums round little, and several
# convolutions keep several cores busy.
_ROWS = 8
# Columns of the image that become channels. More of them make longer products, and more of the products are with zeros.
_COLUMNS = 4


def convolve_and_pool(inputs: Any, kernel: Any, *, pool_size: tuple[int, int]) -> Any:
    """Max pooling of a convolution with stride 1 and padding "same", for inference.

    Args:
        inputs: (batch, height, width, 1).
        kernel: (kernel_height, kernel_width, 1, filters).
        pool_size: (pool_height, pool_width), also the stride; rows and columns that fill no window are dropped.

    Returns:
        The pooled values (batch, height // pool_height, width // pool_width, filters).
    """
    return ops.max_pool(_convolve(inputs, kernel), pool_size, pool_size, padding="valid")


def convolve_and_pool_in_training(inputs: Any, kernel: Any, *, pool_size: tuple[int, int], shift: Any = None) -> Any:
    """The same with gradients that take a fraction of the time of the backend's own.

    Args:
        inputs: (batch, height, width, 1).
        kernel: (kernel_height, kernel_width, 1, filters).
        pool_size: As for `convolve_and_pool`.
        shift: (filters,), subtracted from the convolution's output; no gradient flows to it. None for none.

    Returns:
        The pooled values (batch, height // pool_height, width // pool_width, filters). With a shift, also the mean square of the
        shifted output over batch, height and width, (filters,), in the shift's dtype.
    """

    @ops.custom_gradient
    def compute(inputs: Any, kernel: Any) -> tuple[Any, Callable[..., tuple[Any, Any]]]:
        output = _convolve(inputs, kernel)  # (batch, height, width, filters)
        if shift is not None:
            output = ops.add(output, -ops.cast(shift, output.dtype))  # fused with the convolution
        pooled = ops.max_pool(output, pool_size, pool_size, padding="valid")

        def gradient(*upstream: Any) -> tuple[Any, Any]:
            # JAX gives the gradients of two outputs as one tuple.
            of_pooled, *of_square = upstream[0] if isinstance(upstream[0], tuple | list) else upstream
            slope: Any = None
            if of_square:
                slope = ops.cast(of_square[0] * 2 / _n_positions(output, of_square[0].dtype), output.dtype)
            of_output = _compiled(_gradient_of_pooling, pool_size)(output, pooled, of_pooled, slope)
            return _gradient_of_inputs(of_output, kernel), _gradient_of_kernel(inputs, of_output, kernel.shape[:2])

        return (pooled if shift is None else (pooled, _mean_square(output, shift.dtype))), gradient

    return compute(inputs, kernel)


def mean_patch(inputs: Any, kernel_size: tuple[int, int]) -> tuple[Any, Any]:
    """The mean over all positions of the patch of the input that a kernel with padding "same" is laid on.

    The mean of a convolution's output is the sum of its kernel times this patch.

    Args:
        inputs: (batch, height, width, 1); the batch may be empty.
        kernel_size: (kernel_height, kernel_width).

    Returns:
        The patch (kernel_height, kernel_width, 1, 1), and the number of positions, batch · height · width, both in the dtype of
        the inputs.
    """
    n_positions = _n_positions(inputs, inputs.dtype)
    summed = ops.pad(ops.sum(inputs, axis=0), [*_padding(kernel_size), [0, 0]])
    windows = ops.conv(summed[None], ops.ones((*inputs.shape[1:3], 1, 1), dtype=inputs.dtype), padding="valid")
    return ops.transpose(windows, (1, 2, 3, 0)) / ops.maximum(n_positions, 1), n_positions


def sum_over_replicas(values: Any) -> Any:
    """The sum of what each replica of a TensorFlow strategy has; elsewhere the values themselves."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        context = tf.distribute.get_replica_context()
        if context is not None and context.num_replicas_in_sync > 1:
            return context.all_reduce(tf.distribute.ReduceOp.SUM, values)
    return values


def _convolve(inputs: Any, kernel: Any) -> Any:
    """Convolution of one channel with padding "same": (batch, height, width, filters).

    Neighbouring columns of the image are the channels, and neighbouring columns of the output are filters: the same numbers in
    the same order of memory, but a convolution of many channels, which runs close to the peak of a matrix product. Each of the
    `_COLUMNS` columns has the kernel at its own place among zeros.
    """
    height, width = inputs.shape[1:3]
    kernel_height, kernel_width, _, n_filters = kernel.shape
    n_reached = -(-(kernel_width - 1) // _COLUMNS) + 1  # groups of input columns that one group of output columns sees
    n_groups = -(-width // _COLUMNS)
    rows, (before, _) = _padding((kernel_height, kernel_width))
    after = (n_groups + n_reached - 1) * _COLUMNS - width - before
    padded = ops.pad(inputs, [[0, 0], rows, [before, after], [0, 0]])
    grouped = ops.reshape(padded, (-1, height + kernel_height - 1, n_groups + n_reached - 1, _COLUMNS))
    rest = n_reached * _COLUMNS - kernel_width
    shifted = [ops.pad(kernel[:, :, 0], [[0, 0], [place, rest - place], [0, 0]]) for place in range(_COLUMNS)]
    kernels = ops.reshape(ops.stack(shifted, axis=2), (kernel_height, n_reached, _COLUMNS, _COLUMNS * n_filters))
    output = ops.conv(grouped, kernels, padding="valid")  # (batch, height, n_groups, _COLUMNS · filters)
    return ops.reshape(output, (-1, height, n_groups * _COLUMNS, n_filters))[:, :, :width]


def _n_positions(values: Any, dtype: Any) -> Any:
    batch, height, width = ops.shape(values)[:3]
    return ops.cast(batch * height * width, dtype)


def _mean_square(output: Any, dtype: Any) -> Any:
    """Mean square over all positions, (filters,): the diagonal of a matrix product, which reads the output once."""
    rows = ops.reshape(ops.cast(output, dtype), (-1, output.shape[-1]))
    return ops.diagonal(ops.matmul(ops.transpose(rows), rows)) / ops.maximum(_n_positions(output, dtype), 1)


def _gradient_of_pooling(pool_size: tuple[int, int], output: Any, pooled: Any, of_pooled: Any, slope: Any) -> Any:
    """Gradient of the convolution's output, (height, width, batch, filters).

    A window's gradient goes to its largest value, in equal parts to those that tie; `slope` times the output is added.
    """
    height, width = (size * pool for size, pool in zip(pooled.shape[1:3], pool_size, strict=True))
    windows = ops.reshape(
        output[:, :height, :width], (-1, pooled.shape[1], pool_size[0], pooled.shape[2], pool_size[1], output.shape[3])
    )
    largest = windows == pooled[:, :, None, :, None]
    n_largest = ops.sum(ops.cast(largest, output.dtype), axis=(2, 4), keepdims=True)
    shares = ops.where(largest, of_pooled[:, :, None, :, None] / n_largest, ops.zeros((), dtype=output.dtype))
    gradient = ops.reshape(shares, (-1, height, width, output.shape[3]))
    gradient = ops.pad(gradient, [[0, 0], [0, output.shape[1] - height], [0, output.shape[2] - width], [0, 0]])
    if slope is not None:
        gradient += slope * output
    return ops.transpose(gradient, (1, 2, 0, 3))


def _gradient_of_kernel(inputs: Any, of_output: Any, kernel_size: tuple[int, int]) -> Any:
    """Gradient of the kernel, from that of the output (height, width, batch, filters).

    It is the padded inputs, convolved with the gradient as a kernel of the image's size whose channels are the samples.
    """
    padded = ops.transpose(ops.pad(inputs[..., 0], [[0, 0], *_padding(kernel_size)]), (1, 2, 0))[None]
    parts = [
        ops.conv(padded[:, top : top + len_rows + kernel_size[0] - 1], of_output[top : top + len_rows], padding="valid")
        for top in range(0, of_output.shape[0], _ROWS)
        for len_rows in [min(_ROWS, of_output.shape[0] - top)]
    ]
    return ops.transpose(ops.sum(ops.concatenate(parts, axis=0), axis=0)[None], (1, 2, 0, 3))


def _gradient_of_inputs(of_output: Any, kernel: Any) -> Any:
    """Gradient of the inputs; no part of a training step that has no trained layer before the convolution."""
    turned = ops.transpose(ops.flip(kernel, axis=(0, 1)), (0, 1, 3, 2))
    before, after = ([back, front] for front, back in _padding(kernel.shape[:2]))
    return ops.conv(ops.pad(ops.transpose(of_output, (2, 0, 1, 3)), [[0, 0], before, after, [0, 0]]), turned, padding="valid")


def _padding(kernel_size: tuple[int, int]) -> list[list[int]]:
    """What padding "same" puts before and after the image's rows and columns."""
    return [[(size - 1) // 2, size // 2] for size in kernel_size]


@cache
def _compiled(function: Callable[..., Any], pool_size: tuple[int, int]) -> Callable[..., Any]:
    """The function with its first argument bound; TensorFlow compiles it to one pass over memory, JAX compiles whole steps."""

    def bound(*arguments: Any) -> Any:
        return function(pool_size, *arguments)

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(bound, jit_compile=True)
    return bound
