"""A convolution of a log-mel with its batch normalisation and max pooling as one layer: stock Keras' values, for less work.

Written with keras.ops, so that it runs on every backend. What it saves, on a CPU:

- Groups of neighbouring columns are the channels of the convolution, on both sides (module convolution). Convolutions of many
  channels run close to the peak of a matrix product; those of one channel, on most CPUs, do not.
- The gradient of the kernel is computed as a convolution in which the samples of the batch are the channels.
- Max pooling picks values and an increasing function keeps their order, so normalisation (like LeakyReLU) follows the pooling, on
  as few values as the pooling leaves. A decreasing one, of negative gamma, becomes increasing with the kernel's sign.
- The batch's mean comes from the mean patch of the input, with no look at the convolution's output. The output is centred by it
  in the convolution itself, as a bias, so the variance is one sum of squares and loses no digits to the mean.
- The gradient of pooling and variance is one fused pass, laid out as the kernel's gradient wants it.
"""

from typing import Any

import keras
from keras import ops

from keras_model.networks.convolution import convolve_and_pool, convolve_and_pool_in_training, mean_patch, sum_over_replicas


class PooledConvolution(keras.layers.Layer):
    """Convolution of one channel with stride 1 and padding "same", then batch normalisation if there is one, then max pooling.

    Equal to the three layers one after the other, up to rounding, and with their weights: it has none of its own. Where values of
    a pooling window tie, its gradient is shared among them, while Keras gives it to the first: the same for equal patches, such
    as those of repeated frames.

    Args:
        convolution: A built Conv2D.
        normalization: The batch normalisation of its output; None for none.
        pool: Its strides are its pool size, and rows and columns that fill no window are dropped.
        **kwargs: Of keras.layers.Layer.
    """

    def __init__(
        self,
        convolution: keras.layers.Conv2D,
        normalization: keras.layers.BatchNormalization | None,
        pool: keras.layers.MaxPooling2D,
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype=convolution.dtype_policy, **kwargs)
        self.convolution = convolution
        self.normalization = normalization
        self.pool_size = tuple(pool.pool_size)
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Maps (batch, height, width, 1) to (batch, height // pool_height, width // pool_width, filters)."""
        kernel = ops.copy(self.convolution.kernel)  # a function with a gradient of its own takes tensors, no variables
        bias = ops.convert_to_tensor(self.convolution.bias)
        normalization = self.normalization
        if normalization is None:
            # A saved function with a gradient of its own warns whoever loads it: what is served has none.
            pool = convolve_and_pool_in_training if training else convolve_and_pool
            return ops.add(pool(inputs, kernel, pool_size=self.pool_size), bias)
        if training and normalization.trainable:
            return self._normalize_by_batch(inputs, kernel, bias, normalization)
        # gamma · (kernel * x + bias − mean) / deviation + beta, as one convolution with another kernel and a constant.
        scale = normalization.gamma * ops.rsqrt(normalization.moving_variance + normalization.epsilon)
        constant = normalization.beta + (ops.cast(bias, scale.dtype) - normalization.moving_mean) * scale
        pooled = convolve_and_pool(inputs, ops.multiply(kernel, ops.cast(scale, kernel.dtype)), pool_size=self.pool_size)
        return ops.add(pooled, ops.cast(constant, pooled.dtype))

    def _normalize_by_batch(self, inputs: Any, kernel: Any, bias: Any, normalization: keras.layers.BatchNormalization) -> Any:
        gamma, moving_mean, moving_variance = (
            normalization.gamma,
            normalization.moving_mean,
            normalization.moving_variance,
        )
        dtype = moving_mean.dtype
        bias = ops.cast(bias, dtype)
        sign = ops.where(gamma < 0, -ops.ones_like(gamma), ops.ones_like(gamma))
        rising = ops.multiply(kernel, ops.cast(sign, kernel.dtype))  # with it, every filter's normalisation is increasing
        bias = ops.multiply(bias, sign)
        patch, n_positions = mean_patch(ops.cast(inputs, dtype), self.convolution.kernel_size)
        centre = ops.sum(ops.cast(rising, dtype) * patch, axis=(0, 1, 2))  # (filters,); mean of this replica, without the bias
        pooled, variance = convolve_and_pool_in_training(
            inputs, rising, pool_size=self.pool_size, shift=ops.stop_gradient(centre)
        )
        pooled = ops.cast(pooled, dtype) + (ops.stop_gradient(centre) + bias)
        mean = centre + bias
        if normalization.synchronized:
            # Of all replicas: the mean of the means, and the mean square distance from it, each weighted by its positions.
            total = sum_over_replicas(n_positions)
            own_mean, mean = mean, sum_over_replicas(n_positions * mean) / total
            variance = sum_over_replicas(n_positions * (variance + ops.square(own_mean - mean))) / total
        kept = normalization.momentum
        moving_mean.assign(moving_mean * kept + mean * sign * (1 - kept))
        moving_variance.assign(moving_variance * kept + variance * (1 - kept))
        deviation = ops.sqrt(variance + normalization.epsilon)
        return ops.cast((pooled - mean) * (ops.abs(gamma) / deviation) + normalization.beta, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape of the output."""
        height, width = (size // pool for size, pool in zip(input_shape[1:3], self.pool_size, strict=True))
        return (input_shape[0], height, width, self.convolution.filters)
