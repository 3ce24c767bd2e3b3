"""A record: its features, and the two ways in and out. Encoding and decoding need no TensorFlow; parsing is TensorFlow's."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from tfrecords.errors import quoted
from tfrecords.records.example_proto import Example

if TYPE_CHECKING:
    import tensorflow as tf

LOG_MEL = "log_mel"
LABEL = "label"
GENRE = "genre"
TRACK_ID = "track_id"
CHUNK_INDEX = "chunk_index"
START_SAMPLE = "start_sample"
DEFORMATION = "deformation"

_KINDS = {
    LOG_MEL: "float_list",
    LABEL: "int64_list",
    GENRE: "bytes_list",
    TRACK_ID: "bytes_list",
    CHUNK_INDEX: "int64_list",
    START_SAMPLE: "int64_list",
}
# Only the records of deformed chunks have it. So the others are the same bytes in a dataset with augmentation and without.
_OPTIONAL_KINDS = {DEFORMATION: "bytes_list"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Record:
    """One chunk of one track.

    Attributes:
        log_mel: (n_mels, n_frames) float32, frequency first.
        label: Index of the genre in the dataset's list of genres.
        genre: Name of the genre.
        track_id: For instance "blues.00000".
        chunk_index: Which of the track's candidate chunks this is; of those of the deformed track, where it is deformed.
        start_sample: Where the chunk starts in the track, or in the deformed track, in samples at the spec's sample rate.
        deformation: Name of the deformation; empty for the track as it is.
    """

    log_mel: NDArray[np.float32]
    label: int
    genre: str
    track_id: str
    chunk_index: int
    start_sample: int
    deformation: str = ""


def encode(record: Record) -> bytes:
    """Serialises a record as a tf.train.Example, its features in alphabetical order: the same bytes in every process."""
    example = Example()
    feature = example.features.feature
    feature[LOG_MEL].float_list.value = record.log_mel.astype("<f4", copy=False).tobytes()
    feature[LABEL].int64_list.value.append(record.label)
    feature[GENRE].bytes_list.value.append(record.genre.encode())
    feature[TRACK_ID].bytes_list.value.append(record.track_id.encode())
    feature[CHUNK_INDEX].int64_list.value.append(record.chunk_index)
    feature[START_SAMPLE].int64_list.value.append(record.start_sample)
    if record.deformation:
        feature[DEFORMATION].bytes_list.value.append(record.deformation.encode())
    serialized: bytes = example.SerializeToString(deterministic=True)
    return serialized


def decode(serialized: bytes, *, shape: tuple[int, int]) -> Record:
    """Reads a record back.

    Args:
        serialized: What `encode` wrote.
        shape: (n_mels, n_frames) of the dataset's spec.

    Raises:
        ValueError: If the bytes are no tf.train.Example, or a feature is missing, unknown, of another type, or has another
            number of values; naming all of these.
    """
    try:
        feature = Example.FromString(serialized).features.feature
    except DecodeError as error:
        raise ValueError(f"not a record with a log-mel of shape {shape}: {error}") from error
    if flaws := _flaws(feature, shape):
        raise ValueError(f"not a record with a log-mel of shape {shape}: {'; '.join(flaws)}")
    try:
        return Record(
            log_mel=np.frombuffer(feature[LOG_MEL].float_list.value, dtype="<f4").reshape(shape),
            label=feature[LABEL].int64_list.value[0],
            genre=feature[GENRE].bytes_list.value[0].decode(),
            track_id=feature[TRACK_ID].bytes_list.value[0].decode(),
            chunk_index=feature[CHUNK_INDEX].int64_list.value[0],
            start_sample=feature[START_SAMPLE].int64_list.value[0],
            deformation=feature[DEFORMATION].bytes_list.value[0].decode() if DEFORMATION in feature else "",
        )
    except UnicodeDecodeError as error:
        raise ValueError(f"not a record with a log-mel of shape {shape}: {error}") from error


def _flaws(feature: Any, shape: tuple[int, int]) -> list[str]:
    """What the features of a tf.train.Example, by name, lack or have too much of."""
    optional = {name: kind for name, kind in _OPTIONAL_KINDS.items() if name in feature}
    kinds = _KINDS | optional
    flaws = [f"the unknown feature {quoted(name)}" for name in feature if name not in kinds]
    for name, kind in kinds.items():
        values = getattr(feature[name], kind).value
        n_values, expected = (len(values) / 4, math.prod(shape)) if name == LOG_MEL else (len(values), 1)
        if n_values != expected:
            flaws.append(f"{name} has {n_values:.12g} values of {kind} instead of {expected}")
        elif name in optional and not values[0]:
            flaws.append(f"{name} is empty")
    return flaws


def parse_batch(serialized: "tf.Tensor", *, shape: tuple[int, int]) -> "dict[str, tf.Tensor]":
    """Parses a batch of records in TensorFlow.

    Args:
        serialized: (batch,) strings.
        shape: (n_mels, n_frames) of the dataset's spec.

    Returns:
        By feature key: log_mel (batch, n_mels, n_frames) float32; label, chunk_index, start_sample (batch,) int64; genre,
        track_id, deformation (batch,) strings. The deformation of a track as it is is empty.
    """
    import tensorflow as tf  # pipeline workers import this module and have no TensorFlow

    return tf.io.parse_example(
        serialized,
        {
            LOG_MEL: tf.io.FixedLenFeature(shape, tf.float32),
            LABEL: tf.io.FixedLenFeature((), tf.int64),
            GENRE: tf.io.FixedLenFeature((), tf.string),
            TRACK_ID: tf.io.FixedLenFeature((), tf.string),
            CHUNK_INDEX: tf.io.FixedLenFeature((), tf.int64),
            START_SAMPLE: tf.io.FixedLenFeature((), tf.int64),
            DEFORMATION: tf.io.FixedLenFeature((), tf.string, default_value=""),
        },
    )
