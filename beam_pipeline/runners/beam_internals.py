"""What is used of Beam that it does not call public; tests/test_beam_internals.py tells when it changes."""

import argparse
from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions, _BeamArgumentParser


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
