"""Augmentation of training batches on this machine's CPU, each kind by itself and all together.

taskset --cpu-list 0 python -m benchmarks.augmentation    # on one core
"""

from keras_model.quiet import load_tensorflow

_BATCH_SIZE = 64
_N_BATCHES = 200


def main() -> None:
    """Prints samples per second, with what it costs to make and to hand out the batches taken off; preset paper."""
    load_tensorflow()
    import numpy as np
    import tensorflow as tf

    from benchmarks.timing import median_seconds
    from keras_model.augmentation import Augmentation, SpecMasks
    from keras_model.training.batch_augmentation import augmenter
    from tfrecords.front_end.log_mel_spec import PRESETS

    spec = PRESETS["paper"]
    rng = np.random.default_rng(0)
    log_mels = tf.constant(rng.normal(11.5, 1.5, (_BATCH_SIZE, *spec.shape, 1)), tf.float32)
    targets = tf.one_hot(rng.integers(0, 10, _BATCH_SIZE), 10)
    batches = tf.data.Dataset.from_tensors((log_mels, targets)).repeat(_N_BATCHES)

    def seconds(dataset: tf.data.Dataset) -> float:
        return median_seconds(lambda: list(dataset.map(lambda log_mels, _: log_mels[0, 0, 0])), runs=5)

    bare = seconds(batches)
    kinds = {
        "masks": Augmentation(masks=SpecMasks()),
        "two masks of each kind": Augmentation(masks=SpecMasks(n_band_masks=2, n_frame_masks=2)),
        "mixup": Augmentation(mixup=0.2),
        "random crop": Augmentation(random_crop=4),
        "all three": Augmentation(masks=SpecMasks(), mixup=0.2, random_crop=4),
    }
    print(f"Samples per second, batch {_BATCH_SIZE}")
    for name, augmentation in kinds.items():
        augment = augmenter(augmentation, seed=0, spec=spec, fill=11.5)
        if augment:
            made = batches.enumerate().map(
                lambda step, batch, augment=augment: augment(tf.constant(0, tf.int64), step, *batch),
                num_parallel_calls=tf.data.AUTOTUNE,
            )
            augmented = seconds(made) - bare
            print(f"  {name:24}{_BATCH_SIZE * _N_BATCHES / augmented:9.0f}", flush=True)


if __name__ == "__main__":
    main()
