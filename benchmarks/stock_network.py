"""The shallow network of stock Keras layers that pool before LeakyReLU: the same values, for less work."""

from typing import Any


def pooled_before_activation(*, batchnorm: bool) -> Any:
    """Convolution, batch normalisation, pooling, LeakyReLU, for log-mels (80, 80, 1) and ten genres."""
    import keras
    from keras import layers

    kernel: dict[str, Any] = {"kernel_initializer": "he_normal", "kernel_regularizer": keras.regularizers.L1(1e-4)}
    inputs = keras.Input((80, 80, 1))
    branches = []
    for kernel_size, pool_size in (((10, 23), (1, 20)), ((21, 20), (20, 1))):
        x = layers.Conv2D(16, kernel_size, padding="same", **kernel)(inputs)
        if batchnorm:
            x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
        x = layers.LeakyReLU(0.3)(layers.MaxPooling2D(pool_size)(x))
        branches.append(layers.Flatten()(x))
    x = layers.Concatenate()(branches)
    x = layers.LeakyReLU(0.3)(layers.Dense(200, **kernel)(x))
    x = layers.Dropout(0.1)(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax", dtype="float32", **kernel)(x), name="pooled_first")
