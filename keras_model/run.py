"""A whole training run: data checked, network trained, everything written to the run's folder."""

import dataclasses
import json
import platform
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_model.evaluation.accuracies import accuracy_lines
from keras_model.export import export_model
from keras_model.options import DEFAULT_DATA, TrainOptions
from keras_model.pretrained.wheel import read_wheel
from keras_model.reports.model_card import model_card
from keras_model.reports.published import PRETRAINED_NOTE
from keras_model.run_folder import (
    BACKUP_FOLDER,
    EXPORTED_FILE,
    FRONT_END_FILE,
    HISTORY_FILE,
    METRICS_FILE,
    MODEL_FILE,
    TENSORBOARD_FOLDER,
    TRACKS_FILE,
    FrontEnd,
    RunRecord,
    is_free,
)
from tfrecords.command_line.programs import program, shell_command
from tfrecords.command_line.versions import PACKAGE, versions_of
from tfrecords.dataset.folder import read_dataset
from tfrecords.dataset.leakage import refuse_leaks
from tfrecords.dataset.manifest import DatasetError, Manifest, NoDatasetError
from tfrecords.errors import UsageError
from tfrecords.front_end.log_mel_spec import PRESETS
from tfrecords.whole_file import write_whole

if TYPE_CHECKING:
    import keras

    from keras_model.data.train_and_test import TrainAndTest
    from keras_model.training.fit import TrainedModel

_PACKAGES = (PACKAGE, "tensorflow", "keras", "numpy")


def check_data(options: TrainOptions) -> Manifest:
    """Reads the dataset's manifest and checks its shards.

    Raises:
        DatasetError: If there is no whole dataset, with the command that makes one; if it was made with another spec than the
            preset of that name has here; or if its splits share tracks, audio or groups.
        UsageError: If it lacks the validation split that the options need, or is not what the pre-trained network hears, or that
            is not on this machine.
    """
    try:
        manifest = read_dataset(options.dataset)
    except NoDatasetError as error:
        output = () if options.data == DEFAULT_DATA else ("--output", str(options.data))
        command = shell_command("pipeline", "--runner", "DirectRunner", *output)
        raise DatasetError(f"no dataset: {error}; make one with: {command}") from error
    preset = PRESETS.get(manifest.preset)
    if preset is not None and preset != manifest.spec:
        raise DatasetError(f"{options.data} was made with another spec than preset {manifest.preset!r} has in this version")
    if options.selects and "validation" not in manifest.splits:
        raise UsageError(
            f"--keep best and --early-stopping need a validation split, and {options.data} has none: "
            f"make it with {program('pipeline')} --validation-fraction"
        )
    if options.on_tagger:
        _check_pretrained(options, manifest)
    refuse_leaks(options.dataset)
    return manifest


def _check_pretrained(options: TrainOptions, manifest: Manifest) -> None:
    heard, spec = PRESETS["musicnn"], manifest.spec
    length = {name: getattr(spec, name) for name in ("chunk_samples", "chunk_step", "n_frames")}  # any will do
    if spec != dataclasses.replace(heard, **length):
        raise UsageError(
            f"--model {options.model} needs log-mels of preset musicnn, and {options.data} has those of {manifest.preset}: "
            f"make a dataset with {program('pipeline')} --preset musicnn"
        )
    read_wheel()


def check_output(options: TrainOptions) -> None:
    """Refuses an output folder that holds anything, for a run is never mixed with another, and one that cannot be written.

    Raises:
        UsageError: Naming the folder.
    """
    if not is_free(options.output):
        raise UsageError(f"the output {options.output} exists; choose another --output")
    try:
        options.output.mkdir(parents=True, exist_ok=True)
        if options.export is not None:
            options.export.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the folder {error.filename} cannot be made: {error.strerror}") from error


def train(options: TrainOptions, manifest: Manifest, *, resumed: RunRecord | None = None) -> bool:
    """Trains, writes the run's folder and tells what came out.

    Args:
        options: Of the run.
        manifest: Of its dataset, whose shards have been checked.
        resumed: What the run was asked to do before, where this goes on with one.

    Returns:
        Whether Ctrl-C ended the training early; everything is written all the same, as of the last finished epoch.

    Raises:
        UsageError: If the devices cannot train as asked, or the run cannot be prolonged.
        DivergedError: If the loss became NaN or infinite.
        ExportError: If the SavedModel was not published; everything else was written.
        KeyboardInterrupt: At Ctrl-C before the end of the first epoch.
    """
    # Heavy: `check_data` comes before TensorFlow is loaded.
    from keras_model.data.train_and_test import load_train_and_test
    from keras_model.evaluation.baseline import band_statistics_baseline
    from keras_model.evaluation.level import level_changes
    from keras_model.training.batch_augmentation import augmenter
    from keras_model.training.epoch_log import HistoryFile
    from keras_model.training.fit import check_prolongation, device_names, fit
    from keras_model.training.on_tagger import prepare

    if resumed is not None:
        check_prolongation(resumed.options, options)
    record = RunRecord(options=options, fingerprint=manifest.fingerprint)
    record.write()
    note = ": accuracies on it say nothing about music" if manifest.corpus.synthetic else ""
    print(
        f"Data     {manifest.corpus.title}{note}; preset {manifest.preset}, fingerprint {manifest.fingerprint[:16]}", flush=True
    )
    print(f"Devices  {', '.join(device_names())}", flush=True)
    data = load_train_and_test(options, manifest)
    baseline = band_statistics_baseline(data.train, data.test, n_frames=manifest.spec.n_kept_frames)
    log_mels = data.test
    data, build, whole = prepare(options, data, manifest.genres, manifest.spec)
    history = HistoryFile(options.output / HISTORY_FILE, batch_size=options.batch_size, n_records=data.train.n_records)
    trained = fit(
        options,
        train=data.train,
        validation=data.validation,
        test=data.test,
        genres=manifest.genres,
        build=build,
        standardization=data.standardization,
        callbacks=[*_callbacks(options, manifest), history],
        augment=augmenter(options.augmentation, seed=options.seed, spec=manifest.spec, fill=data.mean),
        folder=options.output / BACKUP_FOLDER,
        identity=record.identity,
    )
    trained = dataclasses.replace(trained, model=whole(trained.model))
    with _ctrl_c_ignored():  # it takes seconds, and a second Ctrl-C must not cost what the first one saves
        if trained.interrupted:
            print(f"\nInterrupted: saving what epoch {len(trained.epochs)} ended with.", flush=True)
            history.keep(len(trained.epochs))
        trained.model.save(options.output / MODEL_FILE)  # first: what follows reads the test split again
        level = level_changes(trained.model, log_mels, trained.evaluation, spec=manifest.spec)
        _write(record, manifest, data, trained, {"baseline": baseline, "level": level, "steps": history.steps})
    if trained.interrupted:
        print(f"Go on       {shell_command('train', '--resume', options.output)}")
    return trained.interrupted


