"""Command line: `python -m keras_model.evaluate RUN --data DIR` recomputes a finished run's accuracies on a dataset."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from keras_model.options import DEFAULT_DATA, TrainOptions
from keras_model.quiet import load_tensorflow
from keras_model.run_folder import FRONT_END_FILE, METRICS_FILE, MODEL_FILE, TRACKS_FILE, FrontEnd
from tfrecords.command_line.command import CommandParser, at_least_zero, dataset, exit_status, folder
from tfrecords.command_line.programs import program
from tfrecords.dataset.folder import read_dataset
from tfrecords.dataset.manifest import DatasetError, Manifest
from tfrecords.dataset.tracks import read_tracks
from tfrecords.errors import UsageError, quoted
from tfrecords.places import Place, place_of


def parse_options(arguments: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = CommandParser(
        prog=program("evaluate"),
        description="Recomputes the accuracies of a finished run on any dataset of the same spec and genres.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("--data", type=dataset, default=DEFAULT_DATA, help="folder or URL of the dataset")
    parser.add_argument("--cache-dir", type=folder, metavar="DIR", help="keep copies of shards behind a URL here")
    parser.add_argument("--split", default="test", help="split to evaluate on")
    parser.add_argument(
        "--cache-gib", type=at_least_zero, default=TrainOptions.cache_gib, help="keep a split up to this size in memory"
    )
    parser.add_argument(
        "--allow-overlap",
        action="store_true",
        help="evaluate also on tracks that the run was trained on, and say so in the result",
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("-v", "--verbose", action="store_true", help="show TensorFlow's own messages")
    return parser.parse_args(arguments)


def read_run(run: Path) -> FrontEnd:
    """Reads what a finished run was trained on.

    Raises:
        UsageError: If the folder holds no finished run.
    """
    for name in (MODEL_FILE, FRONT_END_FILE, METRICS_FILE):
        if not (run / name).is_file():
            raise UsageError(f"{run} is no finished run: it has no {name}")
    try:
        return FrontEnd.from_json((run / FRONT_END_FILE).read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{run}: {error}") from error


def check_fits(front_end: FrontEnd, manifest: Manifest, data: Place) -> None:
    """Refuses a dataset of another spec or other genres than the run's.

    Raises:
        DatasetError: Naming what differs.
    """
    theirs, ours = manifest.spec.to_dict(), front_end.spec.to_dict()
    if differing := [f"{name} {theirs[name]} instead of {ours[name]}" for name in ours if theirs[name] != ours[name]]:
        raise DatasetError(f"{data} is of another spec than the run's data: {', '.join(differing)}")
    if manifest.genres != front_end.genres:
        raise DatasetError(f"{data} has the genres {', '.join(manifest.genres)}; the run's are {', '.join(front_end.genres)}")


def overlap(run: Path, data: Place, split: str) -> list[str]:
    """The tracks of a split that the run was trained on or chosen by: tracks of the same audio, or of the same name.

    Raises:
        UsageError: If the run does not tell what it was trained on.
    """
    try:
        seen: list[dict[str, Any]] = json.loads((run / TRACKS_FILE).read_text(encoding="utf-8"))
        audio, names = ({track[key] for track in seen} for key in ("audio_blake3", "track_id"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{run} does not tell what it was trained on: {TRACKS_FILE} is missing or damaged ({error})") from error
    return [
        track["track_id"]
        for track in read_tracks(data)
        if track["split"] == split and (track["audio_blake3"] in audio or track["track_id"] in names)
    ]


def main(arguments: list[str]) -> int:
    """Evaluates a run.

    Returns:
        The exit status: 0, or 2 for a run or a dataset that cannot be used.
    """
    options = parse_options(arguments)
    return exit_status("evaluate", lambda: _evaluate(options))


def _evaluate(options: argparse.Namespace) -> int:
    front_end = read_run(options.run)
    data = place_of(options.data, cache_dir=options.cache_dir)
    manifest = read_dataset(data)
    check_fits(front_end, manifest, options.data)
    manifest.shards_of(options.split)
    known = overlap(options.run, data, options.split)
    if known and not options.allow_overlap:
        raise DatasetError(
            f"{options.run} was trained on {len(known)} of the tracks of split {options.split} of {options.data}, such as "
            f"{quoted(known[0])}: an accuracy on them says nothing; --allow-overlap evaluates all the same"
        )
    load_tensorflow(verbose=options.verbose)
    from keras_model.data.split_data import load_split
    from keras_model.evaluation.accuracies import Evaluation, accuracy_lines
    from keras_model.networks.classifiers import load_model
    from tfrecords.records.shard_records import shard_errors

    with shard_errors():
        split = load_split(data, manifest, options.split, cache_bytes=options.cache_gib * 2**30)
        result = Evaluation.of(load_model(options.run / MODEL_FILE), split, manifest.genres).to_dict()
    if options.json:
        corpus = {"corpus": manifest.corpus.name, "synthetic": manifest.corpus.synthetic}
        print(json.dumps(corpus | {"tracks_trained_on": len(known)} | result))
        return 0
    print(f"{options.run} on split {options.split} of {manifest.corpus.title}: {result['n_tracks']} tracks")
    print("\n".join(accuracy_lines(result)))
    if known:
        print(f"The run was trained on {len(known)} of these tracks: this is no accuracy on unknown music.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
