"""The output folder: one dataset takes the place of another at once, when its `dataset.json` does.

The files of a dataset have names of their own, with a digest of what they hold. So those of the next one can lie beside them, and
whatever ends a run, the folder has the old dataset or the new one. What belongs to neither goes with the next run.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from beam_pipeline import storage
from beam_pipeline.plan import STAGING
from beam_pipeline.write.locked_folder import LOCK, locked_folder
from tfrecords.cards import stated_digest
from tfrecords.dataset.file_names import may_be_left, may_be_replaced
from tfrecords.dataset.manifest import DERIVED_FILES, DUPLICATES_FILE, MANIFEST_FILE, REJECTED_FILE
from tfrecords.errors import UsageError

FEATURES = "features"
_OWN_NAMES = (MANIFEST_FILE, REJECTED_FILE, DUPLICATES_FILE, STAGING, FEATURES)


def check_output(output: str, *, overwrite: bool) -> None:
    """Refuses an output folder that holds a dataset, unless it may be overwritten, or anything that is not ours.

    What a run that failed or died has left is no dataset, and does not stand in the way.

    Raises:
        UsageError: Naming what is in the way.
    """
    try:
        names = sorted(storage.names_in(output))
    except OSError as error:
        raise UsageError(f"the output {output} cannot be used as a folder: {error.strerror or error}") from error
    foreign = [name for name in names if not _is_own(output, name)]
    if foreign:
        raise UsageError(f"the output folder {output} holds other files ({foreign[0]!r}); choose another one")
    if overwrite:
        return
    if MANIFEST_FILE in names:
        raise UsageError(f"the output {output} exists; use --overwrite to replace it")
    shards = [name for name in names if name.endswith(".tfrecord")]
    unknown = [name for name in shards if not may_be_left(name)]
    if unknown and STAGING not in names:
        raise UsageError(f"the output {output} holds TFRecords of unknown origin ({unknown[0]}); use --overwrite to replace them")


def _is_own(output: str, name: str) -> bool:
    if name in DERIVED_FILES:  # anyone's folder may have a README.md
        try:
            return stated_digest(storage.read(storage.join(output, name))) is not None
        except OSError:  # no file, or not ours to read
            return False
    return name in _OWN_NAMES or may_be_replaced(name)


@contextmanager
def staging_folder(output: str, *, stays: bool = False) -> Iterator[str]:
    """Makes the staging folder in a checked output folder, and removes it in the end.

    What a dead run left in it goes first. On this machine a lock that ends with its process tells a dead run from one that is
    at work; behind a URL nothing does. Each run has a folder of its own in it: workers of a run that was given up may live on
    for a while, and what they still write must not reach the next one.

    Args:
        output: The output folder.
        stays: Whether it stays, for a run that goes on without this process.

    Yields:
        The absolute path of this run's folder.

    Raises:
        UsageError: If it cannot be made, or another run is at work in it.
    """
    run = uuid4().hex
    if storage.is_remote(output):
        staging = storage.join(output, STAGING)
        storage.remove_folder(staging)
        try:
            yield storage.join(staging, run)
        finally:
            if not stays:
                storage.remove_folder(staging)
        return
    with locked_folder(Path(output), STAGING) as folder:
        for name in storage.names_in(str(folder)) - {LOCK}:
            storage.remove_folder(storage.join(str(folder), name))
        (folder / run).mkdir()
        try:
            yield str(folder / run)
        finally:
            if not stays:
                storage.remove_folder(str(folder))


def put_in_place(output: str, staging: str, *, new_names: Mapping[str, str], derived: Mapping[str, bytes], manifest: str) -> None:
    """Has a dataset take the place of what was in the folder: its files first, beside the old ones, then its `dataset.json`.

    Between them the derived files take the place of the old dataset's, one by one: each describes a dataset that is there. It can
    be done again after it was cut off anywhere.

    Args:
        output: The folder.
        staging: The folder with the staged files.
        new_names: Names of the files in the output folder, by their names in the staging folder.
        derived: What other tools read, by the names of the files, in the order in which they are replaced.
        manifest: Text of `dataset.json`.

    Raises:
        StorageError: If a file cannot be written, moved or removed.
    """
    staged = storage.names_in(staging)
    waiting = [name for name in new_names if name in staged]
    there = storage.names_in(output)
    if lost := [new for old, new in new_names.items() if old not in staged and new not in there]:
        raise RuntimeError(f"{output}: {lost[0]} is neither staged nor in place")
    storage.move(staging, waiting, target=output, new_names=[new_names[name] for name in waiting])
    for name, data in (*derived.items(), (MANIFEST_FILE, manifest.encode())):
        storage.write(storage.join(output, name), [data])
    named = set(new_names.values())
    storage.remove(output, [name for name in storage.names_in(output) if may_be_replaced(name) and name not in named])
