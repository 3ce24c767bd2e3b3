"""A folder of tracks to a list of them: which there are, of which genre, and which are there twice."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tfrecords.corpus import CORPUS_FILE, CorpusInfo

AUDIO_SUFFIXES = frozenset({".wav", ".au", ".flac", ".ogg", ".opus", ".mp3"})
# Where the copies of GTZAN in circulation keep their genre folders, most specific first; else the input folder itself.
_GENRE_PARENTS = ("Data/genres_original", "genres_original", "genres")


class InputError(ValueError):
    """The input folder cannot be processed; the message is meant for the user."""


@dataclass(frozen=True, kw_only=True)
class Track:
    """One file.

    Attributes:
        track_id: "genre.name", as in GTZAN: "blues.00000" for blues/blues.00000.wav as for blues/00000.wav.
        path: Relative to the corpus' root, with slashes.
        genre: Name of the folder.
    """

    track_id: str
    path: str
    genre: str


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """What a folder holds.

    Attributes:
        root: Folder of the genre folders.
        info: Name, and whether the audio is synthetic.
        tracks: In the order of their ids.
        genres: In alphabetical order, which is that of their labels.
    """

    root: Path
    info: CorpusInfo
    tracks: tuple[Track, ...]
    genres: tuple[str, ...]


def _track_id(genre: str, path: Path) -> str:
    name = path.with_suffix("").as_posix()
    return name if name.startswith(f"{genre}.") else f"{genre}.{name}"


def _genre_root(folder: Path) -> Path:
    return next((folder / parent for parent in _GENRE_PARENTS if (folder / parent).is_dir()), folder)


def _corpus_info(folder: Path) -> CorpusInfo:
    marker = folder / CORPUS_FILE
    if not marker.is_file():
        return CorpusInfo(name=folder.resolve().name)
    try:
        return CorpusInfo.from_json(marker.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{marker}: {error}") from error


def index_corpus(folder: Path) -> Corpus:
    """Lists the tracks of a folder that holds `genres/`, `Data/genres_original/`, or a folder per label.

    The order of directory listings plays no part. Files that are not audio by their ending are passed over.

    Raises:
        InputError: If the folder is missing, holds no audio or one label alone, or two files would be the same track.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}")
    root = _genre_root(folder)
    tracks: list[Track] = []
    for genre_folder in root.iterdir():
        if not genre_folder.is_dir() or genre_folder.name.startswith("."):
            continue
        for parent, _, names in os.walk(genre_folder, followlinks=True):
            for name in names:
                path = Path(parent, name)
                if path.suffix.lower() in AUDIO_SUFFIXES and not name.startswith("."):
                    inside = path.relative_to(genre_folder)
                    track_id = _track_id(genre_folder.name, inside)
                    tracks.append(
                        Track(track_id=track_id, path=f"{genre_folder.name}/{inside.as_posix()}", genre=genre_folder.name)
                    )
    tracks.sort(key=lambda track: (track.track_id, track.path))
    genres = tuple(sorted({track.genre for track in tracks}))
    _check(root, tracks, genres)
    return Corpus(root=root, info=_corpus_info(folder), tracks=tuple(tracks), genres=genres)


def _check(root: Path, tracks: list[Track], genres: tuple[str, ...]) -> None:
    if not tracks:
        raise InputError(
            f"{root} holds no tracks: expected a folder per genre with audio files ({', '.join(sorted(AUDIO_SUFFIXES))}) in it"
        )
    if len(genres) < 2:
        raise InputError(f"{root} holds one label alone, {genres[0]!r}: a classifier needs at least two folders of tracks")
    for track in tracks:
        if not track.path.isprintable() or track.path.encode("utf-8", "replace").decode() != track.path:
            raise InputError(f"{root} holds a file whose name is not printable UTF-8: {track.path!r}; rename it")
    doubled = [track_id for track_id, count in Counter(track.track_id for track in tracks).items() if count > 1]
    if doubled:
        paths = [track.path for track in tracks if track.track_id == doubled[0]]
        raise InputError(
            f"{root} holds {len(doubled)} track(s) more than once, for instance {' and '.join(paths)} are both "
            f"{doubled[0]!r}; keep one of each"
        )
