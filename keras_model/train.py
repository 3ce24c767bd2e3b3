"""Command line of the training: TFRecords to a trained network, a report and a SavedModel."""

import argparse
import os
import sys
from datetime import datetime
from pathlib import Path

from keras_model.networks.settings import IMPLEMENTATIONS, NETWORKS, REPROGRAMMINGS
from keras_model.options import AUGMENTATIONS, DECAYS, DEFAULT_DATA, KEPT, PRECISIONS, RECIPES, STANDARDIZATIONS, TrainOptions
from keras_model.quiet import load_tensorflow
from keras_model.run import check_data, check_output, train
from keras_model.run_folder import RunRecord
from keras_model.series import train_several
from tfrecords.command_line.command import (
    CommandParser,
    at_least_zero,
    dataset,
    exit_status,
    folder,
    keras_seed,
    positive,
    whole,
)
from tfrecords.command_line.programs import program, shell_command, speaker
from tfrecords.errors import FailedError, UsageError

_NOT_GIVEN = object()


def parse_options(arguments: list[str]) -> tuple[TrainOptions, RunRecord | None]:
    """Reads the command line.

    Returns:
        The options; and what a run that is to be resumed was asked before.

    Raises:
        UsageError: If a run cannot be resumed, or not like that.
    """
    parser = CommandParser(
        prog=program("train"), description=__doc__, allow_abbrev=False, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--data", type=dataset, default=DEFAULT_DATA, help="folder or URL of the dataset")
    parser.add_argument(
        "--cache-dir", type=folder, metavar="DIR", help="keep copies of shards behind a URL here; streamed where not given"
    )
    parser.add_argument("--output", type=Path, help="folder of the run; runs/<date-time> where not given")
    parser.add_argument("--resume", type=Path, metavar="RUN", help="go on with an unfinished run, or prolong one with --epochs")
    parser.add_argument("--model", choices=tuple(NETWORKS), default="shallow", help="network")
    parser.add_argument("--reprogramming", choices=REPROGRAMMINGS, help="what --model reprogrammed trains; skip where not given")
    parser.add_argument(
        "--batchnorm",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="batch normalisation after each convolution; all but shallow and deep always have it",
    )
    parser.add_argument(
        "--standardize",
        choices=STANDARDIZATIONS,
        help="have the network standardise each mel band; where not given, as the dataset's preset does",
    )
    parser.add_argument(
        "--robust",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="have the network hear each chunk at one level, and nothing of what codecs take away",
    )
    parser.add_argument("--recipe", choices=tuple(RECIPES), default="paper", help="defaults of other options: docs/recipes.md")
    parser.add_argument("--runs", type=positive(int), default=1, help="runs, with seeds one after the other, and their summary")
    parser.add_argument("--folds", type=positive(int), default=0, help="cross-validate: a run for each fold of the tracks")
    parser.add_argument("--epochs", type=positive(int), default=200, help="passes over the train split")
    parser.add_argument("--batch-size", type=positive(int), default=64, help="samples per step, over all GPUs together")
    parser.add_argument("--learning-rate", type=positive(float), default=5e-5, help="of Adam")
    parser.add_argument("--learning-rate-warmup", type=whole(0), default=0, help="steps in which it rises, at the start")
    parser.add_argument("--learning-rate-decay", choices=DECAYS, default="none", help="how it falls over the run")
    parser.add_argument("--l1", type=at_least_zero, help=f"L1 penalty on every kernel; where not given, {_own('l1')}")
    parser.add_argument("--dropout", type=at_least_zero, help=f"rate before the genre layer; where not given, {_own('dropout')}")
    parser.add_argument("--label-smoothing", type=at_least_zero, default=0.0, help="share of each target that all genres get")
    parser.add_argument("--augment", choices=AUGMENTATIONS, help="spec: mask bands and frames of the training samples")
    parser.add_argument("--mixup", type=at_least_zero, default=0.0, help="mix training samples, with this α; 0 for not")
    parser.add_argument("--random-crop", type=whole(0), default=0, help="shift training samples by up to so many frames")
    parser.add_argument("--band-shift", type=whole(0), default=0, help="shift training samples by up to so many mel bands")
    parser.add_argument(
        "--ema", type=at_least_zero, default=0.0, help="momentum of the weights' moving average, which is evaluated and saved"
    )
    parser.add_argument(
        "--keep", choices=KEPT, default="last", help="the epoch that is saved: best has the lowest loss on the validation split"
    )
    parser.add_argument(
        "--early-stopping",
        type=whole(0),
        default=0,
        metavar="N",
        help="end after N epochs without a lower loss on the validation split; 0 for never",
    )
    parser.add_argument("--seed", type=keras_seed, default=0, help="of weights, order of samples and dropout")
    parser.add_argument("--cache-gib", type=at_least_zero, default=4.0, help="keep a split of up to this size in memory")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="what the layers compute in")
    parser.add_argument(
        "--xla", action=argparse.BooleanOptionalAction, help="compile the step with XLA; where not given, on one GPU only"
    )
    parser.add_argument(
        "--convolution",
        choices=IMPLEMENTATIONS,
        default="auto",
        help="how the first convolutions are computed: by Keras' layers, fused with the pooling, or as is faster here",
    )
    parser.add_argument("--deterministic", action="store_true", help="the same numbers each time on a GPU too, which is slower")
    parser.add_argument("--export", type=Path, help="folder for the SavedModel; <output>/export where not given")
    parser.add_argument("--no-export", action="store_false", dest="exports", help="write no SavedModel")
    parser.add_argument("-v", "--verbose", action="store_true", help="show TensorFlow's own messages")
    defaults = vars(parser.parse_args([]))
    given = vars(parser.parse_args(arguments, argparse.Namespace(**dict.fromkeys(defaults, _NOT_GIVEN))))
    given = {name: value for name, value in given.items() if value is not _NOT_GIVEN}
    for name in ("dropout", "ema", "label_smoothing"):
        if given.get(name, 0) >= 1:
            parser.error(f"argument --{name.replace('_', '-')}: must be less than 1, got {given[name]}")
    if run := given.pop("resume", None):
        before = RunRecord.read(run)
        return before.resumed(given), before
    given.setdefault("output", Path("runs") / datetime.now().strftime("%Y-%m-%d-%H%M%S"))
    if given.get("model") == "reprogrammed":
        given.setdefault("reprogramming", "skip")
    recipe = RECIPES[given.get("recipe", "paper")]
    values = {name: value for name, value in ({**defaults, **recipe, **given}).items() if name != "resume"}
    if "batchnorm" not in given and NETWORKS[values["model"]].batchnorm:
        values["batchnorm"] = False  # a recipe's, for a network that has it without being asked
    options = TrainOptions(**values)
    options.check()
    return options, None


