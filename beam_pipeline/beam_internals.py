"""What is used of Beam that it does not call public; tests/test_transform.py tells when it changes."""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from threading import Lock
from types import SimpleNamespace
from typing import Any

from apache_beam import pipeline
from apache_beam.options.pipeline_options import PipelineOptions, _BeamArgumentParser
from apache_beam.utils import interactive_utils


def known_options(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str], list[str]]:
    """Reads arguments as Beam's own options.

    Returns:
        Their values, the arguments that are none of them, and the names of all that Beam knows.
    """
    parser = _BeamArgumentParser(add_help=False, allow_abbrev=False)
    for options_class in PipelineOptions.__subclasses__():
        options_class._add_argparse_args(parser)
    known, unknown = parser.parse_known_args(list(arguments))
    return known, unknown, [name for action in parser._actions for name in action.option_strings]


@contextmanager
def outside_ipython() -> Iterator[None]:
    """Within it Beam works in IPython as it does elsewhere.

    There it names a pipeline's steps by the cells, and for that loads its data frames: they need pandas, and fail with pandas 3.
    """
    modules, is_in_ipython = (interactive_utils, pipeline), interactive_utils.is_in_ipython
    for module in modules:
        module.is_in_ipython = lambda: False
    try:
        yield
    finally:
        for module in modules:
            module.is_in_ipython = is_in_ipython


def share_s3_clients() -> None:
    """Has Beam's S3 filesystem share one client of Amazon's, which threads may; where that is not installed, it does nothing.

    It makes one for every file that it opens, which takes the processor 50 to 200 ms, many times what a track takes.
    """
    with suppress(ImportError):
        import boto3
        from apache_beam.io.aws.clients.s3 import boto3_client

        make = cache(boto3.session.Session().client)
        lock = Lock()  # threads may not share a session

        def client(**settings: Any) -> Any:
            with lock:
                return make(**settings)

        session = SimpleNamespace(client=client)
        boto3_client.boto3 = SimpleNamespace(session=SimpleNamespace(Session=lambda: session))
