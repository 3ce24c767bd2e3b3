"""Which exported model a path means."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from keras_model.run_folder import METRICS_FILE
from tfrecords.errors import UsageError, quoted


def find_saved_model(path: Path) -> Path:
    """The SavedModel that a path means: a run's folder, an export folder, a folder of versions, or a version itself.

    An export folder holds a folder per model's name, which holds the versions; the newest one is taken. A run's `metrics.json`
    names the folder that it was exported to.

    Raises:
        UsageError: If there is none, or an export folder holds several models.
    """
    if _is_version(path):
        return path
    for folder in (path / "export", path, *_export_option(path)):
        if version := _newest_version(folder):
            return version
        named = {child.name: version for child in _children(folder) if (version := _newest_version(child))}
        if len(named) > 1:
            raise UsageError(f"{folder} holds several models, {', '.join(sorted(named))}: give the folder of one")
        if named:
            return next(iter(named.values()))
    raise UsageError(f"there is no exported model in {path}; give a run's folder or one that train.py --export wrote to")


def _is_version(folder: Path) -> bool:
    return os.path.isfile(folder / "saved_model.pb")  # Path.is_file raises for a name that is too long


def _children(folder: Path) -> Iterator[Path]:
    """What lies in a folder and is not hidden, as unfinished exports are."""
    try:
        yield from (child for child in folder.iterdir() if not child.name.startswith("."))
    except OSError:
        return


def _newest_version(folder: Path) -> Path | None:
    versions = [child for child in _children(folder) if child.name.isdecimal() and _is_version(child)]
    return max(versions, key=lambda child: int(child.name), default=None)


def _export_option(run: Path) -> list[Path]:
    """The folder that a run was exported to, by its metrics; none if it has no metrics or was not exported.

    Raises:
        UsageError: If the metrics are damaged.
    """
    try:
        folder = json.loads((run / METRICS_FILE).read_text(encoding="utf-8"))["options"]["export"]
        return [Path(folder)] if folder else []
    except OSError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{run / METRICS_FILE} is damaged: {quoted(error)}") from error
