"""The output folder: a dataset is in it as a whole or not at all."""

import re
import shutil
from pathlib import Path

from beam_pipeline.index import InputError
from tfrecords.manifest import MANIFEST_FILE, REJECTED_FILE, TRACKS_FILE

_STAGING = ".staging"
_OWN_NAMES = re.compile(
    rf"{re.escape(MANIFEST_FILE)}|{re.escape(TRACKS_FILE)}|{re.escape(REJECTED_FILE)}|{re.escape(_STAGING)}"
    r"|[a-z]+-\d{5}-of-\d{5}\.tfrecord"
)


def check_output(output: Path, *, overwrite: bool) -> None:
    """Refuses an output folder that holds a dataset, unless it may be overwritten, or anything that is not ours.

    What a run that failed or died has left is no dataset, and does not stand in the way.

    Raises:
        InputError: Naming what is in the way.
    """
    if not output.exists():
        return
    if not output.is_dir():
        raise InputError(f"the output {output} is a file, not a folder")
    foreign = sorted(path.name for path in output.iterdir() if not _OWN_NAMES.fullmatch(path.name))
    if foreign:
        raise InputError(f"the output folder {output} holds other files ({foreign[0]!r}); choose another one")
    if (output / MANIFEST_FILE).exists() and not overwrite:
        raise InputError(f"the output {output} exists; use --overwrite to replace it")


def start_output(output: Path) -> Path:
    """Removes what was in a checked output folder, its `dataset.json` first, and makes the staging folder in it."""
    output.mkdir(parents=True, exist_ok=True)
    (output / MANIFEST_FILE).unlink(missing_ok=True)
    for path in output.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    staging = output / _STAGING
    staging.mkdir()
    return staging


def drop_staging(output: Path) -> None:
    """Removes the staging folder, at the end of a run that worked or failed."""
    shutil.rmtree(output / _STAGING, ignore_errors=True)


def publish(output: Path, *, shard_names: list[str], tracks: str, manifest: str) -> None:
    """Moves the shards to their place and writes `tracks.jsonl` and, last and at once, `dataset.json`."""
    for name in shard_names:
        (output / _STAGING / name).replace(output / name)
    (output / TRACKS_FILE).write_text(tracks, encoding="utf-8")
    (output / _STAGING / MANIFEST_FILE).write_text(manifest, encoding="utf-8")
    (output / _STAGING / MANIFEST_FILE).replace(output / MANIFEST_FILE)
