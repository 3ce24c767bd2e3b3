"""A dataset of GTZAN's spectrogram pictures: real tracks of ten genres where GTZAN's audio is not at hand.

Its log-mels were recovered from pictures whose level is scaled one by one, with another front end than any preset. They serve to
compare recipes of training with each other. What is measured on them is not GTZAN accuracy.

    python -m benchmarks.gtzan_images train.npz --output DIR
"""

import argparse
import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from beam_pipeline.splits.repetitions import repetitions
from tfrecords.corpus import CorpusInfo
from tfrecords.framing import frame
from tfrecords.log_mel_spec import LogMelSpec
from tfrecords.manifest import MANIFEST_FILE, Manifest, Shard, SplitSummary
from tfrecords.schema import Record, encode
from tfrecords.stable_hash import record_order
from tfrecords.statistics import LogMelStatistics
from tfrecords.stratification import choose_share, deal_folds
from tfrecords.tracks import TrackLine

N_CHUNKS = 15
_STEP_COLUMNS = 29  # so that the last chunk ends within the picture's 496 columns
_HOP = 1334  # 496 columns in 30 s, at 22050 Hz
SPEC = LogMelSpec(hop_length=_HOP, chunk_samples=80 * _HOP, chunk_step=_STEP_COLUMNS * _HOP, frame_fill="none")
# Mean and standard deviation of preset `paper`'s log-mels, which the pictures' levels are scaled to.
_MEAN, _STD = 11.46, 1.47


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Pictures:
    """GTZAN tracks as pictures.

    Attributes:
        log_mels: (n_tracks, 80, n_columns) float32, in preset `paper`'s range.
        track_ids: For instance "blues.00000".
        labels: (n_tracks,).
        genres: In the order of the labels.
    """

    log_mels: NDArray[np.float32]
    track_ids: list[str]
    labels: NDArray[np.int64]
    genres: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Track:
    track_id: str
    genre: str
    group: str | None


def read_pictures(path: Path) -> Pictures:
    """Reads `log_mel` (n_tracks, 80, n_columns) uint8, `track`, `label` and `genres` from a .npz file."""
    with np.load(path, allow_pickle=False) as arrays:
        levels = arrays["log_mel"].astype(np.float32)
        return Pictures(
            log_mels=(levels - levels.mean(dtype=np.float64)) / levels.std(dtype=np.float64) * np.float32(_STD)
            + np.float32(_MEAN),
            track_ids=arrays["track"].tolist(),
            labels=arrays["label"],
            genres=tuple(arrays["genres"].tolist()),
        )


def selection_tracks(pictures: Pictures) -> set[str]:
    """Two fifths of the tracks, each genre alike: recipes are chosen on these, and reported on the others."""
    return choose_share(_tracks(pictures), share=0.4, seed=0, purpose="selection")


def folds(pictures: Pictures, only: set[str], *, n_folds: int) -> dict[str, int]:
    """The fold, from 0, of each of some tracks."""
    return deal_folds([track for track in _tracks(pictures) if track.track_id in only], n_folds=n_folds, seed=0)


