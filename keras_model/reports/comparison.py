"""Tables of accuracies: this project's beside the published ones, and beside what is reached without a network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Any

from keras_model.evaluation.intervals import chance_level, wilson_interval
from keras_model.options import PAPER
from keras_model.reports.published import ACCURACIES, PUBLISHED, notes
from tfrecords.dataset.corpus import CorpusInfo
from tfrecords.display.text_table import columns

# The epochs that the publications report.
PUBLISHED_EPOCHS = (100, 200)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """An accuracy in percent.

    Attributes:
        mean: The accuracy, or the mean of several.
        std: Sample standard deviation where there are several.
        interval: 95 % interval where it is one of tracks.
    """

    mean: float
    std: float | None = None
    interval: tuple[float, float] | None = None

    def text(self, *, digits: int = 2) -> str:
        """The mean, and where there is one the standard deviation."""
        return f"{self.mean:.{digits}f}" if self.std is None else f"{self.mean:.{digits}f} ± {self.std:.{digits}f}"

    @property
    def range(self) -> str:
        """The interval: "71.9–82.3"; empty where there is none."""
        return f"{self.interval[0]:.1f}–{self.interval[1]:.1f}" if self.interval else ""

    def cell(self) -> str:
        """Both for the screen."""
        return f"{self.text()} ({self.range})" if self.interval else self.text()


@dataclass(frozen=True, kw_only=True)
class Row:
    """Accuracies of a network: what it is called, after how many epochs, and its estimates by the keys of ACCURACIES.

    Of what is no network `epochs` is None, and some estimates may lack.
    """

    label: str
    epochs: int | None
    accuracies: Mapping[str, Estimate]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Published accuracies on GTZAN, and this project's `rows` on other `data`, kept apart; `notes` must be read with them.

    `references` are what is reached on these data without a network.
    """

    title: str
    published: Sequence[Row]
    data: str
    references: Sequence[Row]
    rows: Sequence[Row]
    notes: Sequence[str]

    @property
    def parts(self) -> tuple[tuple[str, list[list[Row]]], ...]:
        """The parts with their headings; rows of one network, which differ in epochs, are together."""
        parts = (
            ("Published, on GTZAN", self.published),
            (f"Without a network, on {self.data}", self.references),
            (f"Here, on {self.data}", self.rows),
        )
        return tuple((heading, [list(same) for _, same in groupby(rows, key=lambda row: row.label)]) for heading, rows in parts)

    def to_text(self) -> str:
        """The table for the screen."""
        cells = [["", "epochs", *(f"{title} %" for title in ACCURACIES.values())]]
        for heading, networks in self.parts:
            cells.append([heading, *[""] * (len(cells[0]) - 1)])
            for row in chain.from_iterable(networks):
                accuracies = (row.accuracies[key].cell() if key in row.accuracies else "–" for key in ACCURACIES)
                cells.append([f"  {row.label}", str(row.epochs or ""), *accuracies])
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
    label, final = network_title(metrics["model"]["name"]), metrics["final"]
    epochs = {epoch: {key: accuracy_at(metrics, key, epoch) for key in ACCURACIES} for epoch in reported_epochs(metrics)}
    return Comparison(
        title="Accuracy on the test split",
        published=published_rows(),
        data=CorpusInfo(**metrics["corpus"]).title,
        references=_references(final, metrics["baseline"]),
        rows=[
            Row(label=label, epochs=epoch, accuracies=percents(values, n_tracks=final["n_tracks"]))
            for epoch, values in epochs.items()
        ],
        notes=notes(metrics, split=metrics["dataset"]["split_scheme"]),
    )


def genres_of_run(metrics: Mapping[str, Any]) -> dict[str, dict[str, Estimate]]:
    """The accuracies of each genre of a run."""
    final = metrics["final"]
    n_tracks = map(sum, final["maximum_confusion"])
    return {genre: percents(values, n_tracks=n) for (genre, values), n in zip(final["per_genre"].items(), n_tracks, strict=True)}


def genres_of_summary(network: Mapping[str, Any]) -> dict[str, dict[str, Estimate]]:
    """The accuracies of each genre of a network of a summary."""
    return {genre: percents(values) for genre, values in network["per_genre"].items()}


def _references(confusions: Mapping[str, Any], baseline: Mapping[str, Any] | None) -> list[Row]:
    """What is reached without a network: by chance, and by the baseline where there is one."""
    chance = {key: Estimate(mean=100 * chance_level(confusions[f"{key}_confusion"])) for key in ACCURACIES}
    rows = [Row(label="always the most frequent genre (chance level)", epochs=None, accuracies=chance)]
    if baseline is not None:
        accuracy = percent(baseline["accuracy"], n_tracks=baseline["n_tracks"])
        label = "mean and deviation of each band, logistic regression"
        # It decides once a track: whichever vote a network's accuracy is of, this one stands beside it.
        rows.append(Row(label=label, epochs=None, accuracies={"maximum": accuracy, "majority": accuracy}))
    return rows


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
                references=_references(next(iter(networks.values()))["pooled"], summary["baseline"]),
                rows=[row for name, network in networks.items() for row in _rows(name, network, kind=summary["kind"])],
                notes=summary["notes"],
            )
    return tables


def summary_text(summary: Mapping[str, Any]) -> str:
    """All tables of a summary for the screen."""
    return "\n\n\n".join(table.to_text() for table in of_summary(summary).values())


def percent(value: float | Mapping[str, Any], *, n_tracks: int = 0) -> Estimate:
    """An accuracy in 0..1, or mean, deviation and interval of several as a summary has them, in percent.

    Args:
        value: The accuracy.
        n_tracks: Of which it is one; 0 where it is none of tracks.
    """
    if isinstance(value, float):
        interval = wilson_interval(value, n_tracks) if n_tracks else None
        return Estimate(mean=100 * value, interval=_percents(interval))
    std = None if value["std"] is None else 100 * value["std"]
    return Estimate(mean=100 * value["mean"], std=std, interval=_percents(value["interval"]))


def _percents(interval: Sequence[float] | None) -> tuple[float, float] | None:
    return None if interval is None else (100 * interval[0], 100 * interval[1])


def percents(values: Mapping[str, Any], *, n_tracks: int = 0) -> dict[str, Estimate]:
    """The three accuracies of `percent`, of which the raw one is of chunks."""
    return {key: percent(values[key], n_tracks=0 if key == "raw" else n_tracks) for key in ACCURACIES}


def network_title(name: str) -> str:
    """A network's name for people."""
    return name.replace("_batchnorm", " with batch norm")


def run_title(metrics: Mapping[str, Any]) -> str:
    """A run's network and recipe."""
    return f"{network_title(metrics['model']['name'])}, recipe {metrics['options'].get('recipe', PAPER)}"


def _rows(name: str, network: Mapping[str, Any], *, kind: str) -> list[Row]:
    n_runs, pooled = network["n"], network["pooled"]
    what = f"mean of {n_runs} {kind}" if n_runs > 1 else f"one {kind.removesuffix('s')}"
    rows = [Row(label=f"{name}, {what}", epochs=at["epoch"], accuracies=percents(at)) for at in network["epochs"]]
    if kind == "folds":
        label = f"{name}, {pooled['n_tracks']} tracks pooled"
        rows.append(Row(label=label, epochs=rows[-1].epochs, accuracies=percents(pooled, n_tracks=pooled["n_tracks"])))
    return rows
