"""Command line: `python -m keras_model.client PATH… --url URL` prints each file's genre, which a served model finds."""

import argparse
import contextlib
import functools
import io
import sys
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import soundfile

from keras_model.prediction.files import find_audio_files
from keras_model.prediction.output import BarWriter, PredictionWriter, add_shared_arguments, reason_of
from keras_model.serving_client.protocol import Address, ServingError, answered_prediction, ask_patiently
from tfrecords.audio import Sound, UnusableAudioError
from tfrecords.command import CommandParser, exit_status, positive, whole

if TYPE_CHECKING:
    from keras_model.serving_client.grpc_server import GrpcServer
    from keras_model.serving_client.rest_server import RestServer

_BLOCK_FRAMES = 1 << 18
PROGRAM = "client"


def parse_options(arguments: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = CommandParser(
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
        help="how long the server may take for a file, each time it is asked; over REST, say nothing (default: %(default)g)",
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


def connect(address: Address) -> "RestServer | GrpcServer":
    """The server at an address; it is not asked anything yet."""
    if not address.is_grpc:
        from keras_model.serving_client.rest_server import RestServer  # each loads what the other does not need

        return RestServer(address)
    from keras_model.quiet import load_tensorflow

    load_tensorflow()
    from keras_model.serving_client.grpc_server import GrpcServer

    return GrpcServer(address)


def wav_file(file: BinaryIO) -> tuple[bytes, float]:
    """A file of any format as a WAV file of the same samples, sample rate and channels, and its duration in seconds.

    16-bit samples stay 16 bit; others, those of lossy formats included, become float32, in which they are decoded, so that the
    served model hears what prediction on this machine would.

    Raises:
        UnusableAudioError: If it does not decode.
        OSError: If it cannot be read.
    """
    with Sound.opened(file) as sound:
        samples = np.concatenate(list(sound.blocks(_BLOCK_FRAMES)))  # (n_frames, n_channels)
    wav = io.BytesIO()
    subtype = "PCM_16" if samples.dtype.kind == "i" else "FLOAT"
    soundfile.write(wav, samples, sound.sample_rate, subtype=subtype, format="WAV")
    return wav.getvalue(), len(samples) / sound.sample_rate


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
    writer: PredictionWriter = (options.writer or BarWriter)(stream=sys.stdout, program=PROGRAM, top=options.top)
    status = 0
    with contextlib.closing(writer), contextlib.closing(connect(address)) as server:
        for file in files:
            try:
                with file.opened() as opened:
                    wav, seconds = wav_file(opened)
                outputs = ask_patiently(functools.partial(server.ask, wav), n_retries=options.retries)
                prediction = answered_prediction(outputs, seconds=seconds)
            except (UnusableAudioError, ServingError, OSError) as error:
                status = 1
                writer.fail(file.name, reason_of(error))
                continue
            writer.write(file.name, prediction)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
