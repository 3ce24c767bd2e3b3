"""`report.html`: one self-contained page, and each of its pictures as a PNG beside it."""

import base64
from pathlib import Path
from typing import Any

import jinja2

from keras_model.figures import accuracy_curves, confusion_matrix, loss_curves
from keras_model.run_folder import REPORT_FILE
from tfrecords.corpus import CorpusInfo


def write_report(metrics: dict[str, Any], *, folder: Path) -> Path:
    """Draws the figures of a run and writes its report.

    Args:
        metrics: What `metrics.json` holds.
        folder: The run's.

    Returns:
        The path of the report.
    """
    figures = folder / "figures"
    figures.mkdir(exist_ok=True)
    genres = metrics["dataset"]["genres"]
    final = metrics["final"]
    corpus = CorpusInfo(**metrics["corpus"])
    title = corpus.title if corpus.synthetic else ""
    if metrics["epochs"]:
        accuracy_curves(metrics["epochs"], figures / "accuracy.png", title=title)
        loss_curves(metrics["epochs"], figures / "loss.png", title=title)
    confusion_matrix(final["raw_confusion"], genres, figures / "confusion_raw.png", unit="chunks", title=title)
    confusion_matrix(final["maximum_confusion"], genres, figures / "confusion_maximum.png", unit="tracks", title=title)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("keras_model"), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    images = {path.stem: base64.b64encode(path.read_bytes()).decode("ascii") for path in sorted(figures.glob("*.png"))}
    page = environment.get_template("report.html").render(metrics=metrics, images=images)
    (folder / REPORT_FILE).write_text(page, encoding="utf-8")
    return folder / REPORT_FILE
