"""Training and inference of the network on this machine's devices, with and without XLA.

python -m benchmarks.training
"""

from keras_model.quiet import load_tensorflow

_BATCH_SIZE = 64
_N_BATCHES = 6


def main() -> None:
    """Prints samples per second; random input in preset paper's range."""
    load_tensorflow()
    import keras
    import numpy as np
    import tensorflow as tf

    from benchmarks.timing import median_seconds
    from keras_model.classifiers import shallow

    rng = np.random.default_rng(0)
    log_mels = tf.constant(rng.normal(11.5, 1.5, (_BATCH_SIZE * _N_BATCHES, 80, 80, 1)), tf.float32)
    labels = tf.constant(rng.integers(0, 10, _BATCH_SIZE * _N_BATCHES))
    batches = tf.data.Dataset.from_tensor_slices((log_mels, labels)).batch(_BATCH_SIZE)
    devices = [device.name for device in tf.config.list_physical_devices("GPU")] or ["CPU"]
    print(f"Samples per second, batch {_BATCH_SIZE}, on {', '.join(devices)}")
    for batchnorm in (False, True):
        for xla in (False, True):
            model = shallow((80, 80), n_genres=10, batchnorm=batchnorm)
            model.compile(keras.optimizers.Adam(5e-5), keras.losses.SparseCategoricalCrossentropy(), jit_compile=xla)
            train = median_seconds(lambda model=model: model.fit(batches, verbose=0), runs=3)  # type: ignore[misc]
            infer = median_seconds(lambda model=model: model.predict(batches, verbose=0), runs=3)  # type: ignore[misc]
            n_samples = _BATCH_SIZE * _N_BATCHES
            title = f"{model.name}, XLA {'on' if xla else 'off'}"
            print(f"  {title:28} training {n_samples / train:7.0f}   inference {n_samples / infer:7.0f}", flush=True)


if __name__ == "__main__":
    main()
