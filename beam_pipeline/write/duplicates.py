"""`duplicates.jsonl`: the tracks whose audio is that of others, and what became of them."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from beam_pipeline import storage
from beam_pipeline.plan import Plan
from beam_pipeline.splits.equal_audio import Decisions, decide, pairs_of
from beam_pipeline.track import Track
from beam_pipeline.write.refusal import BuildError, note_refusal
from tfrecords.errors import UsageError
from tfrecords.manifest import DUPLICATES_FILE

_SHOWN = 3


class Decided(NamedTuple):
    """What is done with equal audio, and the lines of `duplicates.jsonl`."""

    decisions: Decisions
    lines: list[str]


class DecideEqualAudio:
    """A function of all sets of tracks that hold the same audio; sent to a worker."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def __call__(self, sets: Iterable[Sequence[Track]], tracks: Iterable[Track]) -> Decided:
        """Decides.

        Args:
            sets: The tracks of each set, in the order of their ids.
            tracks: All tracks that have a split.

        Raises:
            BuildError: If there is equal audio, and it is to end the run or leaves a split without a genre.
        """
        plan = self._plan
        in_order = sorted(sets, key=lambda tracks: tracks[0].track_id)
        try:
            decisions = decide(in_order, tracks, plan=plan)
        except UsageError as error:
            lines = _lines(in_order, Decisions({}))
            write_duplicates(plan.output, lines)
            message = f"{error}; {len(lines)} track(s) hold the audio of others, listed in {DUPLICATES_FILE}"
            raise self._refusal(message) from error
        lines = _lines(in_order, decisions)
        pairs = [pair for one in in_order for pair in pairs_of(one, decisions)]
        if pairs and plan.duplicates == "fail":
            write_duplicates(plan.output, lines)
            first = "; ".join(f"{track.path} repeats {repeated.path}" for track, repeated in pairs[:_SHOWN])
            more = f"; and {len(pairs) - _SHOWN} more" if len(pairs) > _SHOWN else ""
            raise self._refusal(f"{len(pairs)} track(s) hold the audio of others, listed in {DUPLICATES_FILE}: {first}{more}")
        return Decided(decisions, lines)

    def _refusal(self, message: str) -> BuildError:
        error = BuildError(message)
        note_refusal(self._plan.staging, error)
        return error


def write_duplicates(output: str, lines: Sequence[str]) -> None:
    """Writes the list to the output folder; where there is nothing to list, there is none."""
    if lines:
        storage.write(storage.join(output, DUPLICATES_FILE), (line.encode() + b"\n" for line in lines))
    else:
        storage.remove(output, [DUPLICATES_FILE])


def _lines(sets: Iterable[Sequence[Track]], decisions: Decisions) -> list[str]:
    return [json.dumps(_line(*pair)) for tracks in sets for pair in pairs_of(tracks, decisions)]


def _line(track: Track, repeated: Track) -> dict[str, Any]:
    line, other = ({name: getattr(one, name) for name in ("track_id", "path", "genre", "split")} for one in (track, repeated))
    return line | {"repeats": other, "action": "kept" if track.split else "left out"}
