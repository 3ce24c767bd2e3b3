"""`tfrecords.load_dataset`: a dataset as tf.data in one line."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.tiny_dataset import GENRES, SPEC, TinyDataset
from tfrecords import load_dataset
from tfrecords.errors import UsageError
from tfrecords.front_end.augmentation import AUGMENTATIONS
from tfrecords.records.reading import read_split


@pytest.fixture
def tiny(tmp_path: Path) -> TinyDataset:
    return TinyDataset(tmp_path / "tiny", augmentation=next(iter(AUGMENTATIONS.values())))


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_it_holds_the_records_in_their_order(tiny: TinyDataset, split: str) -> None:
    records = list(read_split(tiny.folder, tiny.manifest, split))
    dataset = load_dataset(str(tiny.folder), split)
    assert len(dataset) == len(records)
    for element, record in zip(dataset.as_numpy_iterator(), records, strict=True):
        np.testing.assert_array_equal(element.pop("log_mel"), record.log_mel)
        texts = {name: getattr(record, name).encode() for name in ("genre", "track_id", "deformation")}
        assert element == texts | {name: getattr(record, name) for name in ("label", "chunk_index", "start_sample")}
    assert {record.deformation != "" for record in records} == ({False, True} if split == "train" else {False})


def test_it_says_what_its_elements_are(tiny: TinyDataset) -> None:
    spec = load_dataset(tiny.folder, "train").element_spec
    assert spec.pop("log_mel") == tf.TensorSpec(SPEC.shape, tf.float32)
    assert {name: one.dtype for name, one in spec.items()} == {
        **dict.fromkeys(("label", "chunk_index", "start_sample"), tf.int64),
        **dict.fromkeys(("genre", "track_id", "deformation"), tf.string),
    }
    assert {one.shape.rank for one in spec.values()} == {0}


def test_keras_fits_on_it(tiny: TinyDataset) -> None:
    train, validation = (load_dataset(tiny.folder, split, as_supervised=True) for split in ("train", "validation"))
    assert train.element_spec == (tf.TensorSpec(SPEC.shape, tf.float32), tf.TensorSpec((), tf.int64))
    model = keras.Sequential([keras.Input(SPEC.shape), keras.layers.Flatten(), keras.layers.Dense(len(GENRES), "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    history = model.fit(train.batch(16), validation_data=validation.batch(16), epochs=2, verbose=0).history
    assert np.isfinite(history["loss"] + history["val_loss"]).all()
    assert len(history["val_loss"]) == 2


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("tiny", "dev"), {}, "the dataset has no split 'dev', only train, validation, test"),
        (("none", "train"), {}, "there is no dataset in .*none"),
        (("tiny", "train"), {"cache_dir": "cache"}, "lies on this machine"),
        (("tiny", "test"), {}, "test-00001-of-00002.tfrecord is missing"),
    ],
)
def test_what_cannot_be_loaded_is_named(
    arguments: tuple[str, str], options: dict[str, Any], message: str, tiny: TinyDataset, tmp_path: Path
) -> None:
    (tiny.folder / "test-00001-of-00002.tfrecord").unlink()
    with pytest.raises(UsageError, match=message):
        load_dataset(tmp_path / arguments[0], arguments[1], **options)
