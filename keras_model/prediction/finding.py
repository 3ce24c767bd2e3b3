"""Which model, and which files, a user means."""

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from keras_model import hub
from keras_model.prediction.files import AudioFile, find_audio_files
from keras_model.prediction.runtimes import RUNTIMES
from keras_model.run_folder import EXPORTED_FILE
from tfrecords.audio.formats import AUDIO_SUFFIXES
from tfrecords.command_line.programs import program
from tfrecords.errors import UsageError

_SAVED_MODEL = "saved_model.pb"


def find_model(path: Path) -> Path:
    """The model that a path means: a run's folder, an export folder, a folder of versions, a version, an ONNX or LiteRT file.

    An export folder holds a folder per model's name, which holds the versions; the newest one is taken. Where there is none, the
    ONNX file in it is, or the LiteRT file. A run that exported to another folder has noted which version there is its own.

    Returns:
        The folder of a SavedModel, or a file.

    Raises:
        UsageError: If there is none, or an export folder holds several models.
    """
    if os.path.isfile(path / _SAVED_MODEL) or (_may_be_file(path) and os.path.isfile(path)):
        return path  # Path.is_file raises for a name that is too long
    if (version := _exported(path)) is not None:
        if not os.path.isfile(version / _SAVED_MODEL):
            raise UsageError(f"{path} was exported to {version}, which is gone")
        return version
    folders = (path / "export", path)
    of_files = [{name: folder / name for name in glob.glob(f"*{end}", root_dir=folder)} for end in RUNTIMES for folder in folders]
    for models in (*map(_versions, folders), *of_files):
        if len(models) > 1:
            parent = os.path.commonpath([model.parent for model in models.values()])
            raise UsageError(f"{parent} holds several models, {', '.join(sorted(models))}: give one of them")
        if models:
            return next(iter(models.values()))
    exports = f"{program('train')} --export"
    raise UsageError(f"there is no exported model in {path}; give a run's folder or one that {exports} wrote to")


def find_model_and_files(paths: Sequence[str]) -> tuple[Path | str | None, list[AudioFile]]:
    """What a command line names: a model, if one comes first, and audio files.

    Returns:
        What `find_model` returns, an address on the Hub, or None for the network that ships; and the files.

    Raises:
        UsageError: If the first is a folder of neither, no file is named, or the files' names cannot be read.
    """
    first = paths[0]
    if first.startswith(hub.PREFIX):
        return hub.address(first), _files_after(paths)
    is_folder = os.path.isdir(first)
    is_song = os.path.exists(first) or first in ("", "-") or Path(first).suffix.lower() in AUDIO_SUFFIXES or len(paths) == 1
    if not is_folder and is_song and not _may_be_file(Path(first)):
        return None, find_audio_files(paths)
    try:
        model = find_model(Path(first))
    except UsageError:
        if not is_folder or find_audio_files([first])[0].problem:
            raise
        return None, find_audio_files(paths)
    return model, _files_after(paths)


def _files_after(paths: Sequence[str]) -> list[AudioFile]:
    if len(paths) == 1:
        raise UsageError(f"no audio file is named for the model in {paths[0]}")
    return find_audio_files(paths[1:])


def newest_version(folder: Path) -> Path | None:
    """The SavedModel of the highest number in a model's folder; None if it has none."""
    numbers = [os.path.dirname(found) for found in glob.glob(f"*/{_SAVED_MODEL}", root_dir=folder)]
    newest = max((number for number in numbers if number.isdecimal()), key=int, default=None)
    return None if newest is None else folder / newest


def _versions(folder: Path) -> dict[str, Path]:
    """The newest versions of the models in a folder, by the models' names; of the folder itself, if it is a model's."""
    if version := newest_version(folder):
        return {folder.name: version}
    return {name: version for name in glob.glob("*", root_dir=folder) if (version := newest_version(folder / name))}


def _may_be_file(path: Path) -> bool:
    return path.suffix.lower() in RUNTIMES


def _exported(run: Path) -> Path | None:
    """The version that a run exported to a folder of the user's; None if it has not."""
    try:
        return Path((run / EXPORTED_FILE).read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError):
        return None