def chunks(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """A track's chunks, (N_CHUNKS, 80, 80)."""
    return np.stack([picture[:, chunk * _STEP_COLUMNS :][:, : SPEC.n_frames] for chunk in range(N_CHUNKS)])


def _tracks(pictures: Pictures) -> list[_Track]:
    """The tracks, GTZAN's exact repetitions of each other in one group."""
    group_of = {track_id: group[0] for group in repetitions() for track_id in group}
    genres = [pictures.genres[label] for label in pictures.labels]
    return [
        _Track(track_id=track_id, genre=genre, group=group_of.get(track_id))
        for track_id, genre in zip(pictures.track_ids, genres, strict=True)
    ]


def write_dataset(pictures: Pictures, folder: Path, *, only: set[str] | None = None, n_folds: int = 4) -> None:
    """Writes a dataset: the first of some folds as its test split, the others as its train split.

    Args:
        pictures: The tracks.
        folder: Of the dataset; must not exist.
        only: Ids of the tracks to take; None for all.
        n_folds: Number of folds.
    """
    folder.mkdir(parents=True)
    tracks = [track for track in _tracks(pictures) if only is None or track.track_id in only]
    fold_of = deal_folds(tracks, n_folds=n_folds, seed=0)
    row_of = {track_id: row for row, track_id in enumerate(pictures.track_ids)}
    lines: list[TrackLine] = []
    shards, splits = [], {}
    for split in ("train", "test"):
        records = []
        for track in tracks:
            if (fold_of[track.track_id] == 0) == (split == "test"):
                row = row_of[track.track_id]
                lines.append(_line(track, pictures.log_mels[row], int(pictures.labels[row]), split))
                records += _records(track, pictures.log_mels[row], int(pictures.labels[row]))
        shard, summary = _write_shard(folder, split, records)
        shards.append(shard)
        splits[split] = summary
    text = "".join(json.dumps(line) + "\n" for line in sorted(lines, key=lambda line: line["track_id"])).encode()
    (folder / "tracks.jsonl").write_bytes(text)
    manifest = Manifest(
        corpus=CorpusInfo(name="GTZAN spectrogram pictures", synthetic=False),
        preset="pictures",
        spec=SPEC,
        split_scheme=f"kfold-1/{n_folds}",
        seed=0,
        test_fraction=None,
        validation_fraction=None,
        chunks_per_track=N_CHUNKS,
        genres=pictures.genres,
        splits=splits,
        shards=tuple(sorted(shards, key=lambda shard: shard.name)),
        standardization=None,
        tracks_sha256=hashlib.sha256(text).hexdigest(),
        code_version="1",
    )
    (folder / MANIFEST_FILE).write_text(manifest.to_json(), encoding="utf-8")


def _line(track: _Track, picture: NDArray[np.float32], label: int, split: str) -> TrackLine:
    return {
        "track_id": track.track_id,
        "path": f"{track.genre}/{track.track_id}",
        "genre": track.genre,
        "label": label,
        "split": split,
        "n_samples": picture.shape[1] * _HOP,
        "audio_blake3": hashlib.sha256(picture.tobytes()).hexdigest(),
        "start_samples": [chunk * SPEC.chunk_step for chunk in range(N_CHUNKS)],
        "group": track.group,
    }


def _records(track: _Track, picture: NDArray[np.float32], label: int) -> list[Record]:
    return [
        Record(
            log_mel=log_mel,
            label=label,
            genre=track.genre,
            track_id=track.track_id,
            chunk_index=chunk,
            start_sample=chunk * SPEC.chunk_step,
        )
        for chunk, log_mel in enumerate(chunks(picture))
    ]


def _write_shard(folder: Path, split: str, records: Sequence[Record]) -> tuple[Shard, SplitSummary]:
    ordered = sorted(records, key=lambda record: record_order(0, record.track_id, record.chunk_index))
    statistics = LogMelStatistics(SPEC)
    for record in ordered:
        statistics.add(record.log_mel[np.newaxis])
    data = b"".join(frame(encode(record)) for record in ordered)
    name = f"{split}-00000-of-00001.tfrecord"
    (folder / name).write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    return (
        Shard(name=name, split=split, n_records=len(ordered), n_bytes=len(data), sha256=digest),
        SplitSummary(
            n_tracks=len({record.track_id for record in ordered}), n_records=len(ordered), statistics=statistics.summary()
        ),
    )


def main() -> None:
    """Writes a dataset of all tracks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, help=".npz file")
    parser.add_argument("--output", type=Path, required=True, help="folder of the dataset")
    options = parser.parse_args()
    write_dataset(read_pictures(options.pictures), options.output)


if __name__ == "__main__":
    main()
