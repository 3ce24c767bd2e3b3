"""The report's spectrograms: which tracks and chunks it shows, and their log-mels."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfrecords.manifest import DatasetError, Manifest
from tfrecords.places import Place
from tfrecords.reading import read_records_at

_TRACKS = 4
_CHUNKS = 6

# How tracks fared, and what it means.
RIGHT, WRONG, WHOLLY_WRONG = "Right", "Wrong", "Wholly wrong"
KINDS = {
    RIGHT: "Maximum probability and majority vote both find the true genre.",
    WRONG: "Maximum probability, majority vote or both take the track for another genre, although chunks of it were right.",
    WHOLLY_WRONG: "Not one chunk of the track was taken for its genre.",
}


class ShownChunk(NamedTuple):
    """A chunk of a track: its index among the candidates, its start, what it was taken for, how surely, and its log-mel."""

    candidate: int
    seconds: float
    predicted: str
    probability: float
    log_mel: NDArray[np.float32]  # (n_mels, n_frames)


def choose_tracks(tracks: Mapping[str, Mapping[str, Any]], genres: Sequence[str]) -> dict[str, list[str]]:
    """The ids of the tracks to show: of each kind those the network was surest of, each genre's surest before any genre's second.

    Sureness is the mean softmax of the genre by maximum probability; of equal ones the first id goes first. So the choice does
    not depend on the order of the tracks.
    """
    surest_first = sorted(tracks, key=lambda track_id: (-tracks[track_id]["probability"], track_id))
    chosen: dict[str, list[str]] = {}
    for kind in KINDS:
        n_of_genre: Counter[str] = Counter()
        rank_of: dict[str, int] = {}
        for track_id in surest_first:
            if _kind_of(tracks[track_id], genres) == kind:
                rank_of[track_id] = n_of_genre[tracks[track_id]["genre"]]
                n_of_genre[tracks[track_id]["genre"]] += 1
        chosen[kind] = sorted(rank_of, key=rank_of.__getitem__)[:_TRACKS]  # stable: within a rank the surest stay first
    return chosen


def _kind_of(track: Mapping[str, Any], genres: Sequence[str]) -> str:
    if track["votes"][genres.index(track["genre"])] == 0:
        return WHOLLY_WRONG
    return RIGHT if track["maximum"] == track["majority"] == track["genre"] else WRONG


def choose_chunks(n_chunks: int) -> list[int]:
    """Which of a track's chunks to show: evenly spread from the first to the last one."""
    return sorted({round(place) for place in np.linspace(0, n_chunks - 1, min(n_chunks, _CHUNKS))})


def gallery(metrics: Mapping[str, Any], *, data: Place, manifest: Manifest) -> dict[str, dict[str, list[ShownChunk]]]:
    """Of each kind the tracks to show, by id, with some of their chunks in the order of time.

    No more of the test split is in memory than these.

    Raises:
        DatasetError: If the dataset's records are not those that the network was tested on.
        ValueError: If a shard is damaged.
        OSError: If a shard cannot be read.
    """
    tracks, genres = metrics["final"]["tracks"], metrics["dataset"]["genres"]
    chosen = choose_tracks(tracks, genres)
    rows = {  # by the place of a record: a track, and a row in the columns of its chunks
        tracks[track_id]["chunks"]["record"][row]: (track_id, row)
        for track_ids in chosen.values()
        for track_id in track_ids
        for row in choose_chunks(len(tracks[track_id]["chunks"]["record"]))
    }
    chunks: dict[str, list[ShownChunk]] = {track_id: [] for track_id, _ in rows.values()}
    for place, record in read_records_at(data, manifest, metrics["dataset"]["tested_on"], rows):
        track_id, row = rows[place]
        of_track = tracks[track_id]["chunks"]
        if (record.track_id, record.chunk_index) != (track_id, of_track["index"][row]):
            raise DatasetError(f"{data} holds other records than the network was tested on")
        chunks[track_id].append(
            ShownChunk(
                candidate=record.chunk_index,
                seconds=record.start_sample / manifest.spec.sample_rate,
                predicted=genres[of_track["label"][row]],
                probability=of_track["probability"][row],
                log_mel=record.log_mel,
            )
        )
    in_time = {track_id: sorted(shown, key=lambda chunk: chunk.candidate) for track_id, shown in chunks.items()}
    return {kind: {track_id: in_time[track_id] for track_id in track_ids} for kind, track_ids in chosen.items()}
