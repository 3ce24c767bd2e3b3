"""Command line: `python -m keras_model.summary RUN... --output DIR` sums up finished runs in one report."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_model.options import PAPER
from keras_model.reports.comparison import network_title, summary_text
from keras_model.reports.run_statistics import summarise
from keras_model.run_folder import METRICS_FILE, SUMMARY_FILE
from tfrecords.command_line.command import CommandParser, exit_status
from tfrecords.command_line.programs import program
from tfrecords.errors import UsageError

_NEEDED = ("corpus", "final", "epochs", "kept_epoch", "interrupted", "options", "model", "dataset")


def parse_options(arguments: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = CommandParser(
        prog=program("summary"),
        description="Sums up finished runs: means and standard deviations beside the published accuracies. The runs are of one "
        "split with several seeds, or every fold of a cross-validation; of one network and recipe or several.",
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folder of a finished run")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of the summary; must not hold anything")
    return parser.parse_args(arguments)


def read_metrics(run: Path) -> dict[str, Any]:
    """Reads what a finished run measured. Its `options.output` is the folder as it is named here.

    Raises:
        UsageError: If the folder holds no finished run.
    """
    path = run / METRICS_FILE
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"{run} is no finished run: it has no {METRICS_FILE}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} is damaged: {str(error).splitlines()[0]}") from error
    lacking = [key for key in _NEEDED if key not in metrics] if isinstance(metrics, dict) else list(_NEEDED)
    if lacking:
        raise UsageError(f"{path} is damaged, or of another version: it lacks {', '.join(lacking)}")
    metrics["options"]["output"] = str(run)
    return metrics


def by_network(runs: Sequence[Path]) -> Mapping[str, list[dict[str, Any]]]:
    """The metrics of finished runs, by the name of their networks, and of their recipes where those are not the paper's.

    Raises:
        UsageError: If a folder holds no finished run.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        metrics = read_metrics(run)
        title, recipe = network_title(metrics["model"]["name"]), metrics["options"].get("recipe", PAPER)
        groups.setdefault(title if recipe == PAPER else f"{title}, recipe {recipe}", []).append(metrics)
    return groups


def sum_up(runs: Sequence[Path], output: Path) -> None:
    """Writes the report and `summary.json` of finished runs, and prints the tables.

    Raises:
        UsageError: If a folder holds no finished run, or the runs do not belong together.
        OSError: If a file cannot be written.
    """
    summary = summarise(by_network(runs))
    from keras_model.reports.report import write_summary  # matplotlib takes a second to load: the runs are looked at before

    report = write_summary(summary, folder=output)
    print(summary_text(summary))
    print(f"\nReport   {report}\nSummary  {output / SUMMARY_FILE}")


def main(arguments: list[str]) -> int:
    """Sums up runs.

    Returns:
        The exit status: 0, or 2 for runs or an output folder that cannot be used.
    """
    options = parse_options(arguments)
    return exit_status("summary", lambda: _summarise(options))


def _summarise(options: argparse.Namespace) -> int:
    if options.output.exists() and (not options.output.is_dir() or any(options.output.iterdir())):
        raise UsageError(f"the output {options.output} exists; choose another --output")
    sum_up(options.runs, options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
