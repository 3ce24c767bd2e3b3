"""Command line of the training: TFRecords to a trained network, a report and a SavedModel."""

import argparse
import sys
from datetime import datetime
from pathlib import Path

from keras_model.argument_types import at_least_zero, keras_seed, positive
from keras_model.networks.settings import NETWORKS, network_settings
from keras_model.options import DEFAULT_DATA, TrainOptions
from keras_model.quiet import load_tensorflow
from keras_model.run import check_data, check_output, train
from keras_model.run_folder import TrainingError
from tfrecords.errors import UsageError


def parse_options(arguments: list[str]) -> TrainOptions:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, allow_abbrev=False, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder of the dataset")
    parser.add_argument("--output", type=Path, help="folder of the run; runs/<date-time> where not given")
    parser.add_argument("--model", choices=tuple(NETWORKS), default="shallow", help="network")
    parser.add_argument("--batchnorm", action="store_true", help="batch normalisation after each convolution; bbnn always has it")
    parser.add_argument("--epochs", type=positive(int), default=200, help="passes over the train split")
    parser.add_argument("--batch-size", type=positive(int), default=64, help="samples per step, over all GPUs together")
    parser.add_argument("--learning-rate", type=positive(float), default=5e-5, help="of Adam")
    parser.add_argument("--l1", type=at_least_zero, help=f"L1 penalty on every kernel; where not given, {_own('l1')}")
    parser.add_argument("--dropout", type=at_least_zero, help=f"rate before the genre layer; where not given, {_own('dropout')}")
    parser.add_argument("--seed", type=keras_seed, default=0, help="of weights, order of samples and dropout")
    parser.add_argument("--cache-gib", type=at_least_zero, default=4.0, help="keep a split of up to this size in memory")
    parser.add_argument("--export", type=Path, help="folder for the SavedModel; <output>/export where not given")
    parser.add_argument("-v", "--verbose", action="store_true", help="show TensorFlow's own messages")
    values = parser.parse_args(arguments)
    if values.dropout is not None and values.dropout >= 1:
        parser.error(f"argument --dropout: must be less than 1, got {values.dropout}")
    values.output = values.output or Path("runs") / datetime.now().strftime("%Y-%m-%d-%H%M%S")
    try:
        network_settings(values.model, batchnorm=values.batchnorm)
    except UsageError as error:
        parser.error(str(error))
    return TrainOptions(**vars(values))


def _own(setting: str) -> str:
    return ", ".join(f"{getattr(own, setting):g} for {name}" for name, own in NETWORKS.items())


def main(arguments: list[str]) -> int:
    """Trains a network.

    Returns:
        The exit status: 0; 1 for a training that diverged or a SavedModel that was not published; 2 for data or an output folder
        that cannot be used; 130 for Ctrl-C, after which everything is written as far as the training went.
    """
    options = parse_options(arguments)
    try:
        manifest = check_data(options)
        check_output(options)
        # TensorFlow takes seconds to load: it comes after the command line and the data have been looked at.
        load_tensorflow(verbose=options.verbose)
        interrupted = train(options, manifest)
    except UsageError as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2
    except TrainingError as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ntrain.py: interrupted; nothing was saved", file=sys.stderr)
        return 130
    return 130 if interrupted else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
