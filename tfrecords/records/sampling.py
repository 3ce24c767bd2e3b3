"""A few tracks of each genre, to be shown."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from tfrecords.dataset.manifest import Manifest
from tfrecords.places import Place
from tfrecords.records.reading import read_split
from tfrecords.records.schema import Record

# Records lie in random order: the first of a split hold tracks of every genre, and there is no need to read 100 GB for pictures.
_MOST_BYTES = 256 * 2**20


@dataclass(frozen=True, kw_only=True)
class SampledTrack:
    """Some chunks of a track.

    Attributes:
        track_id: The track's.
        split: The split that it belongs to.
        records: Its chunks, in the order of time; those of the track as it is first, those of each deformation after them.
    """

    track_id: str
    split: str
    records: list[Record] = field(default_factory=list)


def sample_tracks(folder: Place, manifest: Manifest, *, n_tracks: int, n_chunks: int) -> Mapping[str, list[SampledTrack]]:
    """Takes the first tracks of each genre that the splits hold, and their first chunks.

    Args:
        folder: The dataset's.
        manifest: Its manifest.
        n_tracks: Tracks of each genre, shared among the splits.
        n_chunks: Chunks of each track. Of a large split only the beginning is read, which may hold fewer.

    Returns:
        Tracks by genre, in the order of their ids.

    Raises:
        ValueError: If a shard is damaged.
        OSError: If a shard cannot be read.
    """
    by_genre: defaultdict[str, list[SampledTrack]] = defaultdict(list)
    splits = [name for name, split in manifest.splits.items() if split.n_records]
    for number, split in enumerate(splits):
        quota = (n_tracks - 1 - number) // len(splits) + 1
        for genre, tracks in _sample_split(folder, manifest, split, n_tracks=quota, n_chunks=n_chunks).items():
            by_genre[genre] += tracks
    for tracks in by_genre.values():
        tracks.sort(key=lambda track: track.track_id)
        for track in tracks:
            track.records.sort(key=lambda record: (record.deformation, record.start_sample))
    return by_genre


def _sample_split(
    folder: Place, manifest: Manifest, split: str, *, n_tracks: int, n_chunks: int
) -> Mapping[str, list[SampledTrack]]:
    sampled: dict[str, SampledTrack] = {}
    per_genre: Counter[str] = Counter()
    by_genre: defaultdict[str, list[SampledTrack]] = defaultdict(list)
    n_missing = len(manifest.genres) * n_tracks * n_chunks
    n_bytes = 0
    for record in read_split(folder, manifest, split):
        if record.track_id not in sampled and per_genre[record.genre] < n_tracks:
            per_genre[record.genre] += 1
            sampled[record.track_id] = SampledTrack(track_id=record.track_id, split=split)
            by_genre[record.genre].append(sampled[record.track_id])
        track = sampled.get(record.track_id)
        if track and len(track.records) < n_chunks:
            track.records.append(record)
            n_missing -= 1
        n_bytes += record.log_mel.nbytes
        if not n_missing or n_bytes > _MOST_BYTES:
            break
    return by_genre
