"""Writes a SavedModel in TF Serving's layout, `<folder>/<name>/<version>/`, and checks it before it gets its name.

Command line: `python -m keras_model.export [RUN] --to DIR` exports any finished run, or the network that ships; `--to
hf://OWNER/NAME` puts a run's onto the Hub.
"""

import argparse
import fcntl
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from keras_model import hub
from keras_model.networks.settings import IMPLEMENTATIONS
from keras_model.reports.model_card import model_card
from keras_model.run_folder import (
    CARD_FILE,
    EXPORT_CHECK_FILE,
    FRONT_END_FILE,
    LABELS_FILE,
    METRICS_FILE,
    MODEL_FILE,
    ExportError,
    FrontEnd,
)
from keras_model.serving.serving_files import is_model_name, write_serving_files, write_warm_up
from tfrecords.command_line.command import CommandParser, exit_status, folder, whole
from tfrecords.command_line.programs import program
from tfrecords.errors import UsageError, first_line, quoted

if TYPE_CHECKING:
    import keras

MODEL_NAME = "genres"
FORMATS = ("saved-model", "onnx", "litert")


def export_model(
    model: "keras.Model",
    front_end: FrontEnd,
    *,
    folder: Path,
    name: str = MODEL_NAME,
    n_wanted: int | None = None,
    card: str | None = None,
) -> Path:
    """Exports a network with its front end as the next version of a model.

    Beside the models lie `models.config`, `batching.config` and `compose.yaml`, with which TF Serving serves all models of the
    folder. A version holds what it was checked for in `assets.extra/export_check.json`.

    Args:
        model: From (batch, n_mels, n_frames, 1) to probabilities.
        front_end: Of the dataset that the network was trained on.
        folder: Holds the models; made where it is missing.
        name: Of the model. Its versions are numbered, and none is ever overwritten.
        n_wanted: How many chunks of a track are classified; None for all candidates.
        card: Of the network, which becomes the version's `README.md`; None for none.

    Returns:
        The version's folder.

    Raises:
        UsageError: If the name cannot be one of TF Serving's.
        ExportError: If the folder cannot be written, or the reloaded model differs from pipeline or network.
    """
    import tensorflow as tf

    check_name(name)
    versions = folder / name
    try:
        for path in (folder, versions):
            with suppress(FileExistsError):
                path.mkdir(parents=True)
                path.chmod(0o755)  # TF Serving runs as another user
        with _locked(versions), _unpublished(versions) as unpublished:
            saved = _write(model, front_end, unpublished, name=name, n_wanted=n_wanted, card=card)
            version = _next_version(versions)
            saved.rename(version)  # last and at once: TF Serving polls the folder for versions
        with _locked(folder):
            write_serving_files(folder)
    except (OSError, tf.errors.OpError) as error:  # TensorFlow has one of its own for a full disk
        reason = getattr(error, "strerror", None) or first_line(error)
        raise ExportError(f"the export folder {versions} cannot be written: {reason}") from error
    return version


def check_name(name: str) -> None:
    """Refuses names of models that TF Serving could not serve.

    Raises:
        UsageError: Naming it.
    """
    if not is_model_name(name):
        reason = "a model's name has letters, digits, '.', '_' and '-', is no number and no file's that lies beside it"
        raise UsageError(f"{reason}, got {quoted(name)}")


