"""`dataset_info.json`: a dataset as TensorFlow Datasets reads it, written without that library.

    tfds.builder_from_directory("data/tfrecords").as_dataset("train[:10%]")

TFDS itself spreads this over three files. Features and class names may stand in the one as well, and so all of it changes by one
rename.
"""

import json
import re
from typing import Any

from tfrecords.dataset.manifest import FORMAT_VERSION, Manifest
from tfrecords.records.schema import CHUNK_INDEX, DEFORMATION, GENRE, LABEL, LOG_MEL, START_SAMPLE, TRACK_ID

_PLACE = re.compile(r"\d{5,}-of-\d{5,}\.tfrecord$")
_FEATURES = "tensorflow_datasets.core.features"


def dataset_info(manifest: Manifest, *, marker: str) -> str:
    """The text of `dataset_info.json`: the JSON form of TFDS' message DatasetInfo.

    Args:
        manifest: Of the dataset.
        marker: What tells which dataset this is of.
    """
    content = {
        "name": _name(manifest.corpus.name),
        "description": f"{marker}: log-mel spectrograms of {manifest.corpus.title}, preset {manifest.preset}",
        "version": f"{FORMAT_VERSION}.0.0",
        "fileFormat": "tfrecord",
        "features": _features(manifest),
        "supervisedKeys": {"tuple": {"items": [{"featureKey": LOG_MEL}, {"featureKey": LABEL}]}},
        "splits": [_split(manifest, name) for name in manifest.splits],
        "redistributionInfo": {"license": manifest.license},
    }
    return json.dumps(content, indent=1) + "\n"


def _name(corpus: str) -> str:
    """A name that TFDS takes: letters, digits and underscores, a letter first."""
    name = re.sub(r"[^a-z0-9]+", "_", corpus.lower()).strip("_")
    return name if name[:1].isalpha() else f"corpus_{name}".rstrip("_")


def _split(manifest: Manifest, name: str) -> dict[str, Any]:
    shards = manifest.shards_of(name)
    return {
        "name": name,
        "filepathTemplate": _PLACE.sub("{SHARD_X_OF_Y}.{FILEFORMAT}", shards[0].name) if shards else "",
        "shardLengths": [str(shard.n_records) for shard in shards],
        "numBytes": str(sum(shard.n_bytes for shard in shards)),
    }


def _features(manifest: Manifest) -> dict[str, Any]:
    return {
        "pythonClassName": f"{_FEATURES}.features_dict.FeaturesDict",
        "featuresDict": {
            "features": {
                LOG_MEL: _tensor("float32", "(n_mels, n_frames), lowest band first, not standardised", manifest.spec.shape),
                # As a message of its own it would hold a number of classes, and their names lie in another file.
                LABEL: {
                    "pythonClassName": f"{_FEATURES}.class_label_feature.ClassLabel",
                    "description": "Index of the genre",
                    "jsonFeature": {"json": json.dumps({"names": manifest.genres})},
                },
                GENRE: _text("Name of the genre"),
                TRACK_ID: _text("The track that the chunk is of"),
                CHUNK_INDEX: _tensor("int64", "Which of the candidate chunks of the track, or of the deformed track"),
                START_SAMPLE: _tensor("int64", f"Where it starts in that, in samples at {manifest.spec.sample_rate} Hz"),
                **(_deformation() if manifest.augmentation else {}),
            }
        },
    }


def _deformation() -> dict[str, Any]:
    """What the records of tracks as they are lack. TFDS before 4.9.7 does not know of such a feature."""
    return {DEFORMATION: _tensor("string", "Name of the deformation; empty for none", is_optional=True)}


def _tensor(dtype: str, description: str, shape: tuple[int, ...] = (), *, is_optional: bool = False) -> dict[str, Any]:
    kind = "tensor_feature.Tensor" if shape else "scalar.Scalar"
    tensor: dict[str, Any] = {"dtype": dtype, "encoding": "none", "shape": {"dimensions": list(map(str, shape))}}
    return {
        "pythonClassName": f"{_FEATURES}.{kind}",
        "description": description,
        "tensor": tensor | {"optional": True} if is_optional else tensor,
    }


def _text(description: str) -> dict[str, Any]:
    return {"pythonClassName": f"{_FEATURES}.text_feature.Text", "description": description, "text": {}}
