"""Command line of the training: TFRecords to a trained network, a report and a SavedModel."""

import argparse
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from keras_model.options import DEFAULT_DATA, TrainOptions, UsageError
from keras_model.quiet import load_tensorflow
from tfrecords.manifest import DatasetError


def parse_options(arguments: list[str]) -> TrainOptions:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, allow_abbrev=False, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder of the dataset")
    parser.add_argument("--output", type=Path, help="folder of the run; runs/<date-time> where not given")
    parser.add_argument("--batchnorm", action="store_true", help="batch normalisation after each convolution")
    parser.add_argument("--epochs", type=_positive(int), default=200, help="passes over the train split")
    parser.add_argument("--batch-size", type=_positive(int), default=64, help="samples per step, over all GPUs together")
    parser.add_argument("--learning-rate", type=_positive(float), default=5e-5, help="of Adam")
    parser.add_argument("--l1", type=_at_least_zero, default=1e-4, help="L1 penalty on every kernel")
    parser.add_argument("--dropout", type=_at_least_zero, default=0.1, help="rate after the hidden layer")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order of samples and dropout")
    parser.add_argument("--cache-gib", type=_at_least_zero, default=4.0, help="keep a split of up to this size in memory")
    parser.add_argument("--export", type=Path, help="folder for the SavedModel; <output>/export where not given")
    parser.add_argument("-v", "--verbose", action="store_true", help="show TensorFlow's own messages")
    values = parser.parse_args(arguments)
    if values.dropout >= 1:
        parser.error(f"argument --dropout: must be less than 1, got {values.dropout}")
    values.output = values.output or Path("runs") / datetime.now().strftime("%Y-%m-%d-%H%M%S")
    return TrainOptions(**vars(values))


def _positive(kind: type[int] | type[float]) -> Callable[[str], float]:
    def positive(text: str) -> float:
        number = kind(text)
        if not 0 < number < float("inf"):
            raise argparse.ArgumentTypeError(f"must be positive, got {text}")
        return number

    return positive


def _at_least_zero(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be at least 0, got {text}")
    return number


def main(arguments: list[str]) -> int:
    """Trains a network.

    Returns:
        The exit status: 0, 2 for data or an output folder that cannot be used, 130 for Ctrl-C, after which everything is
        written as far as the training went.
    """
    options = parse_options(arguments)
    try:
        # TensorFlow takes seconds to load: it comes after the command line and the data have been looked at.
        from keras_model.run import check_data, check_output

        manifest = check_data(options)
        check_output(options)
        load_tensorflow(verbose=options.verbose)
        from keras_model.run import train

        interrupted = train(options, manifest)
    except (DatasetError, UsageError) as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ntrain.py: interrupted before the training began", file=sys.stderr)
        return 130
    return 130 if interrupted else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
