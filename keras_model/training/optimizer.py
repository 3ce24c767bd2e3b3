"""The optimiser and its learning rate."""

from typing import Any

import keras

from keras_model.options import TrainOptions


def build_optimizer(options: TrainOptions, total_steps: int) -> keras.optimizers.Optimizer:
    """Adam as in the paper, with the options' rise and decay of its rate. Keras adds loss scaling where layers are float16.

    Args:
        options: Of the run.
        total_steps: Of the whole training, for what depends on its length.
    """
    return keras.optimizers.Adam(
        _learning_rate(options, total_steps),
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        use_ema=options.ema > 0,
        ema_momentum=options.ema,
    )


def _learning_rate(options: TrainOptions, total_steps: int) -> float | keras.optimizers.schedules.LearningRateSchedule:
    rate, n_rising = options.learning_rate, options.learning_rate_warmup
    decays = options.learning_rate_decay == "cosine"
    if not (decays or n_rising):
        return rate
    rise: dict[str, Any] = {"initial_learning_rate": rate}
    if n_rising:  # not from 0: the first step, too, has to count
        rise = {"initial_learning_rate": rate / (n_rising + 1), "warmup_target": rate, "warmup_steps": n_rising}
    if not decays:
        return keras.optimizers.schedules.CosineDecay(**rise, decay_steps=1, alpha=1.0)
    # Loshchilov and Hutter (2017), without restarts.
    return keras.optimizers.schedules.CosineDecay(**rise, decay_steps=max(1, total_steps - n_rising))