def _callbacks(options: TrainOptions, manifest: Manifest) -> list["keras.callbacks.Callback"]:
    """What a run shows and keeps of its epochs."""
    import keras

    from keras_model.training.epoch_log import EpochLines

    def mark(epoch: int, logs: dict[str, float]) -> None:
        logs["synthetic"] = 1.0

    return [
        *([keras.callbacks.LambdaCallback(on_epoch_end=mark)] if manifest.corpus.synthetic else ()),
        EpochLines(),
        keras.callbacks.TensorBoard(options.output / TENSORBOARD_FOLDER),
    ]


def _write(
    record: RunRecord, manifest: Manifest, data: "TrainAndTest", trained: "TrainedModel", more_metrics: dict[str, Any]
) -> None:
    """Writes all that a run leaves but the network, and tells what came out."""
    from keras_model.reports.report import write_report

    options = record.options
    output = options.output
    front_end = FrontEnd.of(manifest)
    (output / FRONT_END_FILE).write_text(front_end.to_json(), encoding="utf-8")
    tracks = [{key: track[key] for key in ("track_id", "audio_blake3", "split")} for track in data.seen]
    write_whole(output / TRACKS_FILE, json.dumps(tracks, indent=0).encode())
    metrics = _metrics(options, manifest, data, trained) | more_metrics
    write_whole(output / METRICS_FILE, json.dumps(metrics, indent=1, allow_nan=False).encode() + b"\n")
    report = write_report(metrics, folder=output, data=options.dataset, manifest=manifest, network=trained.model)
    _print_result(options, metrics, report)
    if options.exports:
        version = export_model(trained.model, front_end, folder=options.export_folder, card=model_card(metrics, front_end))
        if options.export is not None:  # where others may export to, too
            write_whole(output / EXPORTED_FILE, f"{version.resolve()}\n".encode())
        print(f"SavedModel  {version}")
        print(f"Classify    {shell_command('predict', output, 'FILE.wav')}")
    dataclasses.replace(record, finished=not trained.interrupted).write()


@contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _metrics(options: TrainOptions, manifest: Manifest, data: "TrainAndTest", trained: "TrainedModel") -> dict[str, Any]:
    """What `metrics.json` holds."""
    return {
        "corpus": {"name": manifest.corpus.name, "synthetic": manifest.corpus.synthetic},
        "final": trained.evaluation.to_dict(),
        "epochs": trained.epochs,
        "kept_epoch": trained.kept_epoch,
        "steps_per_epoch": trained.steps_per_epoch,
        "interrupted": trained.interrupted,
        "options": options.to_dict() | dataclasses.asdict(options.network),  # with the network's own where none were given
        "model": {"name": trained.model.name, "parameters": trained.model.count_params(), "pretrained": options.on_tagger},
        "dataset": {"fingerprint": manifest.fingerprint, "preset": manifest.preset, "genres": manifest.genres, **data.described},
        "training_seconds": trained.seconds,
        "devices": trained.devices,
        "versions": {"python": platform.python_version(), **versions_of(_PACKAGES)},
    }


def _print_result(options: TrainOptions, metrics: dict[str, Any], report: Path) -> None:
    final, n_epochs = metrics["final"], len(metrics["epochs"])
    synthetic = " of SYNTHETIC audio" if metrics["corpus"]["synthetic"] else ""
    kept = f"epoch {metrics['kept_epoch']} of {n_epochs}" if metrics["kept_epoch"] != n_epochs else f"{n_epochs} epochs"
    print(f"\nTest split{synthetic}: {final['n_tracks']} tracks, {final['n_chunks']} chunks, {kept}")
    print("\n".join(accuracy_lines(final, metrics["baseline"])))
    if metrics["model"]["pretrained"]:
        print(f"Note        {PRETRAINED_NOTE}")
    print(f"Report      {report}")
    print(f"Metrics     {options.output / METRICS_FILE}", flush=True)
