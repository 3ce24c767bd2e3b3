"""The taggers of Pons and Serra (2019, "musicnn", arXiv:1909.06654), of stock Keras layers."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_model.pretrained.wheel import read_checkpoint
from tfrecords.errors import UsageError
from tfrecords.front_end.log_mel_spec import PRESETS

# What each was trained to hear, in the order of its outputs: MSD on the Million Song Dataset, MTT on MagnaTagATune.
TAGS = {
    "MSD_musicnn": (
        *("rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s", "alternative rock", "jazz"),
        *("beautiful", "metal", "chillout", "male vocalists", "classic rock", "soul", "indie rock", "Mellow", "electronica"),
        *("80s", "folk", "90s", "chill", "instrumental", "punk", "oldies", "blues", "hard rock", "ambient", "acoustic"),
        *("experimental", "female vocalist", "guitar", "Hip-Hop", "70s", "party", "country", "easy listening", "sexy"),
        *("catchy", "funk", "electro", "heavy metal", "Progressive rock", "60s", "rnb", "indie pop", "sad", "House", "happy"),
    ),
    "MTT_musicnn": (
        *("guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast", "piano", "ambient", "beat"),
        *("violin", "vocal", "synth", "female", "indian", "opera", "male", "singing", "vocals", "no vocals", "harpsichord"),
        *("loud", "quiet", "flute", "woman", "male vocal", "no vocal", "pop", "soft", "sitar", "solo", "man", "classic", "choir"),
        *("voice", "new age", "dance", "male voice", "female vocal", "beats", "harp", "cello", "no voice", "weird", "country"),
        *("metal", "female voice", "choral"),
    ),
}
FEATURES = "features"  # the last before the tags: (batch, 200)
POOLED = "pooled_batchnorm"  # those before them, of all convolutions: (batch, 512) in MSD_musicnn
LOGITS = "tag_logits"  # of the tags: (batch, 50)

_N_MELS = PRESETS["musicnn"].n_mels
_EPSILON = 1e-3  # of every batch normalisation
_LOG_SHIFT = 4.0  # of their logarithm over that of preset `musicnn`
# The convolutions over the log-mel, by what they look for, and those over their output, in the order of the checkpoints.
_FRONT_END = ("timbre", "timbre_wide", "rhythm_long", "rhythm", "rhythm_short")
_MIDDLE = ("first", "second", "third")
# Of these, those whose frames are stacked as channels first: on CPUs, the gradient by one channel is three times as slow.
_STACKED = ("timbre", "timbre_wide")
# For an input of at most 1, a filter's output moves by less than this once the weight decay has extinguished it.
_LEAST_SWING = 1e-5

Weights = Mapping[str, NDArray[np.float32]]


def load_tagger(name: str = "MSD_musicnn") -> keras.Model:
    """A trained tagger, frozen.

    Five convolutions over the log-mel, each with its maximum over frequency: two over 7 frames and 38 or 67 bands (timbre), three
    over 128, 64 or 32 frames of one band (rhythm). Three convolutions over 7 frames follow, the second and third added to their
    input. Maximum and mean over time of all four outputs become 200 features, and these the tags. Batch normalisation follows
    each ReLU.

    Most of the filters over the log-mel were extinguished in training: their kernels are 0, and what they give is constant (497
    of 561 in MSD_musicnn). They are left out, and what follows them takes their constants into its biases.

    Args:
        name: One of `TAGS`.

    Returns:
        Model from log-mels of preset `musicnn`, (batch, 96, n_frames, 1) float32 with any number of frames, to the probability of
        each tag, (batch, 50). The taggers were trained on 187 frames (3 s).

    Raises:
        UsageError: If there is no such tagger, or its weights are not on this machine.
    """
    if name not in TAGS:
        raise UsageError(f"there is no pre-trained network {name!r}; choose from {', '.join(TAGS)}")
    weights = _weights(read_checkpoint(name))
    inputs = keras.Input((_N_MELS, None, 1), name="log_mel")
    x = _normalized(inputs, name="input")
    front_end = keras.layers.Concatenate(name="front_end")(
        [_highest(_convolved(x, weights, name=way), name=way) for way in _FRONT_END]
    )  # (1, n_frames, filters), as all that follows
    first = _convolved(front_end, weights, name="first")
    second = keras.layers.Add(name="second")([first, _convolved(first, weights, name="second")])
    third = keras.layers.Add(name="third")([second, _convolved(second, weights, name="third")])
    joined = keras.layers.Concatenate(name="joined")([front_end, first, second, third])
    pooled = [keras.layers.GlobalMaxPooling2D(name="maximum")(joined), keras.layers.GlobalAveragePooling2D(name="mean")(joined)]
    x = _normalized(keras.layers.Concatenate(name="pooled")(pooled), name="pooled")
    x = keras.layers.Dense(200, activation="relu", name="hidden")(x)
    x = keras.layers.BatchNormalization(epsilon=_EPSILON, name=FEATURES)(x)
    x = keras.layers.Dense(len(TAGS[name]), name=LOGITS)(x)
    model = keras.Model(inputs, keras.layers.Activation("sigmoid", name="tags")(x), name=name)
    for layer, values in weights.items():
        model.get_layer(layer).set_weights(values)
    model.trainable = False
    return model


def _convolved(x: Any, weights: Mapping[str, list[Any]], *, name: str) -> Any:
    """A convolution with ReLU and batch normalisation, over time padded with zeros to as many frames."""
    n_bands, n_frames, n_channels, n_filters = weights[f"{name}_convolution"][0].shape
    n_padded = n_channels if name in _STACKED else n_frames
    x = keras.layers.ZeroPadding2D(((0, 0), ((n_padded - 1) // 2, n_padded // 2)), name=f"{name}_padding")(x)
    if name in _STACKED:
        shifted = [x[:, :, frame : frame + 1 - n_channels or None] for frame in range(n_channels)]
        x = keras.layers.Concatenate(name=f"{name}_stacked")(shifted)
    x = keras.layers.Conv2D(n_filters, (n_bands, n_frames), activation="relu", name=f"{name}_convolution")(x)
    return _normalized(x, name=name)


def _normalized(x: Any, *, name: str) -> Any:
    return keras.layers.BatchNormalization(epsilon=_EPSILON, name=f"{name}_batchnorm")(x)


def _highest(x: Any, *, name: str) -> Any:
    """The maximum over frequency."""
    return keras.layers.MaxPooling2D((x.shape[1], 1), name=f"{name}_highest")(x)


def _weights(checkpoint: Weights) -> dict[str, list[Any]]:
    """What each layer of the network is given, by its name."""

    def of(layer: str, number: int, *parts: str) -> list[Any]:
        return [checkpoint[f"{layer}_{number}/{part}".replace("_0/", "/")] for part in parts]

    def normalization(number: int) -> list[Any]:
        return of("batch_normalization", number, "gamma", "beta", "moving_mean", "moving_variance")

    weights = {"input_batchnorm": normalization(0)}
    weights["input_batchnorm"][2] = weights["input_batchnorm"][2] - _LOG_SHIFT
    are_live, constants = [], []
    for number, name in enumerate(_FRONT_END):
        kernel, bias = of("conv2d", number, "kernel", "bias")  # the kernel (time, frequency, 1, filters)
        normal = normalization(number + 1)
        is_live = np.abs(kernel).sum(axis=(0, 1, 2)) * np.abs(normal[0]) / np.sqrt(normal[3] + _EPSILON) > _LEAST_SWING
        are_live.append(is_live)
        constants.append(_normal(np.maximum(bias, 0), normal)[~is_live])
        axes = (1, 2, 0, 3) if name in _STACKED else (1, 0, 2, 3)
        weights[f"{name}_convolution"] = [kernel.transpose(axes)[..., is_live], bias[is_live]]
        weights[f"{name}_batchnorm"] = [values[is_live] for values in normal]
    live, constant = np.concatenate(are_live), np.concatenate(constants)
    for number, name in enumerate(_MIDDLE, len(_FRONT_END)):
        kernel, bias = of("conv2d", number, "kernel", "bias")  # (7, channels, 1, filters)
        kernel = kernel.transpose(2, 0, 1, 3)
        if name == "first":
            bias = bias + constant @ kernel[0][:, ~live].sum(axis=0)
            kernel = kernel[:, :, live]
        weights[f"{name}_convolution"] = [kernel, bias]
        weights[f"{name}_batchnorm"] = normalization(number + 1)
    # Theirs are maximum and mean of one channel, then of the next one; here all maxima come first.
    kernel, bias = of("dense", 0, "kernel", "bias")
    n_channels = len(kernel) // 2
    kernel = kernel.reshape(n_channels, 2, -1)
    normal = [values.reshape(n_channels, 2) for values in normalization(9)]
    live = np.pad(live, (0, n_channels - len(live)), constant_values=True)
    of_constants = _normal(constant[:, np.newaxis], [values[~live] for values in normal])  # (channels left out, 2)
    weights["pooled_batchnorm"] = [values[live].T.ravel() for values in normal]
    weights["hidden"] = [
        kernel[live].swapaxes(0, 1).reshape(-1, kernel.shape[2]),
        bias + np.tensordot(of_constants, kernel[~live], axes=2),
    ]
    weights[FEATURES] = normalization(10)
    weights[LOGITS] = of("dense", 1, "kernel", "bias")
    return weights


def _normal(values: Any, normalization: list[Any]) -> Any:
    gamma, beta, mean, variance = normalization
    return gamma * (values - mean) / np.sqrt(variance + _EPSILON) + beta
