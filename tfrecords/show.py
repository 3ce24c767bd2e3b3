"""Command line: `python -m tfrecords.show DIR` prints what a dataset holds and writes a page of spectrograms."""

import argparse
import sys
from pathlib import Path

from tfrecords.command_line.command import CommandParser, dataset
from tfrecords.command_line.extras import extras_named
from tfrecords.command_line.programs import program, shell_command
from tfrecords.dataset.folder import read_manifest
from tfrecords.display.dataset_summary import DatasetSummary
from tfrecords.errors import UsageError
from tfrecords.places import Place
from tfrecords.records.sampling import sample_tracks

_CHUNKS = 4


def parse_options(arguments: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = CommandParser(
        prog=program("show"),
        description="Prints what a dataset holds, and writes a page with spectrograms of each genre.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("data", type=dataset, metavar="DIR", help="folder or URL of the dataset")
    parser.add_argument("--output", type=Path, metavar="PAGE.html", help="the page; ./<name of DIR>.html where not given")
    parser.add_argument("--tracks", type=_positive, default=3, help="tracks of each genre on the page")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive integer, got {text!r}")
    return int(text)


def check_output(output: Path, folder: Place) -> None:
    """Refuses a page that cannot be written, or would lie in the dataset's folder, where the pipeline allows no other files.

    Raises:
        UsageError: Saying what to do instead.
    """
    if isinstance(folder, Path) and output.resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"{output} would lie in the dataset's folder; choose another --output")
    if output.is_dir() or not output.parent.is_dir():
        raise UsageError(f"{output} cannot be written: {'it is a folder' if output.is_dir() else f'there is no {output.parent}'}")


def show(folder: Place, *, output: Path, n_tracks: int) -> None:
    """Prints a dataset's numbers, and writes its page.

    Args:
        folder: The dataset's.
        output: The page.
        n_tracks: Tracks of each genre on it.

    Raises:
        UsageError: If the dataset cannot be read, or the page not be drawn.
        OSError: If a file cannot be read or written.
    """
    manifest = read_manifest(folder)
    check_output(output, folder)
    summary = DatasetSummary.of(folder, manifest)
    print(summary.to_text().encode(errors="backslashreplace").decode(), flush=True)
    with extras_named():
        from tfrecords.display.dataset_page import render_page
    try:
        sampled = sample_tracks(folder, manifest, n_tracks=n_tracks, n_chunks=_CHUNKS)
    except ValueError as error:
        raise UsageError(f"{error}; see {shell_command('verify', str(folder))}") from error
    output.write_text(render_page(summary, sampled), encoding="utf-8", errors="backslashreplace")
    print(f"\nPage  {output}")


def main(arguments: list[str]) -> int:
    """Shows a dataset.

    Returns:
        The exit status: 0, or 2 for a dataset or a page that cannot be used.
    """
    options = parse_options(arguments)
    name = (options.data.resolve() if isinstance(options.data, Path) else options.data).name
    output = options.output or Path(f"{name or 'dataset'}.html")
    try:
        show(options.data, output=output, n_tracks=options.tracks)
    except (UsageError, OSError) as error:
        print(f"show: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
