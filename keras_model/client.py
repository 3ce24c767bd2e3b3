"""Command line: `python -m keras_model.client PATH… --url URL` prints each file's genre, which a served model finds."""

import argparse
import contextlib
import sys
from typing import Any

from numpy.typing import NDArray

from keras_model.argument_types import positive, whole
from keras_model.prediction.audio_files import AudioFile, find_audio_files
from keras_model.prediction.prediction_command import add_shared_arguments, exit_status, reason_of
from keras_model.prediction.prediction_writers import BarWriter, PredictionWriter
from keras_model.serving_client.answer import answered_prediction
from keras_model.serving_client.protocol import (
    Address,
    Server,
    ServingError,
    UnreachableError,
    UnusableServerError,
    ask_patiently,
)
from keras_model.serving_client.wav_file import wav_file
from keras_model.track_prediction import Prediction
from tfrecords.audio import UnusableAudioError

PROGRAM = "client"


def parse_options(arguments: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m keras_model.client",
        description="Prints the genre of audio files, found by a model in TensorFlow Serving.",
    )
    parser.add_argument("--url", required=True, help="the server: http://HOST:8501 for REST, grpc://HOST:8500 for gRPC")
    parser.add_argument("--model", default="genres", metavar="NAME", help="the model's name on the server (default: %(default)s)")
    parser.add_argument("--version", type=whole(1), metavar="N", help="the model's version (default: the server's newest)")
    parser.add_argument(
        "--timeout",
        type=positive(float),
        default=60.0,
        metavar="SECONDS",
        help="how long the server may take for a file, each time it is asked (default: %(default)g)",
    )
    parser.add_argument(
        "--retries",
        type=whole(0),
        default=3,
        metavar="N",
        help="how often a file is sent again where the connection is lost, time is up or the server busy (default: %(default)d)",
    )
    add_shared_arguments(parser)
    return parser.parse_intermixed_args(arguments)  # options may stand between paths


def connect(address: Address) -> Server:
    """The server at an address; it is not asked anything yet."""
    if address.is_grpc:
        from keras_model.serving_client.grpc_server import GrpcServer  # takes as long to import as everything that REST needs

        return GrpcServer(address)
    from keras_model.serving_client.rest_server import RestServer

    return RestServer(address)


class Client:
    """Asks a server for the genres of files."""

    def __init__(self, server: Server, *, n_retries: int) -> None:
        self._server = server
        self._n_retries = n_retries
        self._reached = False

    def predict(self, file: AudioFile) -> Prediction:
        """Asks for one file.

        Raises:
            UnusableAudioError: If it is no audio that can be sent.
            OSError: If it cannot be read.
            ServingError: If the server gives no genre for it.
            UnusableServerError: If the server gives none for any file, or was never reached.
        """
        with file.opened() as opened:
            wav = wav_file(opened)
        return answered_prediction(self.ask(wav.data), seconds=wav.seconds)

    def ask(self, wav: bytes) -> dict[str, NDArray[Any]]:
        """Sends a WAV file, again where that may help, and returns the model's outputs for it; raises as `predict` does."""
        try:
            outputs = ask_patiently(lambda: self._server.ask(wav), n_retries=self._n_retries)
        except UnreachableError as error:
            # One that was there may be back for the next file.
            if not self._reached:
                raise UnusableServerError(str(error)) from error
            raise
        except ServingError:
            self._reached = True
            raise
        self._reached = True
        return outputs


def main(arguments: list[str]) -> int:
    """Classifies files.

    Returns:
        The exit status: 0, 1 if a file got no genre, 2 if the command line is wrong, the server cannot be reached or has no such
        model, 130 for Ctrl-C.
    """
    options = parse_options(arguments)
    return exit_status(PROGRAM, lambda: _classify(options))


def _classify(options: argparse.Namespace) -> int:
    address = Address(url=options.url, model=options.model, version=options.version, timeout_seconds=options.timeout)
    files = find_audio_files(options.paths)
    writer: PredictionWriter = (options.writer or BarWriter)(sys.stdout, program=PROGRAM, top=options.top)
    status = 0
    with contextlib.closing(writer), contextlib.closing(connect(address)) as server:
        client = Client(server, n_retries=options.retries)
        for file in files:
            try:
                prediction = client.predict(file)
            except (UnusableAudioError, ServingError, OSError) as error:
                status = 1
                writer.fail(file.name, reason_of(error))
                continue
            writer.write(file.name, prediction)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
