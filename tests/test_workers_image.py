"""What the image of remote workers is made of: the versions that the command has."""

import re
from importlib.metadata import requires, version

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import REPOSITORY


def pinned(lock: str) -> dict[str, str]:
    """Versions by name; the first where there are several, for several platforms."""
    lines = re.findall(r"^([A-Za-z0-9_.\[\],-]+)==([^ ;]+)", (REPOSITORY / lock).read_text(), flags=re.MULTILINE)
    return {canonicalize_name(name.partition("[")[0]): number for name, number in reversed(lines)}


def test_the_workers_have_the_versions_of_the_lock() -> None:
    everything, workers = pinned("requirements.lock"), pinned("requirements-workers.lock")
    shared = workers.keys() & everything.keys()
    assert {name: workers[name] for name in shared} == {name: everything[name] for name in shared}
    needed = map(Requirement, requires("gtzan-genres") or [])
    assert {canonicalize_name(one.name) for one in needed if one.marker is None} <= workers.keys()
    assert "tensorflow" not in workers


def test_the_image_has_beam_of_the_same_version() -> None:
    (base,) = re.findall(r"^FROM (.*)$", (REPOSITORY / "Dockerfile").read_text(), flags=re.MULTILINE)
    assert base == f"apache/beam_python3.11_sdk:{version('apache-beam')}"
