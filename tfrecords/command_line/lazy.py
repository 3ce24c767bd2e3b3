"""Public names of a package that are loaded when they are asked for."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from tfrecords.command_line.extras import extras_named
from tfrecords.command_line.versions import PACKAGE, version_of


def lazily(package: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """A package's `__getattr__`: Beam and TensorFlow take seconds to load, and much does without them.

    Args:
        package: Its `__name__`.
        places: Where each public name is, as "module.name" within the package. `__version__` is added.
    """

    def loaded(name: str) -> Any:
        if name == "__version__":
            return version_of(PACKAGE)
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, _, there = places[name].rpartition(".")
        with extras_named():
            return getattr(import_module(f"{package}.{module}"), there)

    return loaded
