"""The report of several runs: `report.html`, its figures, and `summary.json`."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_model.reports.comparable_runs import Groups, SummaryKind
from keras_model.reports.figures import confusion_matrix
from keras_model.reports.published import ACCURACIES, SOURCES
from keras_model.reports.report import embedded, synthetic_title, write_page
from keras_model.reports.run_statistics import summarise
from keras_model.reports.summary_figures import comparison_figure, genre_points, mean_curves
from keras_model.reports.tables import comparisons, percent
from keras_model.run_folder import REPORT_FILE, SUMMARY_FILE, write_whole


def write_summary(groups: Groups, *, kind: SummaryKind, folder: Path) -> Path:
    """Writes the report of several runs, and last `summary.json`.

    Args:
        groups: What `metrics.json` holds of each run, by the name of the network that tables give.
        kind: "runs" with several seeds on one split, or "folds" of a cross-validation.
        folder: Where to write; made where it is missing.

    Returns:
        The path of the report.

    Raises:
        UsageError: If the runs do not belong together.
        OSError: If a file cannot be written.
    """
    summary = summarise(groups, kind=kind)
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    tables = comparisons(summary)
    title = synthetic_title(summary)
    for name, table in tables.items():
        comparison_figure(table, figures / f"{name}.png")
    stems = {name: f"{number}_{_stem(name)}" for number, name in enumerate(summary["networks"], start=1)}
    for name, network in summary["networks"].items():
        heading = f"{name}: {title}" if title else name
        _draw_network(network, summary["genres"], figures, stem=stems[name], title=heading)
    report = write_page(
        folder / REPORT_FILE,
        "summary.html",
        summary=summary,
        tables=tables,
        stems=stems,
        images=embedded(figures),
        accuracies=ACCURACIES,
        sources=SOURCES,
        percent=percent,
    )
    write_whole(folder / SUMMARY_FILE, (json.dumps(summary, indent=1, allow_nan=False) + "\n").encode())
    return report


def _draw_network(network: Mapping[str, Any], genres: list[str], figures: Path, *, stem: str, title: str) -> None:
    if network["curves"]:
        mean_curves(network, figures / f"{stem}_accuracy.png", title=title)
    pooled = network["pooled"]
    confusion_matrix(pooled["raw_confusion"], genres, figures / f"{stem}_confusion_raw.png", unit="chunks", title=title)
    confusion_matrix(pooled["maximum_confusion"], genres, figures / f"{stem}_confusion_maximum.png", unit="tracks", title=title)
    genre_points(network, figures / f"{stem}_genres.png", title=title)


def _stem(name: str) -> str:
    """A network's name as part of the name of a file, whatever stands in it."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:40]
