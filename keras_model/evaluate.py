"""Command line: `python -m keras_model.evaluate RUN --data DIR` recomputes a finished run's accuracies on a dataset."""

import argparse
import json
import sys
from pathlib import Path

from keras_model.argument_types import at_least_zero
from keras_model.front_end import FrontEnd
from keras_model.options import DEFAULT_DATA, TrainOptions
from keras_model.quiet import load_tensorflow
from keras_model.run_folder import FRONT_END_FILE, METRICS_FILE, MODEL_FILE
from tfrecords.errors import UsageError
from tfrecords.manifest import DatasetError, Manifest, read_dataset


def parse_options(arguments: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m keras_model.evaluate",
        description="Recomputes the accuracies of a finished run on any dataset of the same spec and genres.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder of the dataset")
    parser.add_argument("--split", default="test", help="split to evaluate on")
    parser.add_argument(
        "--cache-gib", type=at_least_zero, default=TrainOptions.cache_gib, help="keep a split up to this size in memory"
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("-v", "--verbose", action="store_true", help="show TensorFlow's own messages")
    return parser.parse_args(arguments)


def read_run(run: Path) -> FrontEnd:
    """Reads what a finished run was trained on.

    Raises:
        UsageError: If the folder holds no finished run.
    """
    for name in (MODEL_FILE, FRONT_END_FILE, METRICS_FILE):
        if not (run / name).is_file():
            raise UsageError(f"{run} is no finished run: it has no {name}")
    try:
        return FrontEnd.from_json((run / FRONT_END_FILE).read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{run}: {error}") from error


def check_fits(front_end: FrontEnd, manifest: Manifest, data: Path) -> None:
    """Refuses a dataset of another spec or other genres than the run's.

    Raises:
        DatasetError: Naming what differs.
    """
    theirs, ours = manifest.spec.to_dict(), front_end.spec.to_dict()
    if differing := [f"{name} {theirs[name]} instead of {ours[name]}" for name in ours if theirs[name] != ours[name]]:
        raise DatasetError(f"{data} is of another spec than the run's data: {', '.join(differing)}")
    if manifest.genres != front_end.genres:
        raise DatasetError(f"{data} has the genres {', '.join(manifest.genres)}; the run's are {', '.join(front_end.genres)}")


def check_not_its_fold(run: Path, front_end: FrontEnd, manifest: Manifest, data: Path) -> None:
    """Refuses the dataset that a fold of a cross-validation was trained on: its splits are not what was tested.

    Raises:
        DatasetError: Saying so.
    """
    options = json.loads((run / METRICS_FILE).read_text(encoding="utf-8"))["options"]
    if options.get("fold") and manifest.fingerprint == front_end.fingerprint:
        raise DatasetError(
            f"{run} was trained on tracks of every split of {data}: it is fold {options['fold']} of {options['folds']}, and "
            f"{run / METRICS_FILE} has what its own tracks gave"
        )


def main(arguments: list[str]) -> int:
    """Evaluates a run.

    Returns:
        The exit status: 0, or 2 for a run or a dataset that cannot be used.
    """
    options = parse_options(arguments)
    try:
        front_end = read_run(options.run)
        manifest = read_dataset(options.data)
        check_fits(front_end, manifest, options.data)
        check_not_its_fold(options.run, front_end, manifest, options.data)
        manifest.shards_of(options.split)
    except UsageError as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 2
    load_tensorflow(verbose=options.verbose)
    from keras_model.training.dataset import load_split
    from keras_model.training.fit import load_model
    from keras_model.training.split_evaluation import evaluate_model

    try:
        model = load_model(options.run / MODEL_FILE)
    except UsageError as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 2
    split = load_split(options.data, manifest, options.split, cache_bytes=options.cache_gib * 2**30)
    evaluation = evaluate_model(model, split, manifest.genres)
    result = evaluation.to_dict()
    if options.json:
        print(json.dumps({"corpus": manifest.corpus.name, "synthetic": manifest.corpus.synthetic} | result))
        return 0
    print(f"{options.run} on split {options.split} of {manifest.corpus.title}: {result['n_tracks']} tracks")
    for name, title in (("raw", "raw"), ("maximum", "maximum probability"), ("majority", "majority vote")):
        print(f"  {title:20} {result[name]:7.2%}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
