"""A whole training run: data checked, network trained, everything written to the run's folder."""

import json
import platform
import shlex
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from keras_model.front_end import FRONT_END_FILE, FrontEnd
from keras_model.options import DEFAULT_DATA, TrainOptions, UsageError
from tfrecords.manifest import DatasetError, Manifest, read_dataset

MODEL_FILE = "model.keras"
METRICS_FILE = "metrics.json"
HISTORY_FILE = "history.csv"
_PACKAGES = ("gtzan-genres", "tensorflow", "keras", "numpy")


def check_data(options: TrainOptions) -> Manifest:
    """Reads the dataset's manifest and checks its shards.

    Raises:
        DatasetError: If there is no whole dataset; where there is none at all, with the command that makes one.
    """
    if not options.data.exists():
        raise DatasetError(
            f"there is no dataset in {options.data}; make one with: python run_pipeline.py --runner DirectRunner"
            + ("" if options.data == DEFAULT_DATA else f" --output {shlex.quote(str(options.data))}")
        )
    return read_dataset(options.data)


def check_output(options: TrainOptions) -> None:
    """Refuses an output folder that holds anything: a run is never mixed with another.

    Raises:
        UsageError: Naming the folder.
    """
    if options.output.exists() and (not options.output.is_dir() or any(options.output.iterdir())):
        raise UsageError(f"the output {options.output} exists; choose another --output")


def train(options: TrainOptions, manifest: Manifest) -> bool:
    """Trains, writes the run's folder and tells what came out.

    Returns:
        Whether Ctrl-C ended the training early; everything is written all the same.
    """
    import keras  # heavy; `check_data` comes before TensorFlow is loaded

    from keras_model.export import export_model
    from keras_model.report import write_report
    from keras_model.training import fit, load_model

    options.output.mkdir(parents=True, exist_ok=True)
    print(_data_line(manifest), flush=True)
    started = time.monotonic()
    callbacks = [
        keras.callbacks.CSVLogger(options.output / HISTORY_FILE),
        keras.callbacks.TensorBoard(options.output / "tensorboard"),
    ]
    trained = fit(options, manifest, callbacks)
    seconds = time.monotonic() - started
    if trained.interrupted:
        print("\nInterrupted: saving what was trained so far.", flush=True)

    trained.model.save(options.output / MODEL_FILE)
    front_end = FrontEnd.of(manifest)
    (options.output / FRONT_END_FILE).write_text(front_end.to_json(), encoding="utf-8")
    exported = export_model(load_model(options.output / MODEL_FILE), front_end, folder=options.export_folder)
    metrics = {
        "corpus": {"name": manifest.corpus.name, "synthetic": manifest.corpus.synthetic},
        "final": trained.evaluation.to_dict(),
        "epochs": trained.epochs,
        "interrupted": trained.interrupted,
        "options": options.to_dict(),
        "model": {"name": trained.model.name, "parameters": trained.model.count_params()},
        "dataset": {
            "fingerprint": manifest.fingerprint,
            "preset": manifest.preset,
            "split_scheme": manifest.split_scheme,
            "genres": manifest.genres,
            "splits": {name: {"tracks": s.n_tracks, "records": s.n_records} for name, s in manifest.splits.items()},
        },
        "training_seconds": seconds,
        "replicas": trained.n_replicas,
        "versions": _versions(),
        "export": str(exported),
    }
    report = write_report(metrics, folder=options.output)
    # Last: a run with metrics.json is a whole one.
    (options.output / METRICS_FILE).write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    _print_result(options, metrics, report)
    return trained.interrupted


def _data_line(manifest: Manifest) -> str:
    synthetic = " (SYNTHETIC: accuracies on it say nothing about music)" if manifest.corpus.synthetic else ""
    return f"Data     {manifest.corpus.name}{synthetic}, preset {manifest.preset}, fingerprint {manifest.fingerprint[:16]}"


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
    print(f"Metrics     {options.output / METRICS_FILE}")
    print(f"SavedModel  {metrics['export']}")
    print(f"Classify    python -m keras_model.predict {shlex.quote(str(options.output))} FILE.wav")
