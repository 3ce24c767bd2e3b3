"""Command line: `python -m keras_model.predict MODEL PATH…` prints the genre of audio files."""

import argparse
import io
import os
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

from tqdm import tqdm

from keras_model.argument_types import whole
from keras_model.audio_files import find_audio_files
from keras_model.file_predictions import Outcome, predict_files
from keras_model.front_end import FrontEnd
from keras_model.native_stderr import native_stderr_dropped
from keras_model.prediction import Prediction, Predictor, find_saved_model
from keras_model.prediction_writers import BarWriter, CsvWriter, JsonWriter, PredictionWriter, printable
from keras_model.quiet import load_tensorflow
from keras_model.timeline_files import TimelineFiles
from tfrecords.audio import UnusableAudioError
from tfrecords.errors import UsageError

PROGRAM = "predict"
_INTERRUPTED = 130  # what a shell reports of a program that Ctrl-C ended
_CLOSED_PIPE = 141  # likewise, that had no reader any more


def parse_options(arguments: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m keras_model.predict",
        description="Prints the genre of audio files.",
        epilog="Exit status: 0; 1 if a file could not be classified; 2 for a wrong command line or no model; 130 after Ctrl-C.",
    )
    parser.add_argument("model", type=Path, help="folder of a run, or of an exported model")
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="audio file (WAV, AU, FLAC, OGG, Opus, MP3, AIFF, CAF), folder of such files, or - for standard input",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json", dest="writer", action="store_const", const=JsonWriter, help="print a JSON object per file and line"
    )
    form.add_argument("--csv", dest="writer", action="store_const", const=CsvWriter, help="print a table, a row per file")
    parser.add_argument("--top", type=whole(1), metavar="K", help="show the bars of the K most probable genres only")
    parser.add_argument(
        "--chunks", type=whole(1), metavar="N", help="listen to N chunks of each file only, spread evenly: faster, less certain"
    )
    parser.add_argument(
        "--timeline",
        metavar="OUT.png",
        help="draw the genres over time; for several files OUT is a folder (one that exists, or ends in /)",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="show the messages of TensorFlow and of audio decoders")
    return parser.parse_intermixed_args(arguments)  # options may stand between paths


def main(arguments: list[str]) -> int:
    """Classifies files.

    Returns:
        The exit status: 0, 1 if a file could not be classified, 2 if the command line is wrong or there is no model.
    """
    options = parse_options(arguments)
    try:
        return _classify(options)
    except UsageError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read the results has what they wanted. Python flushes once more at its end, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _CLOSED_PIPE


def _classify(options: argparse.Namespace) -> int:
    find_saved_model(options.model)
    files = find_audio_files(options.paths)
    timelines = TimelineFiles(options.timeline, [file.name for file in files]) if options.timeline else None
    load_tensorflow(verbose=options.verbose)
    predictor = Predictor.load(options.model)
    front_end = predictor.front_end
    if front_end.corpus.synthetic:
        print(f"{PROGRAM}: this model was trained on SYNTHETIC audio; its genres are not music's", file=sys.stderr)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names may have characters that a terminal has not
    writer: PredictionWriter = (options.writer or BarWriter)(
        sys.stdout, program=PROGRAM, genres=front_end.genres, synthetic=front_end.corpus.synthetic, top=options.top
    )
    failed = False
    with nullcontext() if options.verbose else native_stderr_dropped():
        outcomes = _with_progress(predict_files(predictor, files, n_chunks=options.chunks), len(files))
        for number, (file, outcome) in enumerate(zip(files, outcomes, strict=True)):
            with tqdm.external_write_mode(file=sys.stdout):
                if not isinstance(outcome, Prediction):
                    failed = True
                    writer.fail(file.name, _reason(outcome))
                    continue
                writer.write(file.name, outcome)
            if timelines and not _is_drawn(timelines, number, file.name, outcome, front_end):
                failed = True
    writer.close()
    return 1 if failed else 0


def _is_drawn(timelines: TimelineFiles, number: int, name: str, prediction: Prediction, front_end: FrontEnd) -> bool:
    try:
        timelines.draw(number, name, prediction, front_end)
    except OSError as error:
        with tqdm.external_write_mode(file=sys.stderr):
            print(f"{PROGRAM}: {printable(str(timelines.paths[number]))}: {_reason(error)}", file=sys.stderr)
        return False
    return True


def _reason(error: UnusableAudioError | OSError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _with_progress(outcomes: Iterator[Outcome], n_files: int) -> Iterator[Outcome]:
    is_shown = n_files > 1 and sys.stderr.isatty()
    yield from tqdm(outcomes, total=n_files, unit="file", file=sys.stderr, disable=not is_shown, leave=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
