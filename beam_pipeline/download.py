"""Command line: `python -m beam_pipeline.download` fetches GTZAN for `run_pipeline.py`."""

import argparse
import hashlib
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from beam_pipeline.corpora.gtzan_archive import ARCHIVE, GENRES, GTZAN, MD5, WORK, extract_genres
from beam_pipeline.write.locked_folder import LOCK, locked_folder
from tfrecords.command_line.command import CommandParser, exit_status, folder
from tfrecords.command_line.programs import program, shell_command
from tfrecords.errors import FailedError, UsageError

REPOSITORY, FILE = "marsyas/gtzan", f"data/{ARCHIVE}"


def _parser() -> CommandParser:
    parser = CommandParser(
        prog=program("download"),
        description="Downloads GTZAN (1.2 GB), checks and extracts it. Interrupted, it goes on where it stopped when run again.",
        epilog=f"It comes from {REPOSITORY} on the Hugging Face Hub, or on a mirror that HF_ENDPOINT names.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--output", type=folder, default=GTZAN, help="folder in which the folder genres/ is made")
    parser.add_argument("--archive", type=Path, help=f"a copy of {ARCHIVE} that is there already; without it OUTPUT/{ARCHIVE}")
    parser.add_argument("--md5", type=_md5, default=MD5, help="the archive's MD5, or none to take any archive")
    return parser


def _md5(text: str) -> str | None:
    if not re.fullmatch(r"[0-9a-f]{32}|none", text.lower()):
        raise argparse.ArgumentTypeError(f"must be 32 hexadecimal digits or none, got {text!r}")
    return None if text.lower() == "none" else text.lower()


def _fetch(output: Path, *, archive: Path | None, md5: str | None) -> None:
    """Brings `output/genres`, whole or not at all; what is there already is left as it is."""
    if archive and not archive.is_file():
        raise UsageError(f"there is no file {archive}")
    archive, genres = archive or output / ARCHIVE, output / GENRES
    _check(output, archive)
    was_there = _is_there(genres)
    if not was_there or (output / WORK).exists():
        with _work_folder(output) as work:
            if not _is_there(genres):
                path, source = _archive_here(archive) or _download(work)
                try:
                    _check_sum(path, md5)
                    extract_genres(path, work)
                except FailedError as error:
                    if path.parent == work:  # else the next run would go on with it
                        path.unlink()
                    raise FailedError(f"{source} {error}") from error
                (work / GENRES).replace(genres)
    print(f"{'Nothing to do: ' if was_there else ''}{len(list(genres.glob('*/*')))} files in {genres}")


def _is_there(genres: Path) -> bool:
    return genres.is_dir() and any(genres.iterdir())


def _check(output: Path, archive: Path) -> None:
    try:
        others = [path.name for path in output.iterdir() if not path.name.startswith(".") and path.resolve() != archive.resolve()]
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(f"the output {output} cannot be used as a folder: {error.strerror}") from error
    if others and not (output / GENRES).is_dir():
        raise UsageError(f"the output folder {output} holds other files ({min(others)!r}); choose another one")


@contextmanager
def _work_folder(output: Path) -> Iterator[Path]:
    """The folder of what is not finished, with its lock held; in the end it keeps nothing but a download that can go on."""
    with locked_folder(output, WORK) as work:
        shutil.rmtree(work / GENRES, ignore_errors=True)
        try:
            yield work
        finally:
            shutil.rmtree(work / GENRES, ignore_errors=True)
            if _is_there(output / GENRES) or [path.name for path in work.iterdir()] == [LOCK]:
                shutil.rmtree(work)
            # An empty folder of this name would look like a GTZAN without tracks.
            if not any(output.iterdir()):
                output.rmdir()


def _archive_here(archive: Path) -> tuple[Path, str] | None:
    """An archive on this machine and what to call it: the user's, or one that the Hub's client keeps."""
    from huggingface_hub import try_to_load_from_cache

    for path in (archive, try_to_load_from_cache(REPOSITORY, FILE, repo_type="dataset")):
        if isinstance(path, str | Path) and Path(path).is_file():
            print(f"Using {path}")
            return Path(path), str(path)
    return None


def _download(work: Path) -> tuple[Path, str]:
    """The archive in the work folder, and its address.

    Not by `hf_hub_download`, which since 1.18 keeps nothing of a download that was interrupted; by what that is made of.
    """
    # Not above: it reads its settings, HF_*, as it is imported.
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # it is, lazily

    url = hf_hub_url(REPOSITORY, FILE, repo_type="dataset")
    try:
        about = get_hf_file_metadata(url, retry_on_errors=True)
        if not (about.etag and about.size and about.commit_hash):
            raise FailedError("its server does not answer like the Hub")
        # Parts of one version alone are joined: its ETag is in the name, its commit in the address.
        part = work / f"{quote(about.etag, safe='')}.incomplete"
        address = hf_hub_url(REPOSITORY, FILE, repo_type="dataset", revision=about.commit_hash)
        with part.open("ab") as file:
            if file.tell() > about.size:
                file.seek(file.truncate(0))
            done, size = file.tell(), about.size
            http_get(address, file, resume_size=done, expected_size=size, headers=build_hf_headers(), displayed_filename=ARCHIVE)
    except Exception as error:  # The transport below the client has errors of its own, and the client changes transports.
        if isinstance(error, OSError) and error.errno:  # the disk's
            raise
        raise FailedError(f"{url} cannot be read: {' '.join(str(error).split()) or type(error).__name__}") from error
    return part, url


def _check_sum(archive: Path, expected: str | None) -> None:
    with archive.open("rb") as file:
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if expected not in (None, md5):
        raise FailedError(f"has the MD5 {md5}, expected {expected}")


def _main(arguments: Sequence[str]) -> int:
    values = _parser().parse_args(arguments)
    try:
        _fetch(values.output, archive=values.archive, md5=values.md5)
    except OSError as error:
        if error.filename or isinstance(error, BrokenPipeError):
            raise
        raise FailedError(f"{values.output}: {error.strerror or error}") from error  # a full disk, of which Python has no name
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt("interrupted; run it again to go on") from error
    print(f"Next: {shell_command('pipeline', *(() if values.output == GTZAN else ('--input', values.output)))}")
    return 0


def main(arguments: Sequence[str]) -> int:
    """Downloads GTZAN.

    Returns:
        The exit status: 0, 1 for a download that failed or an archive that is not what was expected, 2 for an output or option
        that cannot be used, 130 for Ctrl-C.
    """
    return exit_status("download", lambda: _main(arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
