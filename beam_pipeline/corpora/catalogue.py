"""A CSV file to a list of tracks: for a corpus whose folders are not its labels, or with groups or splits of one's own."""

import csv
import io
import posixpath
import re
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path, PurePosixPath
from sys import intern

from beam_pipeline import storage
from beam_pipeline.corpora.index import GENRE_PARENTS, Corpus, has_control_characters, read_corpus_info, track_id_of
from beam_pipeline.track import Track
from tfrecords.dataset.corpus import CorpusInfo
from tfrecords.dataset.manifest import SPLITS
from tfrecords.errors import UsageError

_REQUIRED = ("path", "label")
_COLUMNS = (*_REQUIRED, "split", "group", "track_id")
_GENRE_PARENTS = tuple(f"{parent}/" for parent in GENRE_PARENTS)
_URL = re.compile(r"[a-z0-9]+:/")  # of its two slashes, a normal path has one
_PROBLEMS_SHOWN = 10
_CHARACTERS_SHOWN = 60


def read_catalogue(file: str, *, root: str) -> Corpus:
    """Reads a catalogue: a CSV file in UTF-8, with a header and a row per track. See docs/splits.md.

    Whether the files it names are there plays no part: those that are not become rejected tracks.

    Args:
        file: The CSV file, a path or a URL.
        root: Folder that its paths are relative to, likewise.

    Raises:
        UsageError: If it cannot be used; the message holds the first problems with their lines, and their number.
    """
    if not storage.is_remote(root) and not Path(root).is_dir():
        raise UsageError(f"there is no folder {root}")
    rows = _rows(file)
    _, header = next(rows, (0, []))
    _check_header(file, header)
    catalogue = _Catalogue(header, root=storage.absolute(root))
    for line, fields in rows:
        catalogue.add(line, fields)
    catalogue.check(file)
    return Corpus(
        root=root,
        info=_corpus_info(file, root, catalogue.tracks),
        tracks=tuple(sorted(catalogue.tracks, key=lambda track: track.track_id)),
        genres=tuple(sorted({track.genre for track in catalogue.tracks})),
        given_splits=catalogue.split_of if catalogue.gives_splits else None,
    )


def _rows(file: str) -> Iterator[tuple[int, list[str]]]:
    """The number of its last line and the fields of each row that is not empty; whitespace around fields is dropped."""
    line = 0
    try:
        with storage.open_file(file) as binary, io.TextIOWrapper(binary, encoding="utf-8-sig", newline="") as text:
            reader = csv.reader(text, strict=True, skipinitialspace=True)
            for fields in reader:
                line = reader.line_num
                stripped = [field.strip() for field in fields]
                if any(stripped):
                    yield line, stripped
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8, somewhere after line {line}: {error.reason}") from error
    except csv.Error as error:
        raise UsageError(f"{file} is no CSV file after line {line}: {error}") from error
    except OSError as error:
        raise UsageError(f"the catalogue {file} cannot be read: {error.strerror or error}") from error


def _check_header(file: str, header: list[str]) -> None:
    """Refuses unknown columns too: one that is misspelt would be passed over, and with it, for instance, the groups."""
    expected = f"expected the columns path and label and, optionally, split, group and track_id; got {_short(', '.join(header))}"
    if missing := [column for column in _REQUIRED if column not in header]:
        raise UsageError(f"{file} has no column {missing[0]!r} in its first line: {expected}")
    if unknown := [column for column in header if column not in _COLUMNS]:
        raise UsageError(f"{file} has an unknown column {_short(unknown[0])}: {expected}")
    if len(set(header)) < len(header):
        raise UsageError(f"{file} has a column twice: {expected}")


