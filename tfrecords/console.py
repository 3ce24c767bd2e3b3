"""The console script `gtzan-genres`: every command of the three packages under one name."""

import argparse
import runpy
import sys

from tfrecords.command_line.command import CommandParser
from tfrecords.command_line.programs import COMMANDS
from tfrecords.command_line.versions import PACKAGE, version_of


def main() -> None:
    """Runs the command that comes first on the command line, as `python -m` runs its module, and ends with its exit status."""
    width = max(map(len, COMMANDS))
    parser = CommandParser(
        prog=PACKAGE,
        description="Music genres: audio to TFRecords to a served network.",
        epilog="commands:\n" + "\n".join(f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items()),
        usage="%(prog)s [-h] [--version] COMMAND ...",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{PACKAGE} {version_of(PACKAGE)}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of those below; COMMAND -h has its options")
    command = parser.parse_args(sys.argv[1:2]).command
    del sys.argv[1]
    runpy.run_module(COMMANDS[command].module, run_name="__main__")


if __name__ == "__main__":
    main()
