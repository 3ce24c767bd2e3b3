"""What a dataset was made without, in short, for `dataset.json`; `rejected.jsonl` has every track, but of the last run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_FIRST = 5


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """The tracks that were left out for one kind of reason: how many there are, and the paths of the first of them."""

    n_tracks: int
    first: tuple[str, ...]


def left_out_by_kind(unused: Iterable[Mapping[str, Any]]) -> dict[str, LeftOut]:
    """Sums up the lines of `rejected.jsonl`, by their `kind`, in alphabetical order."""
    paths: dict[str, list[str]] = {}
    for track in unused:
        paths.setdefault(track["kind"], []).append(track["path"])
    return {kind: LeftOut(n_tracks=len(of_kind), first=tuple(of_kind[:_FIRST])) for kind, of_kind in sorted(paths.items())}
