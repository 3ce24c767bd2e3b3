"""GTZAN on this machine: where it is expected, where it comes from, and whether it is whole."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from beam_pipeline.write.locked_folder import LOCK, locked_folder
from tfrecords.errors import UsageError

GTZAN = Path("data/gtzan")
GENRES = "genres"
ARCHIVE = "genres.tar.gz"
# What is not finished lies here, where `run_pipeline.py` does not look for tracks.
WORK = ".download"
RECORD = "download.json"

# The first site, opihi.cs.uvic.ca, is gone. Its file had this sum (mirdata's) and this size (TensorFlow Datasets').
URL = "https://huggingface.co/datasets/marsyas/gtzan/resolve/main/data/genres.tar.gz"


class Fingerprint(NamedTuple):
    """What a file must be like: its MD5 in hexadecimal digits, and its size where that is known."""

    md5: str
    n_bytes: int | None = None


PUBLISHED = Fingerprint(md5="5b3d6dddb579ab49814ab86dba69e7c7", n_bytes=1_225_571_541)


def n_files_present(output: Path, *, md5: str | None) -> int | None:
    """How many files an earlier download has brought; None where `genres` is still to be made.

    Args:
        output: The output folder.
        md5: Of the archive that they must be from; None for any.

    Raises:
        UsageError: If the output folder holds something else, or the download has lost files since.
    """
    try:
        names = sorted(path.name for path in output.iterdir())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"the output {output} cannot be used as a folder: {error.strerror}") from error
    if GENRES in names:
        return _n_files(output / GENRES, md5=md5)
    if foreign := [name for name in names if name != ARCHIVE and not name.startswith(".")]:
        raise UsageError(f"the output folder {output} holds other files ({foreign[0]!r}); choose another one")
    return None


def _n_files(genres: Path, *, md5: str | None) -> int:
    try:
        record = json.loads((genres / RECORD).read_text(encoding="utf-8"))
        source, source_md5, files = record["url"], record["md5"], record["files"]
        altered = [name for name, size in files.items() if not _has_size(genres / name, size)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{genres} is there, but was not made by this program; nothing was downloaded") from error
    if md5 not in (None, source_md5):
        raise UsageError(f"{genres} is there already, but from another archive, {source}; choose another --output")
    if altered:
        message = f"{len(altered)} of {len(files)} downloaded files are missing or altered, for instance {altered[0]}"
        raise UsageError(f"{genres}: {message}; remove the folder and run this again")
    return len(files)


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def write_record(genres: Path, *, url: str, md5: str | None, files: dict[str, int]) -> None:
    """Notes beside the genre folders where they come from, and each file's size."""
    record = {"url": url, "md5": md5, "files": {name: size for name, size in files.items() if name != RECORD}}
    (genres / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


@contextmanager
def work_folder(output: Path) -> Iterator[Path]:
    """The folder of what is not finished, with its lock held; in the end it keeps nothing but the download that can go on.

    Yields:
        Its absolute path, with nothing of an earlier extraction in it.

    Raises:
        UsageError: If it cannot be made, or another run holds it.
    """
    with locked_folder(output, WORK) as work:
        _clean(work)
        try:
            yield work
        finally:
            _clean(work)
            if (output / GENRES).exists() or [path.name for path in work.iterdir()] == [LOCK]:
                shutil.rmtree(work)
            # An empty folder of this name would look like a GTZAN without tracks.
            if output.is_dir() and not any(output.iterdir()):
                output.rmdir()


def _clean(work: Path) -> None:
    if (work / GENRES).exists():
        shutil.rmtree(work / GENRES)
