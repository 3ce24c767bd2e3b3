"""Versions of what is installed."""

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

PACKAGE = "gtzan-genres"


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """The version of each package in this process, by name."""
    return {package: version_of(package) for package in packages}


def version_of(package: str) -> str:
    """The version of a package in this process, or "not installed", as this one is in a bare checkout."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
