"""`report.html` of one run: a self-contained page, and each of its pictures as a PNG beside it."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_model.reports import comparison
from keras_model.reports.figures import accuracy_curves, confusion_matrix, genre_bars, loss_curves
from keras_model.reports.gallery import Kind, ShownTrack, gallery
from keras_model.reports.gallery_figure import gallery_figure
from keras_model.reports.published import ACCURACIES, SOURCES
from keras_model.run_folder import REPORT_FILE
from tfrecords.corpus import CorpusInfo
from tfrecords.manifest import Manifest
from tfrecords.pages import render_template
from tfrecords.spectrogram_picture import ColourScale, SpectrogramAxes


def write_report(metrics: Mapping[str, Any], *, folder: Path, data: Path, manifest: Manifest) -> Path:
    """Draws the figures of a run and writes its report.

    Args:
        metrics: What `metrics.json` holds.
        folder: The run's.
        data: Folder of the dataset, for the spectrograms of some test tracks. If it cannot be read any more, the report says so.
        manifest: Its manifest.

    Returns:
        The path of the report.
    """
    figures = folder / "figures"
    figures.mkdir(exist_ok=True)
    genres, final = metrics["dataset"]["genres"], metrics["final"]
    title = synthetic_title(metrics)
    if metrics["epochs"]:
        accuracy_curves(metrics, figures / "accuracy.png", title=title)
        loss_curves(metrics, figures / "loss.png", title=title)
    confusion_matrix(final["raw_confusion"], genres, figures / "confusion_raw.png", unit="chunks", title=title)
    confusion_matrix(final["maximum_confusion"], genres, figures / "confusion_maximum.png", unit="tracks", title=title)
    genre_bars(final["per_genre"], figures / "genres.png", title=title)
    shown, problem = _gallery(metrics, data=data, manifest=manifest)
    scale = ColourScale.of([chunk.log_mel for tracks in shown.values() for track in tracks for chunk in track.chunks])
    _draw_gallery(shown, figures, scale=scale, title=title)
    return write_page(
        folder / REPORT_FILE,
        "report.html",
        metrics=metrics,
        network=comparison.network_title(metrics["model"]["name"]),
        images=embedded(figures),
        comparison=comparison.of_run(metrics),
        accuracies=ACCURACIES,
        sources=SOURCES,
        gallery=shown,
        gallery_problem=problem,
        scale=scale,
        axes=SpectrogramAxes(manifest.spec),
    )


def synthetic_title(metrics: Mapping[str, Any]) -> str:
    """The title of figures: the corpus where it is synthetic, so that a figure that is passed on says so."""
    corpus = CorpusInfo(**metrics["corpus"])
    return corpus.title if corpus.synthetic else ""


def embedded(figures: Path) -> dict[str, str]:
    """The PNG files of a folder in base64, by name without ending."""
    return {path.stem: base64.b64encode(path.read_bytes()).decode("ascii") for path in sorted(figures.glob("*.png"))}


def write_page(path: Path, template: str, **values: Any) -> Path:
    """Writes a page of this package's templates; what is no Unicode in names is written as escapes."""
    page = render_template(template, package="keras_model.reports", **values)
    path.write_text(page, encoding="utf-8", errors="backslashreplace")
    return path


def _gallery(metrics: Mapping[str, Any], *, data: Path, manifest: Manifest) -> tuple[dict[Kind, list[ShownTrack]], str]:
    """The tracks to show, and why there are none."""
    try:
        return gallery(metrics, data=data, manifest=manifest), ""
    except (OSError, ValueError) as error:  # a dataset that was changed during a long training must not cost the report
        return {}, str(error)


def _draw_gallery(shown: Mapping[Kind, list[ShownTrack]], figures: Path, *, scale: ColourScale, title: str) -> None:
    for kind, tracks in shown.items():
        if tracks:
            heading = f"{kind.name}: {title}" if title else kind.name
            gallery_figure(tracks, figures / f"spectrograms_{kind.stem}.png", scale=scale, title=heading)
