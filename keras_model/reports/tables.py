"""The summary's tables: the paper's, one without and one with batch normalisation, for the screen, the page and figures."""

from collections.abc import Mapping
from typing import Any

from keras_model.reports.comparison import Comparison, Estimate, Row, published_rows
from keras_model.reports.published import ACCURACIES
from tfrecords.corpus import CorpusInfo

_TITLES = {False: "Without batch normalisation", True: "With batch normalisation"}


def comparisons(summary: Mapping[str, Any]) -> dict[str, Comparison]:
    """The tables that a summary has networks for, by a name for files.

    Args:
        summary: What `summarise` returns.
    """
    tables = {}
    for batchnorm, title in _TITLES.items():
        networks = {name: network for name, network in summary["networks"].items() if network["batchnorm"] == batchnorm}
        if networks:
            tables[title.lower().replace(" ", "_")] = Comparison(
                title=title,
                published=published_rows(batchnorm=batchnorm),
                data=CorpusInfo(**summary["corpus"]).title,
                rows=[row for name, network in networks.items() for row in _rows(name, network, kind=summary["kind"])],
                notes=summary["notes"],
            )
    return tables


def to_text(summary: Mapping[str, Any]) -> str:
    """All tables for the screen."""
    return "\n\n\n".join(table.to_text() for table in comparisons(summary).values())


def _rows(name: str, network: Mapping[str, Any], *, kind: str) -> list[Row]:
    n_runs = network["n"]
    what = f"mean of {n_runs} {kind}" if n_runs > 1 else f"one {kind.removesuffix('s')}"
    rows = [
        Row(
            label=f"{name}, {what}",
            epochs=at["epoch"],
            accuracies={key: percent(at[key]) for key in ACCURACIES},
        )
        for at in network["epochs"]
    ]
    if kind == "folds":
        pooled = network["pooled"]
        rows.append(
            Row(
                label=f"{name}, {pooled['n_tracks']} tracks pooled",
                epochs=network["epochs"][-1]["epoch"],
                accuracies={key: Estimate(mean=100 * pooled[key]) for key in ACCURACIES},
            )
        )
    return rows


def percent(values: Mapping[str, Any]) -> Estimate:
    """An accuracy of a summary, in percent."""
    return Estimate(mean=100 * values["mean"], std=None if values["std"] is None else 100 * values["std"])