class _Catalogue:
    """The rows that were read, and what is wrong with them.

    Attributes:
        tracks: In the order of the rows.
        split_of: By track id, where there is a column of splits.
        gives_splits: Whether there is.
    """

    def __init__(self, header: list[str], *, root: str) -> None:
        self._root = f"{root}/"
        self.tracks: list[Track] = []
        self.split_of: dict[str, str] = {}
        self.gives_splits = "split" in header
        self._n_columns = len(header)
        # A column that is not there is read from an empty field behind the last one.
        self._fields = itemgetter(*(header.index(column) if column in header else len(header) for column in _COLUMNS))
        self._line_of_path: dict[str, int] = {}
        self._line_of_id: dict[str, int] = {}
        self._first_of_group: dict[str, tuple[str, int]] = {}
        self._problems: list[str] = []
        self._n_problems = 0

    def add(self, line: int, fields: list[str]) -> None:
        """Adds a row, or notes what is wrong with it."""
        problem = self._add(line, fields)
        if problem:
            self._note(f"line {line}: {problem}")

    def _note(self, problem: str) -> None:
        self._n_problems += 1
        if len(self._problems) < _PROBLEMS_SHOWN:
            self._problems.append(problem)

    def _add(self, line: int, fields: list[str]) -> str | None:
        if len(fields) != self._n_columns:
            return f"{len(fields)} fields instead of {self._n_columns}"
        path, label, split, group, track_id = self._fields([*fields, ""])
        if not path or not label:
            return f"the {'label' if path else 'path'} is empty"
        if has_control_characters("".join(fields)):
            return f"control characters in {_short(next(field for field in fields if has_control_characters(field)))}"
        if self.gives_splits and split not in SPLITS:
            return f"the split must be train, validation or test, got {_short(split)}"
        normal_path = posixpath.normpath(path)
        track_id = track_id or _default_id(label, normal_path.removeprefix(self._root))
        earlier = self._line_of_path.setdefault(normal_path, line)
        if earlier != line:
            return f"the path {_short(path)} is in line {earlier} too"
        earlier = self._line_of_id.setdefault(track_id, line)
        if earlier != line:
            return f"the track id {_short(track_id)} is that of line {earlier} too; a column track_id can tell them apart"
        if self.gives_splits:
            if group:
                other, earlier = self._first_of_group.setdefault(group, (split, line))
                if other != split:
                    return f"the group {_short(group)} is in {split} here, and in {other} in line {earlier}"
            self.split_of[track_id] = intern(split)
        self.tracks.append(Track(track_id=track_id, path=path, genre=intern(label), group=intern(group) if group else None))
        return None

    def check(self, file: str) -> None:
        """Raises UsageError if anything is wrong with the rows, or with all of them together."""
        if not self.tracks and not self._n_problems:
            raise UsageError(f"{file} names no tracks")
        if not self._n_problems:
            labels = {track.genre for track in self.tracks}
            if len(labels) < 2:
                self._note(f"one label alone, {_short(min(labels))}: a classifier needs at least two")
            if self.gives_splits:
                given = set(self.split_of.values())
                for split in ("train", "test"):
                    if split not in given:
                        self._note(f"no row whose split is {split}")
        if self._n_problems:
            more = self._n_problems - len(self._problems)
            shown = "; ".join(self._problems) + (f"; and {more} more" if more else "")
            raise UsageError(f"{file} has {self._n_problems} problem(s): {shown}")


def _default_id(label: str, path: str) -> str:
    """The id that `index_corpus` gives the same file: its path below the label's folder, without the ending.

    Args:
        label: The track's.
        path: Relative to the root, or absolute where it lies elsewhere: then what is above the label's folder plays no part.
    """
    is_elsewhere = path.startswith("/") or _URL.match(path)
    above = next((f"/{parent}/{label}/" for parent in GENRE_PARENTS if f"/{parent}/{label}/" in f"/{path}"), None)
    if above or is_elsewhere:
        *_, path = f"/{path}".rpartition(above or f"/{label}/")
    elif path.startswith(_GENRE_PARENTS):
        path = path.removeprefix(next(parent for parent in _GENRE_PARENTS if path.startswith(parent)))
    name, _ = posixpath.splitext(path.removeprefix(f"{label}/"))
    return track_id_of(label, name)


def _corpus_info(file: str, root: str, tracks: list[Track]) -> CorpusInfo:
    """What the markers say that lie in folders of the tracks or above them: a synthetic corpus stays one under any catalogue."""
    # Behind a URL each look is a request: the root's own marker has to do there.
    folders = {"" if storage.is_remote(root) else track.path.rpartition("/")[0] for track in tracks}
    while above := {posixpath.dirname(folder) for folder in folders} - folders:
        folders |= above
    infos = {info for folder in folders if (info := read_corpus_info(storage.join(root, folder)))}
    if len(infos) == 1:
        return infos.pop()
    return CorpusInfo(name=PurePosixPath(file).stem, synthetic=any(info.synthetic for info in infos))


def _short(text: str) -> str:
    return repr(text if len(text) <= _CHARACTERS_SHOWN else f"{text[:_CHARACTERS_SHOWN]}…")
