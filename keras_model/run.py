"""A whole training run: data checked, network trained, everything written to the run's folder."""

import dataclasses
import json
import platform
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_model.export import export_model
from keras_model.front_end import FrontEnd
from keras_model.options import DEFAULT_DATA, TrainOptions
from keras_model.run_folder import (
    CHECKPOINT_FOLDER,
    FRONT_END_FILE,
    HISTORY_FILE,
    METRICS_FILE,
    MODEL_FILE,
    TENSORBOARD_FOLDER,
)
from keras_model.run_options import RunOptions
from keras_model.training.checkpoints import Checkpoints
from keras_model.training.cluster import Cluster
from tfrecords.command import python_command
from tfrecords.errors import UsageError
from tfrecords.leakage import refuse_leaks
from tfrecords.log_mel_spec import PRESETS
from tfrecords.manifest import MANIFEST_FILE, DatasetError, Manifest, read_dataset

if TYPE_CHECKING:
    from keras_model.run_data import RunData
    from keras_model.training.fit import TrainedModel

_PACKAGES = ("gtzan-genres", "tensorflow", "keras", "numpy")


def check_data(options: TrainOptions) -> Manifest:
    """Reads the dataset's manifest and checks its shards.

    Raises:
        DatasetError: If there is no whole dataset, with the command that makes one; if it was made with another spec than the
            preset of that name has here; or if its splits share tracks, audio or groups.
    """
    if not (options.data / MANIFEST_FILE).is_file():
        output = () if options.data == DEFAULT_DATA else ("--output", options.data)
        command = python_command("run_pipeline.py", "--runner", "DirectRunner", *output)
        there = f"{options.data} has no {MANIFEST_FILE}" if options.data.exists() else f"there is no {options.data}"
        raise DatasetError(f"no dataset: {there}; make one with: {command}")
    manifest = read_dataset(options.data)
    preset = PRESETS.get(manifest.preset)
    if preset is not None and preset != manifest.spec:
        raise DatasetError(f"{options.data} was made with another spec than preset {manifest.preset!r} has in this version")
    refuse_leaks(options.data)
    return manifest


def check_output(options: TrainOptions) -> None:
    """Refuses an output folder that holds anything, for a run is never mixed with another, and an export folder that is none.

    On several machines only the chief writes, and looks.

    Raises:
        UsageError: Naming the folder.
    """
    if not Cluster.from_environment().is_chief:
        return
    if options.output.exists() and (not options.output.is_dir() or any(options.output.iterdir())):
        raise UsageError(f"the output {options.output} exists; choose another --output")
    for folder in (options.output, options.export_folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"the folder {folder} cannot be made: {error.strerror}") from error


