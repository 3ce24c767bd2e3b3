"""Corpora for the benchmarks: as many tracks as wanted, no two alike."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from beam_pipeline.corpora.demo import SAMPLE_RATE, STYLES, TRACK_SECONDS, synthesise

_GENRES = sorted(STYLES)
_ROTATION = 65  # samples from one track to the next of a genre: a hundred thousand tracks of 30 s before one comes round


def write_tracks(folder: Path, n_tracks: int, *, workers: int, seconds: float = TRACK_SECONDS) -> list[Path]:
    """Writes 16-bit WAV files of ten genres in turn, each a rotation of its genre's one synthetic track.

    Returns:
        Their paths, in the order of their numbers.
    """
    for genre in _GENRES:
        (folder / genre).mkdir(parents=True)
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(partial(_write_track, folder, seconds), range(n_tracks), chunksize=100))


def link_tracks(paths: Sequence[Path], folder: Path) -> Path:
    """Makes a corpus of links to tracks that `write_tracks` wrote."""
    for path in paths:
        link = folder / "genres" / path.parent.name / path.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path.resolve())
    return folder


def _write_track(folder: Path, seconds: float, number: int) -> Path:
    genre = _GENRES[number % len(_GENRES)]
    path = folder / genre / f"{genre}.{number:05d}.wav"
    soundfile.write(path, np.roll(_source(genre, seconds), _ROTATION * (number // len(_GENRES))), SAMPLE_RATE, subtype="PCM_16")
    return path


@cache
def _source(genre: str, seconds: float) -> NDArray[np.float32]:
    return synthesise(genre, rng=np.random.default_rng(0), seconds=seconds)
