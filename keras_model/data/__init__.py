"""A dataset's shards as tf.data, and which of its tracks a run trains on, validates on and tests on."""
