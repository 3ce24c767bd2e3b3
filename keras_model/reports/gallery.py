"""The report's spectrograms: which tracks and chunks it shows, their log-mels, and a figure of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from keras_model.reports.figures import wrapped
from tfrecords.figure_style import FIGURE_STYLE
from tfrecords.manifest import DatasetError, Manifest
from tfrecords.reading import read_records_at
from tfrecords.spectrogram_picture import COLOURS, ColourScale

_TRACKS = 4
_CHUNKS = 6
_CHUNK_INCHES = 1.25
_LONGEST = 40


@dataclass(frozen=True, kw_only=True, eq=False)
class ShownChunk:
    """A chunk of a shown track.

    Attributes:
        index: Which of its track's candidate chunks it is.
        seconds: Where it starts in its track.
        predicted: The genre that it was taken for.
        probability: The softmax of that genre.
        is_right: Whether that is the true genre.
        log_mel: (n_mels, n_frames) float32.
    """

    index: int
    seconds: float
    predicted: str
    probability: float
    is_right: bool
    log_mel: NDArray[np.float32]


class ShownTrack(NamedTuple):
    """A track and some of its chunks.

    Attributes:
        track_id: The track's.
        genre: Its true one.
        maximum: The genre by maximum probability.
        majority: By majority vote.
        probability: Mean softmax of the genre by maximum probability.
        votes: Number of chunks by the genre that they were taken for, most first.
        chunks: In the order of time.
    """

    track_id: str
    genre: str
    maximum: str
    majority: str
    probability: float
    votes: list[tuple[str, int]]
    chunks: list[ShownChunk]


class Kind(NamedTuple):
    """A kind of tracks, by how they fared: its name, what it means, and what it is called in the name of a file."""

    name: str
    meaning: str
    stem: str


RIGHT = Kind("Right", "Maximum probability and majority vote both find the true genre.", "right")
WRONG = Kind(
    "Wrong",
    "Maximum probability, majority vote or both take the track for another genre, although chunks of it were right.",
    "wrong",
)
WHOLLY_WRONG = Kind("Wholly wrong", "Not one chunk of the track was taken for its genre.", "wholly_wrong")
KINDS = (RIGHT, WRONG, WHOLLY_WRONG)


def kind_of(track: Mapping[str, Any], genres: Sequence[str]) -> Kind:
    """How a track of `metrics.json` fared."""
    if track["votes"][genres.index(track["genre"])] == 0:
        return WHOLLY_WRONG
    return RIGHT if track["maximum"] == track["majority"] == track["genre"] else WRONG


def choose_tracks(tracks: Mapping[str, Mapping[str, Any]], genres: Sequence[str]) -> dict[Kind, list[str]]:
    """The ids of the tracks to show: of each kind those the network was surest of, each genre's surest before any genre's second.

    Sureness is the mean softmax of the genre by maximum probability; of equal ones the first id goes first. So the choice does
    not depend on the order of the tracks.
    """
    surest_first = sorted(tracks, key=lambda track_id: (-tracks[track_id]["probability"], track_id))
    chosen: dict[Kind, list[str]] = {}
    for kind in KINDS:
        n_of_genre: Counter[str] = Counter()
        ranked = []
        for track_id in surest_first:
            if kind_of(tracks[track_id], genres) == kind:
                ranked.append((n_of_genre[tracks[track_id]["genre"]], track_id))
                n_of_genre[tracks[track_id]["genre"]] += 1
        ranked.sort(key=lambda entry: entry[0])  # stable: within a rank the surest stay first
        chosen[kind] = [track_id for _, track_id in ranked[:_TRACKS]]
    return chosen


def choose_chunks(n_chunks: int) -> list[int]:
    """Which of a track's chunks to show: evenly spread from the first to the last one."""
    return sorted({round(place) for place in np.linspace(0, n_chunks - 1, min(n_chunks, _CHUNKS))})


def gallery(metrics: Mapping[str, Any], *, data: Path, manifest: Manifest) -> dict[Kind, list[ShownTrack]]:
    """The tracks to show, with the log-mels of their chunks; no more of the test split is in memory than these.

    Args:
        metrics: What `metrics.json` holds.
        data: Folder of the dataset that the network was tested on.
        manifest: Its manifest.

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
        predicted = genres[of_track["label"][row]]
        chunks[track_id].append(
            ShownChunk(
                index=record.chunk_index,
                seconds=record.start_sample / manifest.spec.sample_rate,
                predicted=predicted,
                probability=of_track["probability"][row],
                is_right=predicted == record.genre,
                log_mel=record.log_mel,
            )
        )
    return {kind: [_shown(one, tracks[one], genres, chunks[one]) for one in track_ids] for kind, track_ids in chosen.items()}


def _shown(track_id: str, track: Mapping[str, Any], genres: Sequence[str], chunks: Sequence[ShownChunk]) -> ShownTrack:
    votes = sorted(zip(genres, track["votes"], strict=True), key=lambda entry: -entry[1])
    return ShownTrack(
        track_id=track_id,
        votes=[(genre, n_chunks) for genre, n_chunks in votes if n_chunks],
        chunks=sorted(chunks, key=lambda chunk: chunk.index),
        **{key: track[key] for key in ("genre", "maximum", "majority", "probability")},
    )


def gallery_figure(tracks: Sequence[ShownTrack], path: Path, *, scale: ColourScale, title: str) -> None:
    """Writes a row of log-mels for each track, with what each chunk was taken for, and the scale of their colours.

    Args:
        tracks: At least one.
        path: The PNG.
        scale: Of all figures of the report.
        title: What tracks these are.
    """
    n_columns = max(len(track.chunks) for track in tracks)
    size = (_CHUNK_INCHES * n_columns + 0.9, (_CHUNK_INCHES + 0.75) * len(tracks) + 0.4)
    with matplotlib.rc_context(FIGURE_STYLE | {"axes.grid": False}):
        figure = Figure(figsize=size, layout="constrained")
        figure.suptitle(wrapped(title, width=70), fontsize=11)
        rows = figure.subfigures(len(tracks), 1, squeeze=False)[:, 0]
        for row, track in zip(rows, tracks, strict=True):
            row.suptitle(f"{_shortened(track.track_id)}, true genre {_shortened(track.genre)}", fontsize=9, x=0.01, ha="left")
            panels = row.subplots(1, n_columns, squeeze=False)[0]
            for panel in panels:
                panel.set_axis_off()
            for panel, chunk in zip(panels, track.chunks, strict=False):
                image = panel.imshow(
                    chunk.log_mel, cmap=COLOURS, vmin=scale.low, vmax=scale.high, origin="lower", interpolation="nearest"
                )
                mark = "✓" if chunk.is_right else "✗"
                colour = "#2c7046" if chunk.is_right else "#b03a22"
                panel.set_title(f"{mark} {_shortened(chunk.predicted)}\n{chunk.probability:.0%}", fontsize=8, color=colour, pad=3)
            bar = row.colorbar(image, ax=panels, shrink=0.8, aspect=12)
            bar.set_label("log-mel", fontsize=8)
            bar.ax.tick_params(labelsize=8)
        figure.savefig(path)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
