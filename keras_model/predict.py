"""Command line: `python -m keras_model.predict RUN_OR_EXPORT FILE…` prints each file's genre."""

import argparse
import json
import sys
from pathlib import Path

from keras_model.prediction import Prediction, Predictor, find_saved_model
from keras_model.quiet import load_tensorflow
from tfrecords.audio import UnusableAudioError, read_audio_file
from tfrecords.errors import UsageError

_BAR_CHARACTERS = 40


def parse_options(arguments: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m keras_model.predict", description="Prints the genre of audio files.")
    parser.add_argument("model", type=Path, help="folder of a run, or of an exported model")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="audio: WAV, AU, FLAC, OGG, Opus or MP3")
    parser.add_argument("--json", action="store_true", help="print one JSON object per file and line")
    parser.add_argument("-v", "--verbose", action="store_true", help="show TensorFlow's own messages")
    return parser.parse_args(arguments)


def _print_bars(path: Path, prediction: Prediction) -> None:
    print(f"{path}: {prediction.genre}")
    width = max(map(len, prediction.genres))
    for genre, probability in prediction.ranked:
        bar = "█" * round(probability * _BAR_CHARACTERS)
        print(f"  {genre:{width}} {probability:6.1%} {bar}")


def main(arguments: list[str]) -> int:
    """Classifies files.

    Returns:
        The exit status: 0, 1 if a file could not be classified, 2 if there is no model.
    """
    options = parse_options(arguments)
    try:
        find_saved_model(options.model)
        load_tensorflow(verbose=options.verbose)
        predictor = Predictor.load(options.model)
    except UsageError as error:
        print(f"predict: {error}", file=sys.stderr)
        return 2
    synthetic = predictor.front_end.corpus.synthetic
    if synthetic:
        print("predict: this model was trained on SYNTHETIC audio; its genres are not music's", file=sys.stderr)
    failed = False
    for path in options.files:
        try:
            prediction = predictor.predict(read_audio_file(path))
        except (UnusableAudioError, OSError) as error:
            failed = True
            reason = error.strerror if isinstance(error, OSError) else str(error)
            print(f"predict: {path}: {reason}", file=sys.stderr)
            if options.json:
                print(json.dumps({"file": str(path), "error": reason}), flush=True)
            continue
        if options.json:
            print(json.dumps({"file": str(path), **prediction.to_dict(), "synthetic_model": synthetic}), flush=True)
        else:
            _print_bars(path, prediction)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