def _write(model: "keras.Model", front_end: FrontEnd, folder: Path, *, name: str, n_wanted: int | None, card: str | None) -> Path:
    """Writes and checks a SavedModel in a temporary folder."""
    import tensorflow as tf

    from keras_model.serving.export_check import check_export
    from keras_model.serving.served_model import ServedModel

    labels, asset = folder / LABELS_FILE, folder / FRONT_END_FILE
    labels.write_text("".join(f"{genre}\n" for genre in front_end.genres), encoding="utf-8")
    asset.write_text(front_end.to_json(), encoding="utf-8")
    saved = folder / "saved_model"
    ServedModel(model, front_end, assets=(labels, asset), n_wanted=n_wanted).save(saved)
    with tf.device("CPU:0"):  # a GPU may round to TensorFloat-32, on both sides but not alike
        checked = check_export(saved, model, front_end, n_wanted=n_wanted)
    extra = saved / "assets.extra"
    extra.mkdir(exist_ok=True)
    (extra / EXPORT_CHECK_FILE).write_text(json.dumps(checked, indent=1) + "\n", encoding="utf-8")
    write_warm_up(extra, front_end, name=name)
    if card is not None:
        (saved / CARD_FILE).write_text(card, encoding="utf-8")
    for path in (saved, *saved.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return saved


def _next_version(versions: Path) -> Path:
    return versions / str(1 + max((int(path.name) for path in versions.iterdir() if path.name.isdecimal()), default=0))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time has a folder."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


@contextmanager
def _unpublished(versions: Path) -> Iterator[Path]:
    """A temporary folder whose name TF Serving passes over; those that killed exports have left are removed."""
    for left in versions.glob(".export-*"):
        shutil.rmtree(left)
    path = Path(tempfile.mkdtemp(prefix=".export-", dir=versions))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def parse_options(arguments: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = CommandParser(
        prog=program("export"),
        description="Exports a network for TF Serving, as the next version of a model, and to ONNX and LiteRT.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("run", type=folder, nargs="?", help="folder of a finished run; without one, the network that ships")
    parser.add_argument(
        "--to", type=_target, required=True, metavar="DIR", help=f"folder of the models, or {hub.PREFIX}OWNER/NAME on the Hub"
    )
    parser.add_argument("--name", default=MODEL_NAME, help="of the model: DIR/NAME/VERSION")
    parser.add_argument(
        "--format", nargs="+", choices=FORMATS, default=["saved-model"], metavar="FORMAT", help=", ".join(FORMATS)
    )
    parser.add_argument("--chunks", type=whole(1), metavar="N", help="chunks of a track that are classified; all where not given")
    parser.add_argument(
        "--convolution",
        choices=IMPLEMENTATIONS,
        default="auto",
        help=f"what computes the first convolutions of the SavedModel: as for {program('train')}; auto looks at this machine",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="show TensorFlow's own messages")
    return parser.parse_args(arguments)


def _target(text: str) -> Path | str:
    """The argparse type of a folder, or an address on the Hub."""
    if not text.startswith(hub.PREFIX):
        return folder(text)
    try:
        return hub.address(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def main(arguments: list[str]) -> int:
    """Exports a run.

    Returns:
        The exit status: 0; 1 if a model was not published; 2 for a run or a name that cannot be used; 130 after Ctrl-C.
    """
    options = parse_options(arguments)
    return exit_status("export", lambda: _export(options))


def _export(options: argparse.Namespace) -> int:
    from keras_model.evaluate import read_run
    from keras_model.pretrained.wheel import read_wheel
    from keras_model.quiet import load_tensorflow

    check_name(options.name)
    if options.chunks and "saved-model" not in options.format:
        raise UsageError("--chunks is for --format saved-model: the others take log-mels, and no tracks")
    card, is_synthetic = None, False
    if options.run:  # is read before TensorFlow takes its seconds
        front_end = read_run(options.run)
        card, is_synthetic = _card(options.run, front_end), front_end.corpus.synthetic
    elif isinstance(options.to, Path):
        read_wheel()
    else:
        raise UsageError(f"{options.to} is for the network of a run: name one")
    load_tensorflow(verbose=options.verbose)
    from keras_model.networks.shipped import CARD

    if isinstance(options.to, Path) and (portable := [form for form in options.format if form != "saved-model"]):
        from keras_model.serving.portable_formats import check_possible

        for form in portable:  # before the SavedModel is published
            check_possible(form, folder=options.to, name=options.name)
    card = card or CARD.read_text(encoding="utf-8")
    if isinstance(options.to, Path):
        for form, path in _write_all(options, folder=options.to, card=card):
            print(f"{form:12} {path}", flush=True)
    else:
        with tempfile.TemporaryDirectory() as name:
            exported = Path(name)
            forms = [form for form, _ in _write_all(options, folder=exported, card=card)]
            print(f"{', '.join(forms)}: {hub.upload(exported, options.run, card=card, address=options.to)}")
    if is_synthetic:
        print("export: this model was trained on SYNTHETIC audio; its genres are not music's", file=sys.stderr)
    return 0


def _card(run: Path, front_end: FrontEnd) -> str:
    from keras_model.summary import read_metrics

    metrics = read_metrics(run)
    try:
        return model_card(metrics, front_end)
    except ModuleNotFoundError:  # an extra that is not installed
        raise
    except Exception as error:  # what is missing of the metrics, each in its own way
        raise UsageError(f"{run / METRICS_FILE} is damaged, or of another version: {first_line(error)}") from error


def _write_all(options: argparse.Namespace, *, folder: Path, card: str) -> Iterator[tuple[str, Path]]:
    """Writes the network in each of the formats, and yields format and path."""
    from keras_model.evaluate import read_run
    from keras_model.networks.classifiers import load_model
    from keras_model.networks.shipped import load_shipped

    for form in dict.fromkeys(options.format):
        # Other runtimes have convolutions of their own.
        convolution = options.convolution if form == "saved-model" else "stock"
        run = options.run
        model, front_end = (load_model(run / MODEL_FILE, convolution), read_run(run)) if run else load_shipped()
        if form == "saved-model":
            yield form, export_model(model, front_end, folder=folder, name=options.name, n_wanted=options.chunks, card=card)
        else:
            from keras_model.serving.portable_formats import export_portable

            yield form, export_portable(model, front_end, form, folder=folder, name=options.name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
