"""The optimiser, and the weights that are evaluated and saved: the trained ones, or their moving average."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from keras_model.options import TrainOptions


def build_optimizer(options: TrainOptions, total_steps: int) -> keras.optimizers.Optimizer:
    """Adam as in the paper, with the options' rise and decay of its rate, and loss scaling where the gradients are float16.

    Args:
        options: Of the run.
        total_steps: Of the whole training, for what depends on its length. A run can be prolonged (`--resume RUN --epochs`)
            as long as nothing does.
    """
    adam = keras.optimizers.Adam(
        _learning_rate(options, total_steps),
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        use_ema=options.ema > 0,
        ema_momentum=options.ema,
        name="adam",
    )
    return keras.optimizers.LossScaleOptimizer(adam, name="loss_scale") if options.precision == "mixed_float16" else adam


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


@contextmanager
def evaluation_weights(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    """Within it the model has the weights to evaluate and save: with `--ema` their moving average, else just its own.

    Training goes on with its own weights afterwards.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if not inner.use_ema or not int(inner.iterations.numpy()):  # before the first step there is no average
        yield
        return
    variables = model.trainable_variables
    # Keras offers the averages only as something to overwrite the weights with for good (`finalize_variable_values`).
    averages = inner._model_variables_moving_average
    trained = [variable.numpy() for variable in variables]
    for variable, average in zip(variables, averages, strict=True):
        variable.assign(average.numpy())
    try:
        yield
    finally:
        for variable, value in zip(variables, trained, strict=True):
            variable.assign(value)