def train(options: TrainOptions, manifest: Manifest, *, resumed: RunOptions | None = None) -> bool:
    """Trains, writes the run's folder and tells what came out. On several machines, only the chief does more than to train.

    Args:
        options: Of the run.
        manifest: Of its dataset, whose shards have been checked.
        resumed: What the run was asked to do before, where this goes on with one.

    Returns:
        Whether Ctrl-C ended the training early; everything is written all the same.

    Raises:
        UsageError: If the devices cannot train as asked, or the run cannot be prolonged.
        DivergedError: If the loss became no number.
        ExportError: If the SavedModel was not published; everything else was written.
    """
    import keras  # heavy; `check_data` comes before TensorFlow is loaded

    from keras_model.reports.report import write_report
    from keras_model.run_data import load_run_data
    from keras_model.training.augmented_batches import augmenter
    from keras_model.training.devices import device_names
    from keras_model.training.fit import check_prolongation, fit, load_model

    is_chief = Cluster.from_environment().is_chief
    if is_chief:
        note = ": accuracies on it say nothing about music" if manifest.corpus.synthetic else ""
        print(
            f"Data     {manifest.corpus.title}{note}; preset {manifest.preset}, fingerprint {manifest.fingerprint[:16]}",
            flush=True,
        )
        print(f"Devices  {', '.join(device_names())}", flush=True)
    data = load_run_data(options, manifest)
    if resumed is not None:
        check_prolongation(resumed.options, options, data.train.n_batches(options.batch_size))
    run_options = RunOptions(options=options, fingerprint=manifest.fingerprint)
    checkpoints = Checkpoints(
        options.output / CHECKPOINT_FOLDER, identity=run_options.identity, seconds=options.checkpoint_seconds
    )
    start = checkpoints.newest() if resumed is not None else None
    if is_chief:
        run_options.write()
        # A resumption tells the callbacks of all epochs before it, so that these files are whole again.
        shutil.rmtree(options.output / TENSORBOARD_FOLDER, ignore_errors=True)
        if resumed is not None and start is None:
            print("Resumed  from the beginning, for there is no checkpoint that can be used", flush=True)
    trained = fit(
        options,
        train=data.train,
        test=data.test,
        genres=manifest.genres,
        standardization=data.standardization,
        synthetic=manifest.corpus.synthetic,
        callbacks=[
            keras.callbacks.CSVLogger(options.output / HISTORY_FILE),
            keras.callbacks.TensorBoard(options.output / TENSORBOARD_FOLDER),
        ]
        if is_chief
        else [],
        augment=augmenter(options.augmentation, seed=options.seed, spec=manifest.spec, fill=data.mean),
        checkpoints=checkpoints,
        start=start,
        show_progress=is_chief,
    )
    if not is_chief:
        return trained.interrupted
    with _ctrl_c_ignored():  # it takes seconds, and a second Ctrl-C must not cost what the first one saves
        if trained.interrupted:
            print("\nInterrupted: saving what was trained so far.", flush=True)
        trained.model.save(options.output / MODEL_FILE)
        front_end = FrontEnd.of(manifest)
        (options.output / FRONT_END_FILE).write_text(front_end.to_json(), encoding="utf-8")
        metrics = _metrics(options, manifest, data, trained)
        text = json.dumps(metrics, indent=1, allow_nan=False)
        (options.output / METRICS_FILE).write_text(text + "\n", encoding="utf-8")
        report = write_report(metrics, folder=options.output, data=options.data, manifest=manifest)
        _print_result(options, metrics, report)
        exported = export_model(load_model(options.output / MODEL_FILE), front_end, folder=options.export_folder)
        dataclasses.replace(run_options, finished=not trained.interrupted).write()
    print(f"SavedModel  {exported}")
    print(f"Classify    {python_command('-m', 'keras_model.predict', options.output, 'FILE.wav')}")
    if trained.interrupted:
        print(f"Go on       {python_command('train.py', '--resume', options.output)}")
    return trained.interrupted


@contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _metrics(options: TrainOptions, manifest: Manifest, data: "RunData", trained: "TrainedModel") -> dict[str, Any]:
    """What `metrics.json` holds."""
    return {
        "corpus": {"name": manifest.corpus.name, "synthetic": manifest.corpus.synthetic},
        "final": trained.evaluation.to_dict(),
        "epochs": trained.epochs,
        "steps": trained.steps,
        "steps_per_epoch": trained.steps_per_epoch,
        "interrupted": trained.interrupted,
        "options": options.to_dict() | dataclasses.asdict(options.network),  # with the network's own where none were given
        "model": {"name": trained.model.name, "parameters": trained.model.count_params()},
        "dataset": {
            "fingerprint": manifest.fingerprint,
            "preset": manifest.preset,
            "genres": manifest.genres,
            **data.described,
        },
        "training_seconds": trained.seconds,
        "devices": trained.devices,
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def _print_result(options: TrainOptions, metrics: dict[str, Any], report: Path) -> None:
    final = metrics["final"]
    synthetic = " of SYNTHETIC audio" if metrics["corpus"]["synthetic"] else ""
    print(f"\nTest split{synthetic}: {final['n_tracks']} tracks, {final['n_chunks']} chunks, {len(metrics['epochs'])} epochs")
    print(f"  raw                  {final['raw']:7.2%}   chunks")
    print(f"  maximum probability  {final['maximum']:7.2%}   tracks")
    print(f"  majority vote        {final['majority']:7.2%}   tracks")
    print(f"Report      {report}")
    print(f"Metrics     {options.output / METRICS_FILE}", flush=True)
