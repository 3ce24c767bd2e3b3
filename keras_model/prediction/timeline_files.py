"""Where the pictures of `--timeline` go: one file, or a folder with a picture for each audio file."""

import os
from collections.abc import Sequence
from pathlib import Path

from keras_model.front_end import FrontEnd
from keras_model.prediction.audio_files import AudioFile
from keras_model.printable_text import printable
from keras_model.track_prediction import Prediction
from tfrecords.errors import UsageError, quoted

_LONGEST_NAME_BYTES = 200  # most file systems allow 255, and `write_whole` adds some while it writes


class TimelineFiles:
    """The picture's path for each audio file, decided before anything is classified.

    Attributes:
        paths: One for each audio file, all different.
    """

    def __init__(self, out: str, files: Sequence[AudioFile]) -> None:
        """Decides.

        Args:
            out: A file ending in .png, or a folder: one that exists, or whose name ends with a slash.
            files: The audio files.

        Raises:
            UsageError: If the pictures cannot lie there.
        """
        if not out:
            raise UsageError("--timeline must not be empty")
        self._files = tuple(files)
        folder = Path(out)
        if out.endswith("/") or os.path.isdir(folder):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UsageError(f"the folder of --timeline, {quoted(out)}, cannot be made: {error.strerror}") from error
            self.paths = [folder / f"{name}.png" for name in _different([_picture_name(file) for file in files])]
            return
        if len(files) != 1:
            raise UsageError(f"--timeline must be a folder for {len(files)} files: one that exists, or {quoted(out + '/')}")
        if folder.suffix.lower() != ".png":
            raise UsageError(f"--timeline must end in .png, or be a folder, got {quoted(out)}")
        if not os.path.isdir(folder.parent):
            raise UsageError(f"--timeline {quoted(out)}: there is no folder {folder.parent}")
        self.paths = [folder]

    def draw(self, number: int, prediction: Prediction, front_end: FrontEnd) -> None:
        """Writes the picture of an audio file, by its number.

        Raises:
            OSError: If it cannot be written.
        """
        from keras_model.prediction.timeline import timeline_png  # matplotlib takes a second to import
        from keras_model.run_folder import write_whole

        picture = timeline_png(
            prediction,
            name=_shown_name(self._files[number]),
            chunk_seconds=front_end.spec.min_seconds(1),
            note="model trained on SYNTHETIC audio" if front_end.corpus.synthetic else "",
        )
        write_whole(self.paths[number], picture)


def _shown_name(file: AudioFile) -> str:
    return "standard input" if file.is_standard_input else printable(Path(file.name).name)


def _picture_name(file: AudioFile) -> str:
    return Path(_shown_name(file)).stem.encode()[:_LONGEST_NAME_BYTES].decode(errors="ignore")


def _different(names: Sequence[str]) -> list[str]:
    """Names with a number where there are several alike, also for file systems that take capitals for small letters."""
    taken: set[str] = set()
    different = []
    next_number: dict[str, int] = {}
    for name in names:
        key, candidate = name.casefold(), name
        while candidate.casefold() in taken:
            next_number[key] = next_number.get(key, 1) + 1
            candidate = f"{name}-{next_number[key]}"
        taken.add(candidate.casefold())
        different.append(candidate)
    return different
