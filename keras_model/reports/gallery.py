"""The report's spectrograms: which tracks and chunks it shows, their log-mels, and what the network went by in them."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from keras_model.reports.occlusion import evidence
from tfrecords.dataset.manifest import DatasetError, Manifest
from tfrecords.display.spectrogram_picture import ColourScale
from tfrecords.places import Place
from tfrecords.records.reading import read_records_at

if TYPE_CHECKING:
    import keras

_TRACKS = 4
_CHUNKS = 6
# The fall of a probability that is drawn darkest where none is greater: else noise would be drawn as dark as what decides.
_LEAST_FALL = 0.02

# How tracks fared, and what it means.
RIGHT, WRONG, WHOLLY_WRONG = "Correctly classified", "Misclassified", "Misclassified in every chunk"
KINDS = {
    RIGHT: "Maximum probability and majority vote both find the true genre.",
    WRONG: "Maximum probability, majority vote or both misclassify the track, although chunks of it are classified correctly.",
    WHOLLY_WRONG: "Not one chunk of the track is classified as its genre.",
}


class ShownChunk(NamedTuple):
    """A chunk of a track, and what the network made of it."""

    candidate: int  # its index among the track's
    seconds: float  # where it starts
    predicted: str
    probability: float  # of the predicted genre
    log_mel: NDArray[np.float32]  # (n_mels, n_frames)
    evidence: NDArray[np.float64]  # for the predicted genre, as `occlusion.evidence` gives it


def evidence_picture(evidence: NDArray[np.float64]) -> str:
    """A chunk's `evidence`, a pixel for each part, as a PNG in base64: the darker, the more the probability falls."""
    return ColourScale(low=0.0, high=max(_LEAST_FALL, float(evidence.max())), colours="Blues").picture(evidence)


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


def gallery(
    metrics: Mapping[str, Any], *, data: Place, manifest: Manifest, network: "keras.Model"
) -> dict[str, dict[str, list[ShownChunk]]]:
    """Of each kind the tracks to show, by id, with some of their chunks in the order of time.

    No more of the test split is in memory than these, and these once for each part that is hidden.

    Raises:
        DatasetError: If the dataset's records are not those that the network was tested on.
        ValueError: If a shard is damaged.
        OSError: If a shard cannot be read.
    """
    tracks = metrics["final"]["tracks"]
    chosen = choose_tracks(tracks, metrics["dataset"]["genres"])
    rows = {  # by the place of a record: a track, and a row in the columns of its chunks
        tracks[track_id]["chunks"]["record"][row]: (track_id, row)
        for track_ids in chosen.values()
        for track_id in track_ids
        for row in choose_chunks(len(tracks[track_id]["chunks"]["record"]))
    }
    records = {}
    for place, record in read_records_at(data, manifest, metrics["dataset"]["tested_on"], rows):
        track_id, row = rows[place]
        if (record.track_id, record.chunk_index) != (track_id, tracks[track_id]["chunks"]["index"][row]):
            raise DatasetError(f"{data} holds other records than the network was tested on")
        records[track_id, row] = record
    shown: dict[str, list[ShownChunk]] = defaultdict(list)
    in_time = sorted(records)
    labels = [tracks[track_id]["chunks"]["label"][row] for track_id, row in in_time]
    log_mels = np.stack([records[key].log_mel for key in in_time])
    train_mean = np.asarray(manifest.splits["train"].statistics["band_mean"])[:, np.newaxis]
    of_records = evidence(network, log_mels, np.asarray(labels), fill=train_mean)  # at once, for each call takes its time
    for (track_id, row), label, of_record in zip(in_time, labels, of_records, strict=True):
        record = records[track_id, row]
        shown[track_id].append(
            ShownChunk(
                candidate=record.chunk_index,
                seconds=record.start_sample / manifest.spec.sample_rate,
                predicted=metrics["dataset"]["genres"][label],
                probability=tracks[track_id]["chunks"]["probability"][row],
                log_mel=record.log_mel,
                evidence=of_record,
            )
        )
    return {kind: {track_id: shown[track_id] for track_id in track_ids} for kind, track_ids in chosen.items()}
