"""Max pooling of a convolution, by way of the image's spectrum along one axis; with gradients of their own.

A discrete Fourier transform along an axis turns all taps along it into one product per frequency. What is left are products of
matrices, which run close to a CPU's peak whatever its instructions, and a quarter of the convolution's multiplications:

1. The image's lines become cosines and sines, by a product with a constant matrix.
2. At each frequency these are multiplied by the kernel's, for all taps across the lines.
3. Another constant matrix leads back to the image. Around the middle of a line cosines are even and sines odd, so that one half
   of each, `even` and `odd`, is the whole output: `even + odd` after the middle, mirrored `even - odd` before it.
4. These are pooled as they are, and only what is left of them is laid out as an image.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import keras
import numpy as np
from keras import ops

# Positions on either side of a block's middle. Long lines are transformed in blocks, as the transform's work grows with its
# length.
_HALF = 40
# Rows of the output that one product computes. More of them make larger products, and more of the products are with zeros.
_ROWS = 4


def convolve_and_pool(inputs: Any, kernel: Any, *, pool_size: tuple[int, int]) -> Any:
    """Max pooling of a convolution with stride 1 and padding "same", for inference.

    Args:
        inputs: (batch, height, width, 1).
        kernel: (kernel_height, kernel_width, 1, filters).
        pool_size: (pool_height, pool_width), also the stride; rows and columns that fill no window are dropped.

    Returns:
        The pooled values (batch, height // pool_height, width // pool_width, filters), in float32 at least.
    """
    plan = _plan(tuple(inputs.shape[1:3]), tuple(kernel.shape[:2]), pool_size)
    dtype = _at_least_float32(inputs)
    output = plan.halves(plan.spectrum(ops.cast(inputs, dtype)), *plan.weights(ops.cast(kernel, dtype)))
    return plan.image(plan.pooled(*output), kernel.shape[-1])


def convolve_and_pool_in_training(inputs: Any, kernel: Any, *, pool_size: tuple[int, int], shift: Any = None) -> Any:
    """The same with gradients that take a fraction of the time of the backend's own.

    Args:
        inputs: (batch, height, width, 1).
        kernel: (kernel_height, kernel_width, 1, filters).
        pool_size: As for `convolve_and_pool`.
        shift: (filters,), subtracted from the convolution's output for its mean square; no gradient flows to it. None for none.

    Returns:
        The pooled values (batch, height // pool_height, width // pool_width, filters), in float32 at least. With a shift, also
        the mean square of the shifted output over batch, height and width, (filters,).
    """
    plan = _plan(tuple(inputs.shape[1:3]), tuple(kernel.shape[:2]), pool_size)
    dtype = _at_least_float32(inputs)

    @ops.custom_gradient
    def compute(spectrum: Any, of_even: Any, of_odd: Any) -> tuple[Any, Callable[..., Any]]:
        # TensorFlow would keep intermediates for a gradient of its own.
        even, odd, pooled, squares = _compiled(plan.forward)(*map(ops.stop_gradient, (spectrum, of_even, of_odd)), shift)

        def gradient(*upstream: Any) -> tuple[Any, Any, Any]:
            # JAX gives the gradients of two outputs as one tuple.
            of_outputs = upstream[0] if isinstance(upstream[0], tuple | list) else upstream
            products = _compiled(plan.gradient_of_products)(even, odd, pooled, shift, *of_outputs)
            # Apart, as a training step that has no trained layer before the convolution has no use for the spectrum's.
            of_spectrum = _compiled(plan.gradient_of_spectrum)(of_even, of_odd, *products)
            return of_spectrum, *_compiled(plan.gradient_of_weights)(spectrum, *products)

        return (pooled if shift is None else (pooled, squares)), gradient

    spectrum = _compiled(plan.spectrum)(ops.cast(inputs, dtype))
    found = compute(spectrum, *_compiled(plan.weights)(ops.cast(kernel, dtype)))
    pooled, *squares = [found] if shift is None else found
    pooled = plan.image(pooled, kernel.shape[-1])
    if shift is None:
        return pooled
    return pooled, ops.sum(squares[0], axis=(0, 2, 3, 4)) / ops.maximum(_n_positions(inputs, dtype), 1)


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
    summed = ops.pad(ops.sum(inputs, axis=0), [*(_padding(size) for size in kernel_size), (0, 0)])
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


class _Plan:
    """The computation for images, kernels and windows of certain sizes.

    A block's output is held as two tensors, `even` and `odd`: (positions after the block's middle, rows of a group, filters,
    groups of rows, blocks, batch).
    """

    def __init__(self, image: tuple[int, int], kernel_size: tuple[int, int], pool_size: tuple[int, int]) -> None:
        self._along = int(pool_size[1] > pool_size[0])  # the axis of the transform: that of the longer windows
        (length, self._n_rows), (taps, self._row_taps), self._pool = (
            (sizes[self._along], sizes[1 - self._along]) for sizes in (image, kernel_size, pool_size)
        )
        self._pooled_size = (image[0] // pool_size[0], image[1] // pool_size[1])
        # Half a block and a group of rows both are whole windows.
        self._half = self._pool[0] * min(-(-length // (2 * self._pool[0])), max(1, _HALF // self._pool[0]))
        self._starts = range(0, length, 2 * self._half)  # of blocks
        self._grouped = self._pool[1] * max(1, _ROWS // self._pool[1])
        self._n_groups = -(-self._n_rows // self._grouped)
        self._patch = self._grouped + self._row_taps - 1  # rows of the input that a group of rows sees

        # To the transform lines repeat; the period has to keep apart what a kernel sees at once. Odd ones waste no frequency.
        before, after = _padding(taps)
        period = (length + max(before, after) if len(self._starts) == 1 else 2 * self._half + taps - 1) // 2 * 2 + 1
        frequencies = 2 * np.pi / period * np.arange((period + 1) // 2)
        self._line_padding = (before, len(self._starts) * 2 * self._half - length + after)
        self._to_spectrum = _waves(frequencies, np.arange(2 * self._half + taps - 1) - before - (self._half - 0.5))
        self._of_taps = _waves(frequencies, np.arange(taps) - before)
        waves = _waves(frequencies, np.arange(self._half) + 0.5) * np.where(frequencies, 2, 1)[:, None, None] / period
        self._from_spectrum = waves[:, 0].T, waves[:, 1].T

        # Which positions, after and before the middle, are in the image.
        position = np.arange(self._half)[:, None, None, None, None, None]
        start = np.asarray(self._starts)[:, None] + self._half
        row = np.arange(self._n_groups)[:, None, None] * self._grouped + np.arange(self._grouped)[:, None, None, None, None]
        self._inside = [(place + start < length) & (row < self._n_rows) for place in (position, -1 - position)]

    def spectrum(self, inputs: Any) -> Any:
        """The cosines and sines that each group of rows sees: (frequencies, 2 · patch, groups · blocks · batch)."""
        before, after = _padding(self._row_taps)
        more = -(-(self._row_taps - 1) // self._grouped)  # groups that the last one sees
        after = (self._n_groups + more) * self._grouped - self._n_rows - before
        lines = ops.transpose(inputs[..., 0], (1 + self._along, 2 - self._along, 0))
        lines = ops.pad(lines, [self._line_padding, (before, after), (0, 0)])
        blocks = ops.stack([lines[start : start + self._to_spectrum.shape[2]] for start in self._starts], axis=2)
        waves = _product(self._to_spectrum, blocks)
        waves = ops.reshape(waves, (waves.shape[0], 2, self._n_groups + more, self._grouped, len(self._starts), -1))
        rows = [divmod(row, self._grouped) for row in range(self._patch)]
        patches = ops.stack([waves[:, :, group : group + self._n_groups, row] for group, row in rows], axis=2)
        return ops.reshape(patches, (waves.shape[0], 2 * self._patch, -1))

    def weights(self, kernel: Any) -> tuple[Any, Any]:
        """What leads from there to the cosines and the sines of the output: (frequencies, grouped · filters, 2 · patch) each."""
        waves = _product(self._of_taps, ops.transpose(kernel[:, :, 0], (1, 0, 2) if self._along else (0, 1, 2)))
        waves = ops.transpose(ops.reshape(waves, (waves.shape[0], 2, self._row_taps, -1)), (1, 0, 3, 2))
        return self._banded(waves[0], waves[1]), self._banded(-waves[1], waves[0])

    def _banded(self, *waves: Any) -> Any:
        """Cosines and sines (frequencies, filters, row taps) for each row of a group, at the row's own place among zeros."""
        both = ops.stack(waves, axis=2)
        places = [(place, self._grouped - 1 - place) for place in range(self._grouped)]
        rows = ops.stack([ops.pad(both, [(0, 0), (0, 0), (0, 0), place]) for place in places], axis=1)
        return ops.reshape(rows, (both.shape[0], -1, 2 * self._patch))

    def halves(self, spectrum: Any, *weights: Any) -> list[Any]:
        """The convolution's output, `even` and `odd`."""
        shape = (self._half, self._grouped, weights[0].shape[1] // self._grouped, self._n_groups, len(self._starts), -1)
        products = (_product(m, ops.matmul(one, spectrum)) for m, one in zip(self._from_spectrum, weights, strict=True))
        return [ops.reshape(product, shape) for product in products]

    def pooled(self, even: Any, odd: Any) -> Any:
        """The largest values of windows: (windows of a block, windows of a group, filters · groups of rows · blocks · batch)."""
        after, before = (ops.max(self._windows(side), axis=(1, 3)) for side in (even + odd, even - odd))
        return ops.concatenate([ops.flip(before, axis=0), after], axis=0)

    def image(self, pooled: Any, n_filters: int) -> Any:
        """The same as (batch, height, width, filters) of windows that lie in the image."""
        pooled = ops.reshape(pooled, (*pooled.shape[:2], n_filters, self._n_groups, len(self._starts), -1))
        lengthwise, across = (4, 0), (3, 1)
        axes = (*across, *lengthwise) if self._along else (*lengthwise, *across)
        height, width = pooled.shape[axes[0]] * pooled.shape[axes[1]], pooled.shape[axes[2]] * pooled.shape[axes[3]]
        image = ops.reshape(ops.transpose(pooled, (5, *axes, 2)), (-1, height, width, n_filters))
        return image[:, : self._pooled_size[0], : self._pooled_size[1]]

    def forward(self, spectrum: Any, of_even: Any, of_odd: Any, shift: Any) -> tuple[Any, Any, Any, Any]:
        """Output, pooled values, and for a shift squares of the shifted output that are yet to be summed over all but filters."""
        even, odd = self.halves(spectrum, of_even, of_odd)
        squares = None
        if shift is not None:
            sides = zip((even + odd, even - odd), self._inside, strict=True)
            squares = sum(ops.sum(ops.square(_shifted(side, shift, inside)), axis=0) for side, inside in sides)
        return even, odd, self.pooled(even, odd), squares

    def gradient_of_products(
        self, even: Any, odd: Any, pooled: Any, shift: Any, of_pooled: Any, of_squares: Any = None
    ) -> tuple[Any, Any]:
        """Gradients of the output's cosines and sines, (frequencies, grouped · filters, groups · blocks · batch) each.

        A window's gradient goes to its largest value, in equal parts to those that tie.
        """
        n_windows = self._half // self._pool[0]
        gradients = []
        for i, side in enumerate((even + odd, even - odd)):
            top, of_top = (ops.flip(values[:n_windows], axis=0) if i else values[n_windows:] for values in (pooled, of_pooled))
            largest = self._windows(side) == top[:, None, :, None]
            n_largest = ops.sum(ops.cast(largest, side.dtype), axis=(1, 3))
            shares = ops.where(largest, (of_top / n_largest)[:, None, :, None], ops.zeros((), dtype=side.dtype))
            gradient = ops.reshape(shares, ops.shape(side))
            if shift is not None:
                gradient += 2 * of_squares * _shifted(side, shift, self._inside[i])
            gradients.append(gradient)
        of_halves = gradients[0] + gradients[1], gradients[0] - gradients[1]
        shape = (self._to_spectrum.shape[0], even.shape[1] * even.shape[2], -1)
        products = (_product(m.T, half) for m, half in zip(self._from_spectrum, of_halves, strict=True))
        of_even, of_odd = (ops.reshape(product, shape) for product in products)
        return of_even, of_odd

    @staticmethod
    def gradient_of_weights(spectrum: Any, *of_products: Any) -> tuple[Any, Any]:
        """Of the weights of both products."""
        of_even, of_odd = (ops.matmul(of_product, ops.transpose(spectrum, (0, 2, 1))) for of_product in of_products)
        return of_even, of_odd

    @staticmethod
    def gradient_of_spectrum(of_even: Any, of_odd: Any, *of_products: Any) -> Any:
        """Of the image's spectrum."""
        weights = ops.concatenate([of_even, of_odd], axis=1)
        return ops.matmul(ops.transpose(weights, (0, 2, 1)), ops.concatenate(of_products, axis=1))

    def _windows(self, values: Any) -> Any:
        along, across = self._pool
        return ops.reshape(values, (self._half // along, along, self._grouped // across, across, -1))


@cache
def _plan(image: tuple[int, int], kernel_size: tuple[int, int], pool_size: tuple[int, int]) -> _Plan:
    return _Plan(image, kernel_size, pool_size)


@cache
def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, by TensorFlow compiled to few passes over memory; JAX compiles whole steps."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=True, autograph=False)
    return function


def _waves(frequencies: Any, times: Any) -> Any:
    """Cosines and sines: (frequencies, 2, times)."""
    angles = np.outer(frequencies, times)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _product(matrix: Any, values: Any) -> Any:
    """Product of a constant (..., n) and values (n, ...): (first axis of the constant, the rest)."""
    constant = ops.convert_to_tensor(matrix.reshape(-1, matrix.shape[-1]), dtype=values.dtype)
    return ops.reshape(ops.matmul(constant, ops.reshape(values, (values.shape[0], -1))), (matrix.shape[0], -1))


def _shifted(output: Any, shift: Any, inside: Any) -> Any:
    """The output less the shift of its filter; 0 outside of the image."""
    return (output - shift[:, None, None, None]) * ops.convert_to_tensor(inside, dtype=output.dtype)


def _padding(size: int) -> tuple[int, int]:
    """What padding "same" puts before and after a line, for so many taps."""
    return (size - 1) // 2, size // 2


def _n_positions(inputs: Any, dtype: Any) -> Any:
    batch, height, width = ops.shape(inputs)[:3]
    return ops.cast(batch * height * width, dtype)


def _at_least_float32(inputs: Any) -> str:
    """What is computed in: transforms in half precision would lose what differs from the mean."""
    return "float64" if keras.backend.standardize_dtype(inputs.dtype) == "float64" else "float32"
