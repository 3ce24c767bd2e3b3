"""Command line: `python -m keras_model.app [RUN …]` opens a page on this machine that tells the genres of songs."""

import argparse
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from keras_model.prediction.finding import find_model
from keras_model.prediction.loading import load
from keras_model.pretrained.wheel import read_wheel
from keras_model.quiet import load_tensorflow, native_stderr_dropped, spare_gpu_memory
from keras_model.run_folder import METRICS_FILE
from keras_model.summary import read_metrics
from tfrecords.command_line.command import CommandParser, exit_status, whole
from tfrecords.command_line.programs import program

if TYPE_CHECKING:
    from keras_model.page.model import Model

PROGRAM = "app"
# Read by Gradio and the Hub's client when they are imported: nothing is asked of, or told to, any other machine.
_OFFLINE = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


def parse_options(arguments: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = CommandParser(
        prog=program("app"),
        description="Opens a page on this machine: drop or record a song, see and hear what the networks go by.",
        epilog="Exit status: 2 for a wrong command line, no model or no free port; 130 after Ctrl-C, which ends it.",
    )
    parser.add_argument(
        "runs",
        nargs="*",
        metavar="RUN",
        help="a run's folder or an exported model, several side by side; else the one that ships",
    )
    parser.add_argument("--port", type=whole(1), metavar="N", help="of the page; the first that is free from 7860 on")
    parser.add_argument("--no-browser", action="store_true", help="print the page's address only")
    parser.add_argument("-v", "--verbose", action="store_true", help="show the messages of TensorFlow and of audio decoders")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Serves the page until Ctrl-C.

    Returns:
        The exit status: 2 if the command line is wrong, there is no model or no free port; 130 for Ctrl-C.
    """
    options = parse_options(arguments)
    return exit_status(PROGRAM, lambda: _serve(options))


def _serve(options: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as uploads:
        os.environ |= _OFFLINE | {"GRADIO_TEMP_DIR": uploads}
        from keras_model.page.layout import HOST, build_page, serve

        # Gradio asks its own server whether it is there, which a proxy would know nothing of.
        os.environ["no_proxy"] = ",".join(filter(None, (os.environ.get("no_proxy", os.environ.get("NO_PROXY")), HOST)))
        found = [(run, find_model(Path(run))) for run in options.runs]  # refuses before TensorFlow takes its seconds
        if not found:
            read_wheel()
        spare_gpu_memory()
        load_tensorflow(verbose=options.verbose)
        page = build_page([_model(*one) for one in found] or [_shipped()])
        with native_stderr_dropped():
            address = serve(page, port=options.port, opened=not options.no_browser)
            print(f"{address} (Ctrl-C ends it)", flush=True)
            for number in (signal.SIGTERM, signal.SIGHUP):  # end it as Ctrl-C does: what was uploaded goes
                signal.signal(number, signal.default_int_handler)
            try:
                threading.Event().wait()
            finally:
                page.close(verbose=False)
    return 0


def _shipped() -> "Model":
    from keras_model.page.model import Model

    return Model(title="the network that ships", predictor=load())


def _model(run: str, found: Path) -> "Model":
    """The network that was found for what the user named; beside it what its test says, if that is a run."""
    from keras_model.page.model import Model, tested

    has_metrics = os.path.exists(Path(run) / METRICS_FILE)
    return Model(title=run, predictor=load(found), tested=tested(read_metrics(Path(run))) if has_metrics else None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
