"""Command line: `python -m beam_pipeline.download` fetches GTZAN for `run_pipeline.py`."""

import argparse
import hashlib
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from beam_pipeline.corpora.archive import ArchiveError, extract_tar_gz
from beam_pipeline.corpora.free_space import require_space
from beam_pipeline.corpora.gtzan_archive import (
    ARCHIVE,
    GENRES,
    GTZAN,
    PUBLISHED,
    URL,
    WORK,
    Fingerprint,
    n_files_present,
    work_folder,
    write_record,
)
from beam_pipeline.corpora.partial_file import discard
from beam_pipeline.corpora.resumable import DownloadError, download
from tfrecords.command import python_command
from tfrecords.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class DownloadOptions:
    """What to download.

    Attributes:
        output: Folder in which the folder `genres` is made.
        url: Address of a .tar.gz with the folder `genres`.
        expected: What the archive must be like; None takes any.
        keep_archive: Whether the archive stays in `output`.
    """

    output: Path = GTZAN
    url: str = URL
    expected: Fingerprint | None = PUBLISHED
    keep_archive: bool = False


def parse_options(arguments: Sequence[str]) -> DownloadOptions:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m beam_pipeline.download",
        description="Downloads GTZAN (1.2 GB), checks and extracts it. Interrupted, it goes on where it stopped when run again.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--output", type=Path, default=GTZAN, help="folder in which the folder genres/ is made")
    parser.add_argument("--url", type=_http_url, default=URL, help="of genres.tar.gz")
    parser.add_argument("--md5", type=_fingerprint, default=PUBLISHED.md5, help="the archive's MD5, or none to take any archive")
    parser.add_argument("--keep-archive", action="store_true", help="keep genres.tar.gz beside genres/")
    values = parser.parse_args(arguments)
    return DownloadOptions(output=values.output, url=values.url, expected=values.md5, keep_archive=values.keep_archive)


def _http_url(text: str) -> str:
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise argparse.ArgumentTypeError(f"must be an http or https address, got {text!r}")
    return text


def _fingerprint(text: str) -> Fingerprint | None:
    md5 = text.lower()
    if md5 == "none":
        return None
    if not re.fullmatch(r"[0-9a-f]{32}", md5):
        raise argparse.ArgumentTypeError(f"must be 32 hexadecimal digits or none, got {text!r}")
    return PUBLISHED if md5 == PUBLISHED.md5 else Fingerprint(md5=md5)


def fetch(options: DownloadOptions) -> None:
    """Brings `output/genres`, whole or not at all; what is there already is left as it is.

    Raises:
        UsageError: If the output folder holds something else, cannot be written to, or has no room.
        DownloadError: If the archive cannot be had, or is another one.
        ArchiveError: If it is damaged, or holds what it must not.
        OSError: If a file cannot be written.
    """
    output, md5 = options.output, options.expected.md5 if options.expected else None
    n_files = n_files_present(output, md5=md5)
    if n_files is not None:
        if (output / WORK).exists():
            # A run died between its last two steps: leaving the folder removes it.
            with work_folder(output):
                pass
        print(f"Nothing to do: {output / GENRES} is there already, with all of its {n_files} files")
        return
    with work_folder(output) as work:
        archive = _given_archive(options) or _downloaded_archive(options, work / ARCHIVE)
        try:
            files = extract_tar_gz(archive, work, top=GENRES)
        except ArchiveError:
            discard(work / ARCHIVE)
            raise
        write_record(work / GENRES, url=options.url, md5=md5, files=files)
        if options.keep_archive and archive == work / ARCHIVE:
            archive.replace(output / ARCHIVE)
        (work / GENRES).replace(output / GENRES)
    print(f"{len(files)} files in {output / GENRES}")


def _given_archive(options: DownloadOptions) -> Path | None:
    """An archive that lies in the output folder: kept by an earlier run, or put there by hand."""
    archive = options.output / ARCHIVE
    if not archive.exists():
        return None
    if options.expected is None:
        raise UsageError(f"{archive} is in the way: without --md5 nothing tells whether it is what {options.url} holds")
    if problem := _difference(archive, options.expected):
        raise UsageError(f"{archive} {problem}; remove it, and run this again")
    print(f"Using {archive}")
    return archive


def _downloaded_archive(options: DownloadOptions, archive: Path) -> Path:
    n_bytes = options.expected.n_bytes if options.expected else None
    if n_bytes:
        # The tracks take at least as much once more.
        done = archive.stat().st_size if archive.exists() else 0
        require_space(archive.parent, 2 * n_bytes - done)
    download(options.url, archive, n_bytes=n_bytes, checked=options.expected is not None)
    if options.expected and (problem := _difference(archive, options.expected)):
        discard(archive)
        raise DownloadError(f"what {options.url} holds {problem}; it was removed, and the next run begins anew")
    return archive


def _difference(archive: Path, expected: Fingerprint) -> str | None:
    """How a file differs from what is expected, as the end of a sentence; None where it does not."""
    n_bytes = archive.stat().st_size
    if expected.n_bytes not in (None, n_bytes):
        return f"has {n_bytes} bytes, expected {expected.n_bytes}"
    with archive.open("rb") as file:
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    return None if md5 == expected.md5 else f"has the MD5 {md5}, expected {expected.md5}"


def main(arguments: Sequence[str]) -> int:
    """Downloads GTZAN.

    Returns:
        The exit status: 0, 1 for a download that failed or an archive that is not what was expected, 2 for an output or option
        that cannot be used, 130 for Ctrl-C.
    """
    options = parse_options(arguments)
    try:
        fetch(options)
    except UsageError as error:
        print(f"download: {error}", file=sys.stderr)
        return 2
    except (DownloadError, ArchiveError) as error:
        print(f"download: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"download: {error.filename or options.output}: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndownload: interrupted; run it again to go on", file=sys.stderr)
        return 130
    source = () if options.output == GTZAN else ("--input", options.output)
    print(f"Next: {python_command('run_pipeline.py', *source)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
