"""A folder of tracks to a list of them: which there are, of which genre, and which are there twice."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from beam_pipeline import storage
from beam_pipeline.corpora.gtzan_archive import WORK
from beam_pipeline.corpora.shape import check_shape
from beam_pipeline.track import Track
from tfrecords.audio.formats import AUDIO_SUFFIXES
from tfrecords.command_line.programs import shell_command
from tfrecords.dataset.corpus import CORPUS_FILE, CorpusInfo
from tfrecords.errors import UsageError

# Where the copies of GTZAN in circulation keep their genre folders, most specific first; else the input folder itself.
GENRE_PARENTS = ("Data/genres_original", "genres_original", "genres")
# Unicode's categories Cc (control characters) and Cs (surrogates, which stand for bytes that are not UTF-8).
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """What a folder or a catalogue holds.

    Attributes:
        root: Folder that the tracks' paths are relative to, a path or a URL.
        info: Name, and whether the audio is synthetic.
        tracks: In the order of their ids.
        genres: In alphabetical order, which is that of their labels.
        given_splits: The split of every track by its id where a catalogue gives it; None where it is to be decided.
    """

    root: str
    info: CorpusInfo
    tracks: tuple[Track, ...]
    genres: tuple[str, ...]
    given_splits: Mapping[str, str] | None = None


def track_id_of(genre: str, name: str) -> str:
    """The id of a track.

    Args:
        genre: Its genre.
        name: Its path below the genre's folder, with slashes, without its ending.
    """
    return name if name.startswith(f"{genre}.") else f"{genre}.{name}"


def has_control_characters(text: str) -> bool:
    """Whether a text holds control characters, line breaks among them, or bytes that were not UTF-8."""
    return _CONTROL_CHARACTER.search(text) is not None


def _audio_files(folder: Path) -> Iterator[Path]:
    """Audio files below a folder, relative to it.

    Links are followed, but no folder is entered twice, nor one that the folder lies in: links may form a loop.
    """
    top = os.path.realpath(folder)
    entered = set()
    for parent, names_of_folders, names in os.walk(folder, followlinks=True, onerror=_cannot_list):
        real = os.path.realpath(parent)
        if real in entered or (real != top and Path(top).is_relative_to(real)):
            names_of_folders.clear()
            continue
        entered.add(real)
        for name in names:
            path = Path(parent, name)
            if path.suffix.lower() in AUDIO_SUFFIXES and not name.startswith("."):
                yield path.relative_to(folder)


def _cannot_list(error: OSError) -> None:
    raise UsageError(f"{error.filename} cannot be listed: {error.strerror}")


def _paths_on_this_machine(folder: Path) -> tuple[str, list[PurePosixPath]]:
    """The folder of the genre folders, and the audio files below it, relative to it."""
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    root = next((folder / parent for parent in GENRE_PARENTS if (folder / parent).is_dir()), folder)
    paths = [
        PurePosixPath(top.name, path)
        for top in root.iterdir()
        if top.is_dir() and not top.name.startswith(".")
        for path in _audio_files(top)
    ]
    return str(root), paths


def _paths_behind_url(url: str) -> tuple[str, list[PurePosixPath]]:
    """Likewise; there are no folders, only objects whose names have slashes."""
    names = list(storage.files_below(url))
    parent = next((parent for parent in GENRE_PARENTS if any(name.startswith(f"{parent}/") for name in names)), None)
    prefix = f"{parent}/" if parent else ""
    paths = [PurePosixPath(name.removeprefix(prefix)) for name in names if name.startswith(prefix)]
    shown = [path for path in paths if not any(part.startswith(".") for part in (path.parts[0], path.name))]
    audio = [path for path in shown if len(path.parts) > 1 and path.suffix.lower() in AUDIO_SUFFIXES]
    return storage.join(url, parent) if parent else url, audio


def _track(path: PurePosixPath, level: int) -> Track:
    genre = path.parts[level - 1]
    name = PurePosixPath(*path.parts[: level - 1], *path.parts[level:]).with_suffix("")
    return Track(track_id=track_id_of(genre, str(name)), path=str(path), genre=genre)


def read_corpus_info(folder: str) -> CorpusInfo | None:
    """What the marker in a folder says; None where there is none.

    Raises:
        UsageError: If it cannot be understood.
    """
    marker = storage.join(folder, CORPUS_FILE)
    try:
        return CorpusInfo.from_json(storage.read(marker).decode())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise UsageError(f"{marker}: {error}") from error


def index_corpus(folder: str, *, genre_level: int | None = None) -> Corpus:
    """Lists the tracks of a folder that holds `genres/`, `Data/genres_original/`, or a folder per label.

    The order of directory listings plays no part. Files that are not audio by their ending are passed over.

    Args:
        folder: A path, or a URL such as gs:// or s3://.
        genre_level: The folders that are the genres: 1 for those in the folder, 2 for those in these. None for 1, and for a
            refusal where they look like anything else.

    Raises:
        UsageError: If the folder is missing, holds no audio or one label alone, two files would be the same track, or it is not
            plain which folders are the genres.
    """
    is_remote = storage.is_remote(folder)
    root, paths = _paths_behind_url(folder.rstrip("/")) if is_remote else _paths_on_this_machine(Path(folder))
    if genre_level is None:
        check_shape(root, paths)
    level = genre_level or 1
    tracks = [_track(path, level) for path in paths if len(path.parts) > level]
    tracks.sort(key=lambda track: (track.track_id, track.path))
    genres = tuple(sorted({track.genre for track in tracks}))
    _check(root, tracks, genres)
    info = read_corpus_info(root) or CorpusInfo(name=PurePosixPath(storage.absolute(folder)).name)
    return Corpus(root=root, info=info, tracks=tuple(tracks), genres=genres)


def _check(root: str, tracks: list[Track], genres: tuple[str, ...]) -> None:
    if not tracks and Path(root, WORK).is_dir():
        finish = shell_command("download", "--output", root)
        raise UsageError(f"{root} holds a download that is not finished: run {finish}, or remove the folder")
    if not tracks:
        raise UsageError(
            f"{root} holds no tracks: expected a folder per genre with audio files ({', '.join(sorted(AUDIO_SUFFIXES))}) in it"
        )
    if len(genres) < 2:
        raise UsageError(f"{root} holds one label alone, {genres[0]!r}: a classifier needs at least two folders of tracks")
    for track in tracks:
        if has_control_characters(track.path):
            raise UsageError(f"{root} holds a file whose name has control characters or is not UTF-8: {track.path!r}; rename it")
    doubled = [track_id for track_id, count in Counter(track.track_id for track in tracks).items() if count > 1]
    if doubled:
        paths = [track.path for track in tracks if track.track_id == doubled[0]]
        raise UsageError(
            f"{root} holds {len(doubled)} track(s) more than once, for instance {' and '.join(paths)} are both "
            f"{doubled[0]!r}; keep one of each"
        )
