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
    """Published accuracies and others, kept apart.

    Attributes:
        title: What it shows.
        published: Rows on GTZAN.
        data: The data of the other rows.
        rows: Of this project.
        notes: What must be read with it.
    """

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


def of_run(metrics: Mapping[str, Any]) -> Comparison:
    """A run beside all that was published."""
    rows = []
    for epoch in reported_epochs(metrics):
        is_kept = epoch == metrics["kept_epoch"]
        values = metrics["final"] if is_kept else {key: metrics["epochs"][epoch - 1][f"test_{key}"] for key in ACCURACIES}
        rows.append(
            Row(
                label=network_title(metrics["model"]["name"]),
                epochs=epoch,
                accuracies={key: Estimate(mean=100 * values[key]) for key in ACCURACIES},
            )
        )
    return Comparison(
        title="Accuracy on the test split",
        published=published_rows(),
        data=CorpusInfo(**metrics["corpus"]).title,
        rows=rows,
        notes=notes(metrics, split=metrics["dataset"]["split_scheme"]),
    )


def network_title(name: str) -> str:
    """A network's name for people."""
    return name.replace("_batchnorm", " with batch norm")