def _own(setting: str) -> str:
    return ", ".join(f"{getattr(own, setting):g} for {name}" for name, own in NETWORKS.items())


def main(arguments: list[str]) -> int:
    """Trains a network.

    Returns:
        The exit status: 0, also where the run to resume is finished already; 1 for a training that diverged, a disk that takes
        nothing more, or a SavedModel that was not published; 2 for options, data or an output folder that cannot be used; 130 for
        Ctrl-C, after which everything is written as of the last finished epoch.
    """
    return exit_status(speaker(program("train")), lambda: _train(arguments))


def _train(arguments: list[str]) -> int:
    options, resumed = parse_options(arguments)
    if resumed is not None and resumed.finished and options.epochs == resumed.options.epochs:
        print(f"{options.output} is finished: {options.epochs} epochs. --epochs with a higher number prolongs it.")
        return 0
    if os.environ.get("TF_CONFIG"):
        raise UsageError("TF_CONFIG names machines that train together, and this trains on one: unset it")
    manifest = check_data(options)
    options.augmentation.check(manifest.spec)
    if resumed is None:
        check_output(options)
    else:
        resumed.check_data(manifest)
    # TensorFlow takes seconds to load: it comes after the command line and the data have been looked at.
    load_tensorflow(verbose=options.verbose)
    from tfrecords.records.shard_records import shard_errors

    try:
        with shard_errors():
            interrupted = train_several(options, manifest) if options.several else train(options, manifest, resumed=resumed)
    except OSError as error:
        raise FailedError(f"{error.filename or options.output}: {error.strerror or error}") from error
    except KeyboardInterrupt:
        go_on = shell_command("train", "--resume", options.output)
        raise KeyboardInterrupt(f"interrupted before an epoch was finished that could be saved; go on with: {go_on}") from None
    return 130 if interrupted else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
