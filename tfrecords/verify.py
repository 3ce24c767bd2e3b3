"""Command line: `python -m tfrecords.verify DIR` recomputes everything that a dataset claims of itself."""

import argparse
import sys
import time
from collections import Counter

from tqdm import tqdm

from tfrecords.command_line.command import CommandParser, dataset
from tfrecords.command_line.programs import program
from tfrecords.errors import UsageError
from tfrecords.places import Place
from tfrecords.verification.dataset_check import DatasetCheck


def parse_options(arguments: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = CommandParser(
        prog=program("verify"),
        description="Reads a dataset once and lists everything in it that is not as dataset.json says.",
        epilog="Exit status: 0 for a dataset that is as it says, 1 for one that is not, 2 where there is none.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("data", type=dataset, metavar="DIR", help="folder or URL of the dataset")
    parser.add_argument("--limit", type=_at_least_zero, default=100, help="problems to list for each file; 0 for all")
    return parser.parse_args(arguments)


def _at_least_zero(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be 0 or a positive integer, got {text!r}")
    return int(text)


def verify(folder: Place, *, limit: int) -> bool:
    """Checks a dataset; prints its problems and, last, the verdict.

    Args:
        folder: The dataset's.
        limit: How many problems are listed for each file; 0 for all. All are counted.

    Returns:
        Whether all is well.

    Raises:
        DatasetError: If there is no dataset.
    """
    started = time.monotonic()
    check = DatasetCheck(folder)
    listed: Counter[str] = Counter()
    with tqdm(total=check.n_bytes_to_read(), desc="Verifying", unit="B", unit_scale=True, disable=None, leave=False) as bar:
        for problem in check.problems(progress=bar.update):
            listed[problem.file] += 1
            if not limit or listed[problem.file] <= limit:
                bar.write(str(problem))
    for file, n_problems in listed.items():
        if limit and n_problems > limit:
            print(f"{file}: {n_problems - limit} more problem(s)")
    verdict = f"{listed.total()} PROBLEM(S)" if listed else "all as dataset.json says"
    print(
        f"{folder}: {verdict}; {check.n_shards} shard(s), {check.n_tracks} tracks, {check.n_records} records, "
        f"{check.n_bytes / 2**20:.1f} MiB in {time.monotonic() - started:.1f} s"
    )
    return not listed


def main(arguments: list[str]) -> int:
    """Verifies a dataset.

    Returns:
        The exit status: 0 for a dataset that is as it says, 1 for one that is not, 2 where there is none, 130 for Ctrl-C.
    """
    options = parse_options(arguments)
    try:
        return 0 if verify(options.data, limit=options.limit) else 1
    except (UsageError, OSError) as error:
        print(f"verify: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nverify: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
