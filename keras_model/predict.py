"""Command line: `python -m keras_model.predict [MODEL] PATH…` prints the genre of audio files."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, nullcontext
from pathlib import Path

from tqdm import tqdm

from keras_model.prediction.files import AudioFile, timeline_paths
from keras_model.prediction.finding import find_model_and_files
from keras_model.prediction.loading import load
from keras_model.prediction.model import SHIPPED, Outcome, Predictor
from keras_model.prediction.output import add_shared_arguments, reason_of, writer_of
from keras_model.prediction.track import Prediction
from keras_model.pretrained.wheel import read_wheel
from keras_model.quiet import load_tensorflow, native_stderr_dropped, spare_gpu_memory
from tfrecords.command_line.command import CommandParser, exit_status, whole
from tfrecords.command_line.programs import program
from tfrecords.errors import printable

PROGRAM = "predict"


def parse_options(arguments: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = CommandParser(
        prog=program("predict"),
        description="Prints the genre of audio files.",
        usage="%(prog)s [-h] [options] [MODEL] PATH [PATH ...]",
        epilog="A model that comes first is asked: the folder of a run or an export, hf://OWNER/NAME, a .onnx or .tflite file, "
        "which needs no TensorFlow; without one, the network that ships is. "
        "Exit status: 0; 1 if a file could not be classified; 2 for a wrong command line or no model; 130 after Ctrl-C.",
    )
    add_shared_arguments(parser)
    parser.add_argument(
        "--chunks", type=whole(1), metavar="N", help="listen to N chunks of each file only, spread evenly: faster, less certain"
    )
    parser.add_argument(
        "--timeline",
        metavar="OUT",
        help="draw the genres over time: a picture, OUT.png or OUT.svg, or a page, OUT.html; for several files OUT is a folder "
        "of .png files (one that exists, or ends in /)",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="show the messages of TensorFlow and of audio decoders")
    return parser.parse_intermixed_args(arguments)  # options may stand between paths


def main(arguments: list[str]) -> int:
    """Classifies files.

    Returns:
        The exit status: 0, 1 if a file could not be classified, 2 if the command line is wrong or there is no model.
    """
    options = parse_options(arguments)
    return exit_status(PROGRAM, lambda: _classify(options))


def _classify(options: argparse.Namespace) -> int:
    writer = writer_of(options, PROGRAM)
    model, files = find_model_and_files(options.paths)
    pictures = [] if options.timeline is None else timeline_paths(options.timeline, files)
    if pictures:
        from keras_model.prediction.timeline import write_timeline  # matplotlib takes a second to import
    if model is None:
        read_wheel()  # refuses before TensorFlow takes its seconds
    if not isinstance(model, Path) or model.is_dir():
        spare_gpu_memory()
        load_tensorflow(verbose=options.verbose)
    with closing(writer), nullcontext() if options.verbose else native_stderr_dropped():
        predictor = load(model)
        front_end = predictor.front_end
        if model is None:
            print(f"{PROGRAM}: no run is named; asking {SHIPPED} (docs/pretrained.md)", file=sys.stderr)
        if front_end.corpus.synthetic:
            print(f"{PROGRAM}: this model was trained on SYNTHETIC audio; its genres are not music's", file=sys.stderr)
        writer.synthetic = front_end.corpus.synthetic
        status = 0
        for number, outcome in enumerate(_outcomes(predictor, files, options.chunks)):
            file = files[number]
            with tqdm.external_write_mode(file=sys.stdout):
                if not isinstance(outcome, Prediction):
                    status = 1
                    writer.fail(file.name, reason_of(outcome))
                    continue
                writer.write(file.name, outcome)
                try:
                    if pictures:
                        write_timeline(pictures[number], outcome, name=file.title, front_end=front_end)
                except OSError as error:
                    status = 1
                    print(f"{PROGRAM}: {printable(str(pictures[number]))}: {reason_of(error)}", file=sys.stderr)
    return status


def _outcomes(predictor: Predictor, files: Sequence[AudioFile], n_chunks: int | None) -> Iterator[Outcome]:
    """What becomes of each file; on a terminal under a bar of the files, or of the seconds of the only one."""
    several = len(files) > 1
    unit = {"total": len(files), "unit": "file"} if several else {"unit": " s of audio"}
    with tqdm(file=sys.stderr, disable=not sys.stderr.isatty(), leave=False, **unit) as bar:

        def show(heard: float, of: float) -> None:
            bar.total = round(of) or None
            bar.update(round(heard) - bar.n)

        for outcome in predictor.predict_files(files, n_chunks=n_chunks, progress=None if several or bar.disable else show):
            bar.update(int(several))
            yield outcome


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
