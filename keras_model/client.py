"""Command line: `python -m keras_model.client PATH… --url URL` prints each file's genre, which a served model finds."""

import argparse
import contextlib
import sys
from typing import TYPE_CHECKING

from keras_model.prediction.files import find_audio_files
from keras_model.prediction.output import add_shared_arguments, reason_of, writer_of
from keras_model.serving_client.protocol import Address, ServingError
from keras_model.serving_client.remote_predictor import RemotePredictor
from tfrecords.audio import UnusableAudioError
from tfrecords.command_line.command import CommandParser, exit_status, positive, whole
from tfrecords.command_line.programs import program

if TYPE_CHECKING:
    from keras_model.serving_client.grpc_server import GrpcServer
    from keras_model.serving_client.rest_server import RestServer

PROGRAM = "client"


def parse_options(arguments: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = CommandParser(
        prog=program("client"),
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
        help="how long the server may take for half a minute of audio; over REST, say nothing (default: %(default)g)",
    )
    parser.add_argument(
        "--retries",
        type=whole(0),
        default=3,
        metavar="N",
        help="how often a part is sent again where the connection is lost, time is up or the server busy (default: %(default)d)",
    )
    add_shared_arguments(parser)
    return parser.parse_intermixed_args(arguments)  # options may stand between paths


def connect(address: Address) -> "RestServer | GrpcServer":
    """The server at an address; it is not asked anything yet."""
    if not address.is_grpc:
        from keras_model.serving_client.rest_server import RestServer  # each loads what the other does not need

        return RestServer(address)
    from keras_model.quiet import load_tensorflow

    load_tensorflow()
    from keras_model.serving_client.grpc_server import GrpcServer

    return GrpcServer(address)


def main(arguments: list[str]) -> int:
    """Classifies files.

    Returns:
        The exit status: 0, 1 if a file got no genre, 2 if the command line is wrong, the server cannot be reached or has no such
        model, 130 for Ctrl-C.
    """
    options = parse_options(arguments)
    return exit_status(PROGRAM, lambda: _classify(options))


def _classify(options: argparse.Namespace) -> int:
    writer = writer_of(options, PROGRAM)
    address = Address(url=options.url, model=options.model, version=options.version, timeout_seconds=options.timeout)
    files = find_audio_files(options.paths)
    status = 0
    with contextlib.closing(writer), contextlib.closing(connect(address)) as server:
        predictor = RemotePredictor(server, n_retries=options.retries)
        for file in files:
            try:
                with file.opened() as opened:
                    prediction = predictor.predict(opened)
            except (UnusableAudioError, ServingError, OSError) as error:
                status = 1
                writer.fail(file.name, reason_of(error))
                continue
            writer.write(file.name, prediction)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
