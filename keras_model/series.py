"""Several runs and their summary: one for each of some seeds, or for each fold of a cross-validation."""

import dataclasses

from keras_model.options import TrainOptions
from keras_model.run import train
from keras_model.run_folder import OPTIONS_FILE, RunRecord
from keras_model.summary import sum_up
from tfrecords.dataset.manifest import Manifest


def train_several(options: TrainOptions, manifest: Manifest) -> bool:
    """Makes every run that is not finished yet, each in a folder of its own, and sums them up.

    Args:
        options: With `runs` or `folds`; of a folder that was begun before, those it was begun with.
        manifest: Of the dataset, whose shards have been checked.

    Returns:
        Whether Ctrl-C ended it early.

    Raises:
        UsageError: If a run cannot be made or resumed as asked.
        TrainingError: If a run ended without all of its results.
    """
    whole = RunRecord(options=options, fingerprint=manifest.fingerprint)
    whole.write()
    parts = _parts(options)
    for number, part in enumerate(parts, start=1):
        name = f"fold {part.fold} of {part.folds}" if part.folds else f"seed {part.seed}"
        print(f"\nRun {number} of {len(parts)}: {name}, {part.output}", flush=True)
        before = RunRecord.read(part.output) if (part.output / OPTIONS_FILE).is_file() else None
        if before is not None and before.finished and before.options.epochs == part.epochs:
            print("Finished before.")
            continue
        if train(part if before is None else before.resumed({"epochs": part.epochs}), manifest, resumed=before):
            return True
    print()
    sum_up([part.output for part in parts], options.output)
    dataclasses.replace(whole, finished=True).write()
    return False


def _parts(options: TrainOptions) -> list[TrainOptions]:
    """The options of each run."""
    if options.folds:
        folds = range(1, options.folds + 1)
        return [dataclasses.replace(options, output=options.output / f"fold-{fold}", fold=fold) for fold in folds]
    seeds = range(options.seed, options.seed + options.runs)
    return [dataclasses.replace(options, output=options.output / f"seed-{seed}", seed=seed, runs=1) for seed in seeds]
