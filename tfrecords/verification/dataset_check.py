"""Everything that `dataset.json` claims, recomputed in one pass over the shards."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from tfrecords.dataset.file_names import may_be_left
from tfrecords.dataset.folder import check_there
from tfrecords.dataset.manifest import DERIVED_FILES, DUPLICATES_FILE, MANIFEST_FILE, REJECTED_FILE, Manifest, Shard
from tfrecords.dataset.stable_hash import record_order, shard_index
from tfrecords.errors import quoted
from tfrecords.front_end.statistics import LogMelStatistics
from tfrecords.places import Place
from tfrecords.verification.derived_check import derived_file_problems
from tfrecords.verification.problem import Problem, differences
from tfrecords.verification.shard_check import ShardCheck, SplitTally
from tfrecords.verification.track_claims import MissingRecords, TrackClaims

_SHOWN = 5


class DatasetCheck:
    """The check of one dataset. Memory grows with the list of tracks, not with the shards.

    Attributes:
        n_shards: Shards that were looked at.
        n_records: Records that were read.
        n_tracks: Tracks that are listed.
        n_bytes: Bytes of shards that were read.
    """

    def __init__(self, folder: Place) -> None:
        """Takes a folder that holds a dataset.

        Raises:
            DatasetError: If there is none.
        """
        check_there(folder)
        self.n_shards = self.n_records = self.n_tracks = self.n_bytes = 0
        self._folder = folder
        self._tallies: defaultdict[str, SplitTally] = defaultdict(SplitTally)
        self._unsound: set[str] = set()

    def problems(self, *, progress: Callable[[int], object] = lambda n_bytes: None) -> Iterator[Problem]:
        """Yields everything that is wrong, as it is found; a damaged file does not keep the rest from being checked.

        Args:
            progress: Called with the number of bytes each time some were read.
        """
        try:
            manifest, stated = Manifest.parse((self._folder / MANIFEST_FILE).read_bytes().decode())
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error).removeprefix(f"{MANIFEST_FILE} ")
            yield _of_manifest(f"cannot be used: {reason}")
            return
        if stated != manifest.fingerprint:
            yield _of_manifest("was altered: its content does not match its fingerprint")
        yield from _check_manifest(manifest)
        yield from self._check_files(manifest)
        tracks = TrackClaims(manifest)
        yield from tracks.read(self._folder, progress=progress)
        self.n_tracks = tracks.n_tracks.total()
        yield from derived_file_problems(self._folder, manifest, tracks)
        for shard in {shard.name: shard for shard in manifest.shards}.values():
            check = ShardCheck(shard, manifest=manifest, tracks=tracks, tally=self._tallies[shard.split])
            yield from check.run(self._folder, progress=progress)
            self.n_shards += 1
            self.n_records += check.n_records
            self.n_bytes += check.n_bytes
            if not check.sound:
                self._unsound.add(shard.name)
        if tracks.known:
            yield from self._check_tracks(manifest, tracks)
        yield from self._check_splits(manifest)

    def n_bytes_to_read(self) -> int:
        """Size of what there is to read, roughly: of all files in the folder."""
        return sum(path.stat().st_size for path in self._folder.iterdir() if path.is_file())

    def _check_files(self, manifest: Manifest) -> Iterator[Problem]:
        """Names files that do not belong to the dataset.

        Folders are passed over: the pipeline keeps its own work in some. So are files of another dataset, which a run that was
        cut off while it took this one's place has left; the next run removes them.
        """
        fixed = (MANIFEST_FILE, REJECTED_FILE, DUPLICATES_FILE, *DERIVED_FILES)
        named = {*fixed, manifest.tracks_file, *(shard.name for shard in manifest.shards)}
        for name in sorted(path.name for path in self._folder.iterdir() if not path.is_dir()):
            if name not in named and not may_be_left(name):
                yield Problem(file=name if name.isprintable() else quoted(name), reason=f"is not named by {MANIFEST_FILE}")

    def _check_tracks(self, manifest: Manifest, tracks: TrackClaims) -> Iterator[Problem]:
        """Compares numbers of tracks, and names the records that the tracks should have and that were not found.

        What is missing from a shard that is damaged itself is told in one line, for that shard.
        """
        for name, split in manifest.splits.items():
            if tracks.n_tracks[name] != split.n_tracks:
                yield _of_manifest(
                    f"split {quoted(name)} has {split.n_tracks} tracks, {manifest.tracks_file} lists {tracks.n_tracks[name]}"
                )
            if tracks.n_records[name] != split.n_records:
                yield _of_manifest(
                    f"split {quoted(name)} has {split.n_records} records, {manifest.tracks_file} lists {tracks.n_records[name]}"
                )
        shards = {split: manifest.shards_of(split) for split in manifest.splits}
        lost: Counter[str] = Counter()
        for missing in tracks.missing():
            inexplicable = []
            for start in missing.start_samples:
                shard = _home(manifest, shards.get(missing.split, ()), missing, start)
                if shard is not None and shard.name in self._unsound:
                    lost[shard.name] += 1
                else:
                    inexplicable.append(start)
            if inexplicable:
                yield Problem(file=manifest.tracks_file, reason=_missing(missing, inexplicable))
        for name, n_lost in sorted(lost.items()):
            yield Problem(file=name, reason=f"lacks {n_lost} of the records that {manifest.tracks_file} lists for it")

    def _check_splits(self, manifest: Manifest) -> Iterator[Problem]:
        for name, split in manifest.splits.items():
            tally = self._tallies[name]
            if not tally.whole:
                yield _of_manifest(
                    f"the statistics of split {quoted(name)} cannot be checked: not all of its records can be used"
                )
                continue
            summary = tally.statistics.summary() if tally.statistics else {}
            if difference := differences(split.statistics, summary, name="statistics"):
                yield _of_manifest(f"split {quoted(name)}: {difference}")
        train = self._tallies["train"]
        if train.whole:
            actual = _standardization(train.statistics)
            if difference := differences(manifest.standardization, actual, name="standardization"):
                yield _of_manifest(difference)


def _of_manifest(reason: str) -> Problem:
    return Problem(file=MANIFEST_FILE, reason=reason)


def _check_manifest(manifest: Manifest) -> Iterator[Problem]:
    """What `dataset.json` says of itself that does not fit together."""
    if list(manifest.genres) != sorted(set(manifest.genres)):
        yield _of_manifest("its genres are doubled, or not in alphabetical order")
    names = [shard.name for shard in manifest.shards]
    if names != sorted(set(names)):
        yield _of_manifest("its shards are doubled, or not in the order of their names")
    for unknown in sorted({shard.split for shard in manifest.shards} - set(manifest.splits)):
        yield _of_manifest(f"it names shards of split {quoted(unknown)}, which is not among its splits")
    for name, split in manifest.splits.items():
        n_records = sum(shard.n_records for shard in manifest.shards_of(name))
        if n_records != split.n_records:
            yield _of_manifest(f"split {quoted(name)} has {split.n_records} records, those of its shards add up to {n_records}")


def _home(manifest: Manifest, shards: tuple[Shard, ...], missing: MissingRecords, start_sample: int) -> Shard | None:
    """The shard that one of a track's missing records belongs in."""
    if not shards:
        return None
    chunk_index = start_sample // manifest.spec.chunk_step
    order = record_order(manifest.seed, missing.track_id, chunk_index, missing.deformation)
    return shards[shard_index(order, n_shards=len(shards))]


def _missing(missing: MissingRecords, start_samples: list[int]) -> str:
    shown = ", ".join(map(str, start_samples[:_SHOWN])) + (", …" if len(start_samples) > _SHOWN else "")
    of_deformation = f" of deformation {quoted(missing.deformation)}" if missing.deformation else ""
    return (
        f"track {quoted(missing.track_id)} lacks {len(start_samples)} of its {missing.n_claimed} records{of_deformation}, "
        f"with the start samples {shown}"
    )


def _standardization(statistics: LogMelStatistics | None) -> dict[str, Any] | None:
    return statistics.standardization() if statistics else None
