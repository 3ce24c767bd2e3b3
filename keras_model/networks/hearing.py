"""The pre-trained tagger as part of a network: what it hears at one level, up to one of its layers."""

from typing import Any

import keras

from keras_model.level import log_mels_of, magnitudes_of, to_mean
from keras_model.networks.blocks import Size
from keras_model.pretrained.musicnn import load_tagger
from tfrecords.front_end.log_mel_spec import PRESETS

_SPEC = PRESETS["musicnn"]
# The mean over bands and frames of the mel power of a chunk as it is usually mastered, by GTZAN's clips.
_MEAN_POWER = 0.35


def tagger_input(shape: Size) -> tuple[Any, Any]:
    """A network's input, log-mels of preset `musicnn` (batch, *shape, 1), and the same chunks at one level.

    Each chunk is amplified or attenuated to one mean power, so that what the network answers does not depend on how loud it is:
    the power is taken out of the logarithm, scaled, and put back.
    """
    inputs = keras.Input((*shape, 1), name="log_mel")
    return inputs, log_mels_of(to_mean(magnitudes_of(inputs, spec=_SPEC), _MEAN_POWER, spec=_SPEC), spec=_SPEC)


def tagger_up_to(*layers: str) -> keras.Model:
    """The frozen tagger from its log-mels to the outputs of some of its layers, one beside the other: (batch, n_values).

    Raises:
        UsageError: If its weights are not on this machine.
    """
    tagger = load_tagger()
    outputs = [tagger.get_layer(layer).output for layer in layers]
    output = keras.layers.Concatenate(name="values")(outputs) if len(outputs) > 1 else outputs[0]
    part = keras.Model(tagger.input, output, name=tagger.name)
    part.trainable = False
    return part
