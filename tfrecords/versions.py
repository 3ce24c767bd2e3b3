"""Versions of what is installed."""

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

PACKAGE = "gtzan-genres"


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """The version of each package in this process, by name; "not installed" where it is not, as in a bare checkout."""
    return {package: _version(package) for package in packages}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
