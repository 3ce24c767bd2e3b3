"""`duplicates.jsonl`: the tracks whose audio is that of others, and what became of them."""

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from beam_pipeline import storage
from beam_pipeline.plan import Plan
from beam_pipeline.splits.equal_audio import Decisions, decide, pairs_of
from beam_pipeline.track import Track
from beam_pipeline.write.refusal import BuildError, note_refusal
from tfrecords.dataset.manifest import DUPLICATES_FILE
from tfrecords.errors import UsageError

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
            raise self._refusal(f"{error}; ", _pairs(in_order, Decisions({}))) from error
        pairs = _pairs(in_order, decisions)
        if pairs and plan.duplicates == "fail":
            raise self._refusal("", pairs)
        return Decided(decisions, [_line(*pair) for pair in pairs])

    def _refusal(self, reason: str, pairs: Sequence[tuple[Track, Track]]) -> BuildError:
        """Lists the tracks of equal audio, and gives the error that names the first."""
        write_duplicates(self._plan.output, [_line(*pair) for pair in pairs])
        first = "; ".join(f"{track.path} repeats {repeated.path}" for track, repeated in pairs[:_SHOWN])
        more = f"; and {len(pairs) - _SHOWN} more" if len(pairs) > _SHOWN else ""
        error = BuildError(f"{reason}{len(pairs)} track(s) hold the audio of others, listed in {DUPLICATES_FILE}: {first}{more}")
        note_refusal(self._plan.staging, error)
        return error


def _pairs(sets: Iterable[Sequence[Track]], decisions: Decisions) -> list[tuple[Track, Track]]:
    return [pair for tracks in sets for pair in pairs_of(tracks, decisions)]


def write_duplicates(output: str, lines: Sequence[str]) -> None:
    """Writes the list to the output folder; where there is nothing to list, there is none."""
    if lines:
        storage.write(storage.join(output, DUPLICATES_FILE), (line.encode() + b"\n" for line in lines))
    else:
        storage.remove(output, [DUPLICATES_FILE])


def _line(track: Track, repeated: Track) -> str:
    line, other = ({name: getattr(one, name) for name in ("track_id", "path", "genre", "split")} for one in (track, repeated))
    return json.dumps(line | {"repeats": other, "action": "kept" if track.split else "left out"})
