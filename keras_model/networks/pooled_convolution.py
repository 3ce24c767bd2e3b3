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


@keras.saving.register_keras_serializable(package="keras_model")
class PooledConvolution(keras.layers.Layer):
    """Convolution of one channel with stride 1 and padding "same", then batch normalisation if asked for, then max pooling.

    Equal to keras.layers.Conv2D, BatchNormalization and MaxPooling2D one after the other, up to rounding, and with their weights
    in their shapes: `kernel` (kernel_height, kernel_width, 1, filters), `bias`, and with batch normalisation `gamma`, `beta`,
    `moving_mean` and `moving_variance`, each (filters,). Where values of a pooling window tie, its gradient is shared among them,
    while Keras gives it to the first: the same for equal patches, such as those of repeated frames.

    Args:
        filters: Number of kernels.
        kernel_size: (kernel_height, kernel_width).
        pool_size: (pool_height, pool_width); also the pooling's stride. Rows and columns that fill no window are dropped.
        batch_normalization: Whether the convolution's output is normalised, by the batch in training.
        momentum: Share of the moving statistics that a batch leaves as it is.
        epsilon: Added to the variance.
        synchronized: Whether the batch's statistics are those of all replicas together.
        kernel_initializer: Of the kernel.
        kernel_regularizer: Of the kernel.
        **kwargs: Of keras.layers.Layer.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: tuple[int, int],
        pool_size: tuple[int, int],
        *,
        batch_normalization: bool = False,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        synchronized: bool = True,
        kernel_initializer: Any = "he_normal",
        kernel_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = (kernel_size[0], kernel_size[1])  # lists, when they come out of a file
        self.pool_size = (pool_size[0], pool_size[1])
        self.batch_normalization = batch_normalization
        self.momentum = momentum
        self.epsilon = epsilon
        self.synchronized = synchronized
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights.

        Raises:
            ValueError: If the input is not (batch, height, width, 1), or smaller than a pooling window.
        """
        image = input_shape[1:3]
        if len(input_shape) != 4 or input_shape[3] != 1 or None in image:
            raise ValueError(f"{self.name} expects an input of shape (batch, height, width, 1), got {input_shape}")
        if any((size or 0) < pool for size, pool in zip(image, self.pool_size, strict=True)):
            raise ValueError(f"{self.name} pools {self.pool_size}, more than its input of shape {input_shape} has")
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*self.kernel_size, 1, self.filters),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
        )
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")
        if self.batch_normalization:
            shape = (self.filters,)
            self.gamma = self.add_weight(name="gamma", shape=shape, initializer="ones")
            self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros")
            # Statistics are kept in float32 under mixed precision, and replicas agree on their mean.
            statistics = {"shape": shape, "trainable": False, "autocast": False, "aggregation": "mean"}
            self.moving_mean = self.add_weight(name="moving_mean", initializer="zeros", **statistics)
            self.moving_variance = self.add_weight(name="moving_variance", initializer="ones", **statistics)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Maps (batch, height, width, 1) to (batch, height // pool_height, width // pool_width, filters)."""
        kernel = ops.copy(self.kernel)  # a function with a gradient of its own takes tensors, no variables
        bias = ops.convert_to_tensor(self.bias)
        if not self.batch_normalization:
            # A saved function with a gradient of its own warns whoever loads it: what is served has none.
            pool = convolve_and_pool_in_training if training else convolve_and_pool
            return ops.add(pool(inputs, kernel, pool_size=self.pool_size), bias)
        gamma, beta = ops.convert_to_tensor(self.gamma), ops.convert_to_tensor(self.beta)
        if training and self.trainable:
            return self._normalize_by_batch(inputs, kernel, bias, gamma, beta)
        # gamma · (kernel * x + bias − mean) / deviation + beta, as one convolution with another kernel and a constant.
        scale = ops.cast(gamma, self.moving_variance.dtype) * ops.rsqrt(self.moving_variance + self.epsilon)
        constant = ops.cast(beta, scale.dtype) + (ops.cast(bias, scale.dtype) - self.moving_mean) * scale
        pooled = convolve_and_pool(inputs, ops.multiply(kernel, ops.cast(scale, kernel.dtype)), pool_size=self.pool_size)
        return ops.add(pooled, ops.cast(constant, pooled.dtype))

    def _normalize_by_batch(self, inputs: Any, kernel: Any, bias: Any, gamma: Any, beta: Any) -> Any:
        dtype = self.moving_mean.dtype
        bias, beta, size = (ops.cast(weight, dtype) for weight in (bias, beta, ops.abs(gamma)))
        sign = ops.where(gamma < 0, -ops.ones_like(gamma), ops.ones_like(gamma))
        rising = ops.multiply(kernel, sign)  # with it, every filter's normalisation is an increasing function
        bias = ops.multiply(bias, ops.cast(sign, dtype))
        patch, n_positions = mean_patch(ops.cast(inputs, dtype), self.kernel_size)
        centre = ops.sum(ops.cast(rising, dtype) * patch, axis=(0, 1, 2))  # (filters,); mean of this replica, without the bias
        pooled, variance = convolve_and_pool_in_training(
            inputs, rising, pool_size=self.pool_size, shift=ops.stop_gradient(centre)
        )
        pooled = ops.cast(pooled, dtype) + (ops.stop_gradient(centre) + bias)
        mean = centre + bias
        if self.synchronized:
            # Of all replicas: the mean of the means, and the mean square distance from it, each weighted by its positions.
            total = sum_over_replicas(n_positions)
            own_mean, mean = mean, sum_over_replicas(n_positions * mean) / total
            variance = sum_over_replicas(n_positions * (variance + ops.square(own_mean - mean))) / total
        kept = self.momentum
        self.moving_mean.assign(self.moving_mean * kept + mean * ops.cast(sign, dtype) * (1 - kept))
        self.moving_variance.assign(self.moving_variance * kept + variance * (1 - kept))
        return ops.cast((pooled - mean) * (size * ops.rsqrt(variance + self.epsilon)) + beta, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape of the output."""
        height, width = (size // pool for size, pool in zip(input_shape[1:3], self.pool_size, strict=True))  # type: ignore[operator]
        return (input_shape[0], height, width, self.filters)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return super().get_config() | {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "pool_size": self.pool_size,
            "batch_normalization": self.batch_normalization,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "synchronized": self.synchronized,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
