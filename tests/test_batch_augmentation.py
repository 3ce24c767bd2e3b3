"""Augmentation: every batch is a function of (seed, epoch, step) alone; what its settings mean, and which are refused."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_model.augmentation import Augmentation, SpecMasks
from keras_model.training.batch_augmentation import augmenter, band_shift, batch_key, mixup, random_crop, spec_masks
from tests.augmented import SETTINGS, SIZES, SPEC, applied, augment_of, augmented, batches_from, digest, key
from tests.conftest import REPOSITORY
from tfrecords.errors import UsageError

ANOTHER_PROCESS = """
from keras_model.quiet import load_tensorflow
load_tensorflow()
import tensorflow as tf
tf.random.set_seed(99)
from tests.augmented import SETTINGS, augmented, digest
print(*[digest(augmented(name, epoch=epoch, n_threads=1)) for name in SETTINGS for epoch in (2, 0)])
"""


def test_another_process_with_another_number_of_threads_gives_the_same_bytes() -> None:
    done = subprocess.run([sys.executable, "-c", ANOTHER_PROCESS], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    here = [digest(augmented(name, epoch=epoch, n_threads=4)) for name in SETTINGS for epoch in (2, 0)]
    assert done.stdout.split() == here
    assert done.stderr == ""


@pytest.mark.parametrize("name", SETTINGS)
def test_the_rest_of_an_epoch_is_that_of_the_whole_epoch(name: str) -> None:
    whole = augmented(name, epoch=3)
    assert [len(targets) for _, targets in whole] == list(SIZES)
    for first_step in range(len(SIZES) + 1):
        assert digest(augmented(name, epoch=3, first_step=first_step)) == digest(whole[first_step:]), first_step


@pytest.mark.parametrize("name", SETTINGS)
def test_epochs_seeds_and_steps_differ(name: str) -> None:
    digests = {digest(augmented(name, seed=seed, epoch=epoch)) for seed in (0, 1, 2**32 - 1) for epoch in range(3)}
    assert len(digests) == 9
    same = tf.data.Dataset.from_tensors(next(iter(batches_from(0)))).repeat(5)
    steps = applied(augment_of(SETTINGS[name]), same, epoch=0)
    assert len({log_mels.numpy().tobytes() for log_mels, _ in steps}) == 5


def test_each_purpose_of_each_batch_draws_from_a_key_of_its_own() -> None:
    keys = [
        batch_key(seed, purpose, epoch=tf.constant(epoch, tf.int64), step=tf.constant(step, tf.int64))
        for seed in (0, 1, 2**32 - 1)
        for purpose in ("crop", "masks", "mixup")
        for epoch in range(3)
        for step in range(3)
    ]
    drawn = {int(tf.random.stateless_uniform((), seed=key, minval=None, maxval=None, dtype=tf.int64)) for key in keys}
    assert len(drawn) == len(keys)


def test_shapes_and_number_of_batches_stay_known() -> None:
    batches = batches_from(2)
    augmented = applied(augment_of(SETTINGS["all"]), batches, epoch=0, first_step=2)
    assert augmented.element_spec == batches.element_spec
    assert augmented.cardinality() == len(SIZES) - 2


def test_other_random_operations_are_left_alone() -> None:
    def drawn(work: bool) -> list[float]:
        tf.random.set_seed(5)
        first = float(tf.random.uniform(()))
        if work:
            augmented("all")
        return [first, float(tf.random.uniform(()))]

    assert drawn(work=True) == drawn(work=False)


def test_nothing_in_the_graph_has_state() -> None:
    @tf.function(autograph=False)
    def graph(log_mels: tf.Tensor, targets: tf.Tensor) -> Any:
        masks = spec_masks(tf.shape(log_mels)[0], masks=SpecMasks(max_bands=5), spec=SPEC, key=key(1, 2))
        crop = random_crop(log_mels, padding=2, spec=SPEC, key=key(1, 2))
        shift = band_shift(log_mels, most=2, key=key(1, 2))
        return masks, crop, shift, mixup(log_mels, targets, alpha=0.3, key=key(1, 2))

    traced = graph.get_concrete_function(*batches_from(0).element_spec).graph
    operations = traced.get_operations()
    assert any(operation.type.startswith("StatelessRandom") for operation in operations)
    assert [operation.name for operation in operations if operation.op_def.is_stateful] == []
    assert len(traced.as_graph_def().library.function) == 0, "else their operations have to be looked at too"


def test_all_is_crop_then_shift_then_masks_then_mixup() -> None:
    """The draws of each do not depend on what else is done, so that one after the other gives the same bytes."""

    def one_by_one(*settings: Augmentation) -> str:
        batches = batches_from(0)
        for augmentation in settings:
            batches = applied(augment_of(augmentation), batches, epoch=4)
        return digest([(log_mels.numpy(), targets.numpy()) for log_mels, targets in batches])

    crop, shift, mixed = (SETTINGS[name] for name in ("crop", "shift", "mixup"))
    masks = Augmentation(masks=SETTINGS["all"].masks)
    together = digest(augmented("all", epoch=4))
    assert one_by_one(crop, shift, masks, mixed) == together
    assert one_by_one(masks, crop, shift, mixed) != together
    assert one_by_one(crop, masks, shift, mixed) != together
    assert one_by_one(crop, shift, mixed, masks) != together


def test_nothing_to_do_is_none() -> None:
    assert augmenter(Augmentation(), seed=0, spec=SPEC, fill=0.0) is None
    assert augmenter(Augmentation(mixup=0, random_crop=0), seed=0, spec=SPEC, fill=0.0) is None


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (Augmentation, {"mixup": -0.1}, r"--mixup must be a finite number of at least 0, got -0\.1"),
        (Augmentation, {"mixup": float("nan")}, "--mixup must be a finite number of at least 0, got nan"),
        (Augmentation, {"mixup": float("inf")}, "got inf"),
        (Augmentation, {"random_crop": -1}, "--random-crop must be an integer of at least 0, got -1"),
        (Augmentation, {"band_shift": -1}, "--band-shift must be an integer of at least 0, got -1"),
        (SpecMasks, {"max_bands": 0}, "max_bands must be a positive integer, got 0"),
        (SpecMasks, {"n_frame_masks": 0}, "n_frame_masks must be a positive integer, got 0"),
        (SpecMasks, {"max_frame_share": 1.0}, r"max_frame_share must be between 0 and 1, both excluded, got 1\.0"),
        (SpecMasks, {"max_frame_share": float("nan")}, "got nan"),
    ],
)
def test_unusable_settings_are_refused(kind: Any, values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        kind(**values)


@pytest.mark.parametrize(
    ("augmentation", "message"),
    [
        (Augmentation(random_crop=13), "--random-crop must be less than 13, the dataset's computed frames, got 13"),
        (Augmentation(band_shift=11), "--band-shift must be less than 11, the dataset's mel bands, got 11"),
        (Augmentation(masks=SpecMasks(max_bands=11)), "max_bands must be less than 11, the dataset's mel bands, got 11"),
        (
            Augmentation(masks=SpecMasks(max_bands=5, max_frame_share=0.07)),
            r"max_frame_share must make at least one of the dataset's 13 computed frames, got 0\.07",
        ),
    ],
)
def test_settings_that_do_not_fit_the_dataset_are_refused(augmentation: Augmentation, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        augmenter(augmentation, seed=0, spec=SPEC, fill=0.0)


def test_a_fill_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        augmenter(SETTINGS["masks"], seed=0, spec=SPEC, fill=np.zeros(80))
