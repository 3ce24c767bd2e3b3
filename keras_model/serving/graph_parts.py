"""What the modules of the served graph share: messages, how much audio an item may be, and work that is done block by block."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfrecords.audio import SAMPLE_RATES_HZ

# What an item may be, so that its answer's memory and time are bounded: docs/serving.md says by how much.
MOST_SECONDS = 600
MOST_SAMPLES = 1 << 25  # of each channel: ten minutes at up to 55 kHz


def say_if(condition: tf.Tensor, *parts: Any) -> tf.Tensor:
    """A message of texts and numbers where a condition, a scalar bool, is true; empty elsewhere."""
    message = tf.strings.join([part if isinstance(part, str) else tf.strings.as_string(part) for part in parts])
    return tf.where(condition, message, "")


def first_error(*errors: tf.Tensor) -> tf.Tensor:
    """The first of some scalar strings that is not empty."""
    first, *others = errors
    for error in others:
        first = tf.where(first == "", error, first)
    return first


def out_of_range(n_samples: tf.Tensor, sample_rate: tf.Tensor) -> tf.Tensor:
    """Why an item of so many samples a channel, at a rate in Hz, is not taken; empty where it is. Both are scalar int64."""
    low, high = SAMPLE_RATES_HZ
    return first_error(
        say_if(
            (sample_rate < low) | (high < sample_rate), "has a sample rate of ", sample_rate, f" Hz, expected {low} to {high}"
        ),
        say_if(n_samples == 0, "holds no samples"),
        say_if(
            n_samples > MOST_SECONDS * sample_rate,
            *("is too long: ", -(-n_samples // tf.maximum(sample_rate, 1)), f" s, expected {MOST_SECONDS} at most"),
        ),
        say_if(n_samples > MOST_SAMPLES, "is too long: ", n_samples, f" samples, expected {MOST_SAMPLES} at most"),
    )


def in_blocks(n_blocks: tf.Tensor, block: Callable[[tf.Tensor], tf.Tensor], *, row: tuple[int, ...] = ()) -> tf.Tensor:
    """What a function gives for each of the numbers below `n_blocks`, one after the other: (sum of their n, *row) float32.

    Args:
        n_blocks: Scalar int64.
        block: From a number, a scalar int64, to (n, *row) float32.
        row: Shape of the blocks' rows.
    """
    found = tf.TensorArray(tf.float32, tf.cast(n_blocks, tf.int32), element_shape=(None, *row), infer_shape=False)
    _, found = tf.while_loop(
        lambda number, _: number < n_blocks,
        lambda number, found: (number + 1, found.write(tf.cast(number, tf.int32), block(number))),
        (tf.constant(0, tf.int64), found),
        parallel_iterations=1,  # of a long item, only what goes in and comes out takes more memory
    )
    return found.concat()
