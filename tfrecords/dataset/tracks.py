"""The list of a dataset's tracks: a line of JSON per track, in a file that `dataset.json` names, with its digest."""

import json
from collections.abc import Iterator, Mapping
from typing import NotRequired, TypedDict, cast

from tfrecords.dataset.folder import read_manifest
from tfrecords.dataset.json_types import check_types
from tfrecords.dataset.manifest import DatasetError
from tfrecords.places import Place


class TrackLine(TypedDict):
    """One track.

    Attributes:
        track_id: For instance "blues.00000".
        path: Of its file, relative to the folder of the genre folders.
        genre: Name of the genre.
        label: Its index in the dataset's list of genres.
        split: For instance "train".
        n_samples: Length of the waveform, in samples at the spec's sample rate.
        audio_blake3: BLAKE3 digest of the waveform, rounded to 16 bits, in hexadecimal.
        start_samples: Where its chunks start, ascending.
        deformed_start_samples: Likewise in the deformed track, by the name of each deformation; for tracks that are augmented.
        group: What must lie in one split as a whole, for instance an artist.
        announced_samples: How long the waveform would be by its file's header, where the file was cut off.
    """

    track_id: str
    path: str
    genre: str
    label: int
    split: str
    n_samples: int
    audio_blake3: str
    start_samples: list[int]
    deformed_start_samples: NotRequired[Mapping[str, list[int]]]
    group: NotRequired[str | None]
    announced_samples: NotRequired[int]


def starts_by_deformation(track: TrackLine) -> dict[str, list[int]]:
    """Where all of a track's chunks start, by the name of the deformation; those of the track as it is under the empty name."""
    return {"": track["start_samples"], **track.get("deformed_start_samples", {})}


def parse_track(line: bytes) -> TrackLine:
    """Reads a line of the list. Keys that this version does not know are kept.

    Raises:
        ValueError: If it is no JSON object in UTF-8, or lacks a key, or has a value of another type.
    """
    try:
        track = json.loads(line.decode())
    except RecursionError as error:
        raise ValueError("its JSON is nested too deeply") from error
    if not isinstance(track, dict):
        raise ValueError("it is no JSON object")
    check_types(track, TrackLine, name="a track")
    return cast(TrackLine, track)


def read_tracks(folder: Place) -> Iterator[TrackLine]:
    """Yields the tracks of a dataset, in the order of the file.

    Raises:
        DatasetError: If there is no dataset, the file is missing, or a line is not a track's.
    """
    path = folder / read_manifest(folder).tracks_file
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    yield parse_track(line)
                except ValueError as error:
                    raise DatasetError(f"{path}, line {number}: {error}") from error
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
