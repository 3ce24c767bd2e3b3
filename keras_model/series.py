"""Several runs and their summary: one for each of some seeds, or for each fold of a cross-validation."""

import dataclasses
from collections.abc import Iterator

from keras_model.options import TrainOptions
from keras_model.reports.run_statistics import SummaryKind
from keras_model.run import train
from keras_model.run_folder import OPTIONS_FILE, SUMMARY_FILE, RunRecord
from tfrecords.manifest import Manifest


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
    parts = list(_parts(options))
    for number, part in enumerate(parts, start=1):
        name = f"fold {part.fold} of {part.folds}" if part.folds else f"seed {part.seed}"
        print(f"\nRun {number} of {len(parts)}: {name}, {part.output}", flush=True)
        before = RunRecord.read(part.output) if (part.output / OPTIONS_FILE).is_file() else None
        if before is not None and before.finished and before.options.epochs == part.epochs:
            print("Finished before.")
            continue
        if train(part if before is None else before.resumed({"epochs": part.epochs}), manifest, resumed=before):
            return True
    _sum_up(options, parts)
    dataclasses.replace(whole, finished=True).write()
    return False


def _parts(options: TrainOptions) -> Iterator[TrainOptions]:
    """The options of each run."""
    if options.folds:
        for fold in range(1, options.folds + 1):
            yield dataclasses.replace(options, output=options.output / f"fold-{fold}", fold=fold)
    else:
        for number in range(options.runs):
            seed = options.seed + number
            yield dataclasses.replace(options, output=options.output / f"seed-{seed}", seed=seed, runs=1)


def _sum_up(options: TrainOptions, parts: list[TrainOptions]) -> None:
    # They draw, and load matplotlib for it.
    from keras_model.reports.comparison import summary_text
    from keras_model.reports.report import write_summary
    from keras_model.reports.run_statistics import summarise
    from keras_model.summary import by_network

    groups = by_network([part.output for part in parts])
    kind: SummaryKind = "folds" if options.folds else "runs"
    report = write_summary(groups, kind=kind, folder=options.output)
    print(f"\n{summary_text(summarise(groups, kind=kind))}")
    print(f"\nReport   {report}\nSummary  {options.output / SUMMARY_FILE}")
