"""Tables of accuracies: this project's beside the published ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Any

from keras_model.reports.published import ACCURACIES, PUBLISHED, notes
from tfrecords.corpus import CorpusInfo
from tfrecords.text_table import columns

# The epochs that the publications report.
PUBLISHED_EPOCHS = (100, 200)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """An accuracy in percent: a mean, and the sample standard deviation where there are several measurements."""

    mean: float
    std: float | None = None

    def text(self, *, digits: int = 2) -> str:
        """The mean, and where there is one the standard deviation."""
        return f"{self.mean:.{digits}f}" if self.std is None else f"{self.mean:.{digits}f} ± {self.std:.{digits}f}"


@dataclass(frozen=True, kw_only=True)
class Row:
    """Accuracies of a network: what it is called, after how many epochs, and its estimates by the keys of ACCURACIES."""

    label: str
    epochs: int
    accuracies: Mapping[str, Estimate]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Published accuracies on GTZAN, and this project's `rows` on other `data`, kept apart; `notes` must be read with them."""

    title: str
    published: Sequence[Row]
    data: str
    rows: Sequence[Row]
    notes: Sequence[str]

    @property
    def parts(self) -> tuple[tuple[str, list[list[Row]]], ...]:
        """Both parts with their headings; rows of one network, which differ in epochs, are together."""
        parts = (("Published, on GTZAN", self.published), (f"Here, on {self.data}", self.rows))
        return tuple((heading, [list(same) for _, same in groupby(rows, key=lambda row: row.label)]) for heading, rows in parts)

    def to_text(self) -> str:
        """The table for the screen."""
        cells = [["", "epochs", *(f"{title} %" for title in ACCURACIES.values())]]
        for heading, networks in self.parts:
            cells.append([heading, *[""] * (len(cells[0]) - 1)])
            for row in chain.from_iterable(networks):
                cells.append([f"  {row.label}", str(row.epochs), *(row.accuracies[key].text() for key in ACCURACIES)])
        return "\n".join([self.title, "", *columns(cells), "", *self.notes])


def published_rows(*, batchnorm: bool | None = None) -> list[Row]:
    """The published accuracies; with or without batch normalisation, or all."""
    return [
        Row(
            label=f"{result.source.short}: {result.network}{' with batch norm' if result.batchnorm else ''}",
            epochs=result.epochs,
            accuracies={key: Estimate(mean=getattr(result, key)) for key in ACCURACIES},
        )
        for result in PUBLISHED
        if batchnorm in (None, result.batchnorm)
    ]


def reported_epochs(metrics: Mapping[str, Any]) -> list[int]:
    """The epochs to report of a training: those of the publications that were tested, and that of the network it kept."""
    tested = [epoch for epoch, logs in enumerate(metrics["epochs"], start=1) if "test_raw" in logs]
    return sorted({*(epoch for epoch in PUBLISHED_EPOCHS if epoch in tested), metrics["kept_epoch"]})


def accuracy_at(metrics: Mapping[str, Any], key: str, epoch: int) -> float:
    """An accuracy of a run on the test split after an epoch, in 0..1."""
    value: float = metrics["final"][key] if epoch == metrics["kept_epoch"] else metrics["epochs"][epoch - 1][f"test_{key}"]
    return value


def of_run(metrics: Mapping[str, Any]) -> Comparison:
    """A run beside all that was published."""
    label = network_title(metrics["model"]["name"])
    epochs = {epoch: {key: accuracy_at(metrics, key, epoch) for key in ACCURACIES} for epoch in reported_epochs(metrics)}
    return Comparison(
        title="Accuracy on the test split",
        published=published_rows(),
        data=CorpusInfo(**metrics["corpus"]).title,
        rows=[Row(label=label, epochs=epoch, accuracies=percents(values)) for epoch, values in epochs.items()],
        notes=notes(metrics, split=metrics["dataset"]["split_scheme"]),
    )


def of_summary(summary: Mapping[str, Any]) -> dict[str, Comparison]:
    """The paper's tables, without and with batch normalisation, of which a summary has networks; by a name for files."""
    tables = {}
    for batchnorm, title in ((False, "Without batch normalisation"), (True, "With batch normalisation")):
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


def summary_text(summary: Mapping[str, Any]) -> str:
    """All tables of a summary for the screen."""
    return "\n\n\n".join(table.to_text() for table in of_summary(summary).values())


def percent(value: float | Mapping[str, Any]) -> Estimate:
    """An accuracy in 0..1, or mean and deviation of several as a summary has them, in percent."""
    if isinstance(value, float):
        return Estimate(mean=100 * value)
    return Estimate(mean=100 * value["mean"], std=None if value["std"] is None else 100 * value["std"])


def percents(values: Mapping[str, Any]) -> dict[str, Estimate]:
    """The three accuracies of `percent`."""
    return {key: percent(values[key]) for key in ACCURACIES}


def network_title(name: str) -> str:
    """A network's name for people."""
    return name.replace("_batchnorm", " with batch norm")


def _rows(name: str, network: Mapping[str, Any], *, kind: str) -> list[Row]:
    n_runs, pooled = network["n"], network["pooled"]
    what = f"mean of {n_runs} {kind}" if n_runs > 1 else f"one {kind.removesuffix('s')}"
    rows = [Row(label=f"{name}, {what}", epochs=at["epoch"], accuracies=percents(at)) for at in network["epochs"]]
    if kind == "folds":
        label = f"{name}, {pooled['n_tracks']} tracks pooled"
        rows.append(Row(label=label, epochs=rows[-1].epochs, accuracies=percents(pooled)))
    return rows
