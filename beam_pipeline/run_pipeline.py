"""Command line of the pipeline: a folder of tracks to TFRecords of log-mel spectrograms."""

import argparse
import atexit
import logging
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO, get_args

from beam_pipeline.corpora.demo import N_DEMO_TRACKS, write_demo_corpus
from beam_pipeline.corpora.gtzan_archive import GTZAN
from beam_pipeline.options import BuildOptions, Duplicates, MaxRejected
from beam_pipeline.runners.progress import progress_bar
from beam_pipeline.splits.schemes import check_scheme
from beam_pipeline.storage import join, parent
from beam_pipeline.track import DUPLICATE
from tfrecords.command_line.programs import program, shell_command, speaker
from tfrecords.dataset.corpus import CORPUS_FILE
from tfrecords.dataset.manifest import DUPLICATES_FILE, MANIFEST_FILE, REJECTED_FILE, UNKNOWN_LICENSE
from tfrecords.errors import UsageError
from tfrecords.front_end.augmentation import AUGMENTATIONS, augmentation_of
from tfrecords.front_end.log_mel_spec import PRESETS

if TYPE_CHECKING:
    from beam_pipeline.run import BuildResult

DEMO = Path("data/demo")
_REJECTED_SHOWN = 20


def parse_options(arguments: list[str]) -> tuple[BuildOptions, str | None]:
    """Reads the command line; the second value is the input folder, None where none was named."""
    parser = argparse.ArgumentParser(
        prog=program("pipeline"),
        description=__doc__,
        epilog="Beam's own options may stand beside these; what a runner alone knows stands behind --.",
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--runner", default="DirectRunner", help="Beam runner; DirectRunner is this machine")
    parser.add_argument("--input", help=f"folder of the corpus; without it {GTZAN}, else a demo corpus in {DEMO}")
    parser.add_argument(
        "--output", default="data/tfrecords", help="folder of the dataset; like --input a path or a URL (gs://, s3://)"
    )
    parser.add_argument("--preset", choices=sorted(PRESETS), default="paper", help="front end")
    parser.add_argument(
        "--tracks",
        metavar="FILE.csv",
        help="catalogue of the tracks; its paths are relative to --input or its own folder",
    )
    parser.add_argument(
        "--genre-level",
        type=int,
        choices=(1, 2),
        help="the genres are the folders in the corpus (1), or those in these (2); without it 1, unless they look like others",
    )
    parser.add_argument(
        "--split",
        type=_split_scheme,
        metavar="SCHEME",
        help="stratified or kfold-K/N; for GTZAN also herbert (the paper's own), fault-filtered, artist-1, artist-2, artist-3; "
        "without it what the catalogue gives, else stratified",
    )
    parser.add_argument("--test-fraction", type=float, default=0.25, help="share of each genre's tracks to test on")
    parser.add_argument(
        "--validation-fraction", type=float, default=0.0, help="share of each genre's train tracks for a validation split"
    )
    parser.add_argument("--chunks-per-track", type=_positive, default=15, help="chunks drawn of each track")
    parser.add_argument(
        "--min-chunks",
        type=_positive,
        help="take tracks that have fewer chunks, but so many; without it those of all chunks alone",
    )
    parser.add_argument(
        "--augment",
        choices=sorted(AUGMENTATIONS),
        help="add chunks of each train track with other tempo and pitch; stretch-pitch: 3 chunks each of 8 deformations, "
        "Schindler, Lidy and Rauber's (2016)",
    )
    parser.add_argument(
        "--license", type=_license, default=UNKNOWN_LICENSE, help="of the audio, for the dataset's card: CC-BY-4.0"
    )
    parser.add_argument("--seed", type=int, default=0, help="of split, chunk draw and record order")
    parser.add_argument("--num-shards", type=_positive, help="shards per split; chosen from the size where not given")
    parser.add_argument("--workers", type=_positive, default=os.cpu_count() or 1, help="processes of the DirectRunner")
    parser.add_argument("--overwrite", action="store_true", help="replace the dataset that is in the output folder")
    parser.add_argument(
        "--features",
        metavar="DIR",
        help="keep the tracks' features here, for other datasets too; without it OUTPUT/features, and none behind a URL",
    )
    parser.add_argument("--no-features", dest="keep_features", action="store_false", help="keep no features for the next run")
    parser.add_argument(
        "--duplicates",
        choices=get_args(Duplicates),
        default="group",
        help="tracks of equal audio: bring them to one side of the split, keep one of them, or end the run",
    )
    parser.add_argument("--track-timeout", type=_seconds, default=600.0, help="seconds after which a track is given up")
    parser.add_argument("--max-rejected", type=_max_rejected, default="1%", help="tracks that may be left out: 5, or 2%% of them")
    parser.add_argument("--no-wait", action="store_true", help="end once the job runs, on a runner that goes on by itself")
    parser.add_argument("-v", "--verbose", action="store_true", help="show Beam's own messages")
    place = arguments.index("--") if "--" in arguments else len(arguments)
    values, beam_args = parser.parse_known_args(arguments[:place])
    own_options = tuple(name for action in parser._actions for name in action.option_strings)
    folder = values.input or (parent(values.tracks) if values.tracks else str(GTZAN) if GTZAN.is_dir() else None)
    options = BuildOptions(
        **vars(values) | {"input": folder or str(DEMO)},
        beam_args=(*beam_args, *arguments[place:]),
        own_options=own_options,
    )
    return options, folder


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive integer, got {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= threading.TIMEOUT_MAX:
        raise argparse.ArgumentTypeError(f"must be a positive number of seconds, got {text!r}")
    return seconds


def _license(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise argparse.ArgumentTypeError(f"must be a text on one line, got {text!r}")
    return text


def _split_scheme(text: str) -> str:
    try:
        return check_scheme(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _max_rejected(text: str) -> MaxRejected:
    try:
        return MaxRejected.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _make_demo_corpus(workers: int) -> None:
    print(f"No --input and no {GTZAN}: using the demo corpus in {DEMO}, ten synthetic genres, not music.")
    if not (DEMO / "genres" / CORPUS_FILE).exists():
        with progress_bar("Synthesising", n_tracks=N_DEMO_TRACKS) as bar:
            for _ in write_demo_corpus(DEMO, workers=workers):
                bar.update()


def _print_summary(options: BuildOptions, result: "BuildResult", seconds: float) -> None:
    manifest = result.manifest
    print(f"\nCorpus     {manifest.corpus.title}: {len(manifest.genres)} genres")
    for name, split in manifest.splits.items():
        shards = manifest.shards_of(name)
        size = sum(shard.n_bytes for shard in shards) / 2**20
        augmentation = augmentation_of(name, manifest.augmentation)
        deformed = f" ({split.n_tracks * augmentation.n_chunks} of them deformed)" if augmentation else ""
        print(f"{name:10} {split.n_tracks} tracks, {split.n_records} records{deformed}, {len(shards)} shard(s), {size:.1f} MiB")
    n_tracks = sum(split.n_tracks for split in manifest.splits.values()) + len(result.rejected)
    processes = f", by {len(result.tracks_by_process)} process(es)" if result.tracks_by_process else ""
    print(f"Time       {seconds:.1f} s, {n_tracks / seconds:.1f} tracks/s{processes}")
    _print_work(result.counters)
    for note in result.notes:
        print(f"Note       {note}")
    _print_duplicates(options, result.duplicates)
    unlisted = [track for track in result.left_out if track["kind"] != DUPLICATE]
    _print_rejected(options, unlisted, title=f"Split {manifest.split_scheme!r} leaves out")
    _print_rejected(options, result.rejected)
    print(f"Dataset    {join(options.output, MANIFEST_FILE)}, fingerprint {manifest.fingerprint[:16]}")
    print(f"Next       {shell_command('train', '--batchnorm', '--data', options.output)}")


def _print_work(counters: Mapping[str, int]) -> None:
    count = Counter(counters)  # what never happened has no counter
    decoding, log_mels = count["decode_microseconds"] / 1e6, count["log_mel_microseconds"] / 1e6
    read = f"{count['bytes_read'] / 2**20:.1f} MiB read"
    deforming = f", deforming {count['deform_microseconds'] / 1e6:.1f} s" if "deform_microseconds" in count else ""
    print(f"Work       {read}, decoding {decoding:.1f} s{deforming}, log-mels {log_mels:.1f} s, over all processes")
    deformed = f", {count['tracks_deformed']} track(s) deformed" if deforming else ""
    print(f"Features   {count['tracks_decoded']} track(s) computed, {count['tracks_reused']} taken from an earlier run{deformed}")


def _print_duplicates(options: BuildOptions, duplicates: Sequence[dict[str, Any]]) -> None:
    if duplicates:
        actions = ", ".join(f"{count} {action}" for action, count in Counter(one["action"] for one in duplicates).most_common())
        path = join(options.output, DUPLICATES_FILE)
        print(f"Duplicates {len(duplicates)} track(s) hold the audio of others ({actions}), listed in {path}")


def _print_rejected(options: BuildOptions, rejected: Sequence[dict[str, Any]], *, title: str = "Left out") -> None:
    if not rejected:
        return
    kinds = ", ".join(f"{count} × {kind}" for kind, count in Counter(track["kind"] for track in rejected).most_common())
    print(f"{title} {len(rejected)} track(s) ({kinds}), listed in {join(options.output, REJECTED_FILE)}:")
    for track in rejected[:_REJECTED_SHOWN]:
        print(f"  {track['path']}: {track['reason']}")
    if len(rejected) > _REJECTED_SHOWN:
        print(f"  … and {len(rejected) - _REJECTED_SHOWN} more")


def _run(options: BuildOptions, folder: str | None) -> int:
    # Beam logs while it is imported, and takes a second: it comes after the command line is read and logging is set up.
    from beam_pipeline.run import build_dataset
    from beam_pipeline.runners.choice import Runner
    from beam_pipeline.storage_errors import StorageError
    from beam_pipeline.write.refusal import BuildError, RejectedError

    try:
        description = Runner(options).description
        if folder is None:
            _make_demo_corpus(options.workers)
        print(f"Runner     {description}", flush=True)
        started = time.monotonic()
        result = build_dataset(options)
    except UsageError as error:
        _say(str(error))
        return 2
    except (OSError, BuildError, StorageError) as error:
        if isinstance(error, RejectedError):
            _print_rejected(options, error.rejected)
        _say(str(error))
        return 1
    if result is None:
        print(f"Dataset    {join(options.output, MANIFEST_FILE)}, once the job is done")
    else:
        _print_summary(options, result, time.monotonic() - started)
    return 0


def _say(message: str, screen: TextIO | None = None) -> None:
    print(f"{speaker(program('pipeline'))}: {message}", file=screen or sys.stderr)


def main(arguments: list[str]) -> int:
    """Runs the pipeline.

    Returns:
        The exit status: 0, 1 for a run that ended without a dataset, 2 for an input or output that cannot be used, 130 for
        Ctrl-C.
    """
    options, folder = parse_options(arguments)
    # What goes wrong ends in one line of this program's own; what Beam and gRPC log of it is for -v.
    logging.basicConfig(level=logging.INFO if options.verbose else logging.CRITICAL)
    screen = sys.stderr

    def give_up(*_: Any) -> None:
        """Has nothing else speak from here on: Beam's threads would tell what they miss of a run that is given up."""
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (until the process ends)
        raise KeyboardInterrupt

    if not options.verbose and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, give_up)
    try:
        return _run(options, folder)
    except KeyboardInterrupt:
        print(file=screen)
        _say("interrupted; no dataset was written", screen)
        return 130


def run(arguments: list[str]) -> NoReturn:
    """Runs the pipeline, and ends the process with its exit status."""
    status = main(arguments)
    sys.stdout.flush()
    # After a failure Beam's threads may wait for ever for workers that are gone; they must not keep this process. Its exit
    # handlers, which Python would call only after these threads, end what it started: Prism, or a job server.
    atexit._run_exitfuncs()
    os._exit(status)


if __name__ == "__main__":
    run(sys.argv[1:])
