"""The packages that only an extra brings, and what is said where one of them is missing."""

from collections.abc import Iterator
from contextlib import contextmanager

from tfrecords.command_line.programs import in_checkout
from tfrecords.command_line.versions import PACKAGE
from tfrecords.errors import UsageError

# What is imported here, by the extra of setup.py that brings it.
EXTRAS = {
    "train": ("tensorflow", "keras", "tensorflow_serving", "grpc", "matplotlib", "jinja2", "sklearn", "requests", "urllib3"),
    "light": ("onnxruntime",),
    "formats": ("ai_edge_litert", "onnx", "tf2onnx"),
    "audio": ("av",),
    "app": ("gradio",),
}


class MissingExtraError(UsageError):
    """A package is not installed that only an extra brings."""


def installation(extra: str) -> str:
    """The command that installs an extra."""
    return f"pip install '{'.' if in_checkout() else PACKAGE}[{extra}]'"


@contextmanager
def extras_named() -> Iterator[None]:
    """Within it an import that fails for want of an extra says what to install.

    Raises:
        MissingExtraError: Naming package and extra.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        for extra, packages in EXTRAS.items():
            if package in packages:
                reason = f"this needs {package}, which the extra {extra!r} brings: {installation(extra)}"
                raise MissingExtraError(reason) from error
        raise
