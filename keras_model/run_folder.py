"""A run's folder: the names of its files, `options.json`, by which it is resumed, and `front_end.json`, what its model hears."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from keras_model.options import TrainOptions
from tfrecords.dataset.corpus import CorpusInfo
from tfrecords.dataset.manifest import Manifest
from tfrecords.errors import FailedError, UsageError, quoted
from tfrecords.front_end.log_mel_spec import LogMelSpec
from tfrecords.whole_file import write_whole

OPTIONS_FILE = "options.json"
BACKUP_FOLDER = "backup"
TENSORBOARD_FOLDER = "tensorboard"
MODEL_FILE = "model.keras"
METRICS_FILE = "metrics.json"
HISTORY_FILE = "history.csv"
REPORT_FILE = "report.html"
SUMMARY_FILE = "summary.json"
EXPORTED_FILE = "exported.txt"  # the version that a run exported to a folder of the user's
FRONT_END_FILE = "front_end.json"
TRACKS_FILE = "tracks.json"
LABELS_FILE = "labels.txt"
EXPORT_CHECK_FILE = "export_check.json"
CARD_FILE = "README.md"

_FORMAT_VERSION = 2
# What may differ from the start of the run: none of it changes a step.
_CHANGEABLE = ("data", "cache_dir", "epochs", "export", "exports", "verbose")


class TrainingError(FailedError):
    """A run that ended without all of its results."""


class ExportError(TrainingError):
    """A model that was not published: it cannot be written, or does not compute what pipeline and network compute."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What `options.json` holds.

    Attributes:
        options: Of the run; its `output` is the folder that the file lies in.
        fingerprint: Of the dataset.
        finished: Whether everything was written.
    """

    options: TrainOptions
    fingerprint: str
    finished: bool = False

    @property
    def identity(self) -> str:
        """Digest of everything that decides what the training's steps compute."""
        values = {name: value for name, value in self.options.to_dict().items() if name not in (*_CHANGEABLE, "output")}
        return _digest([values, self.fingerprint])

    def write(self) -> None:
        """Makes the folder, and writes the file at once or not at all."""
        values = {"format_version": _FORMAT_VERSION, "finished": self.finished, "fingerprint": self.fingerprint}
        # Where no other place was asked for, the SavedModel stays in the run's folder, also when that is moved.
        values["options"] = self.options.to_dict() | ({"export": None} if self.options.export is None else {})
        text = json.dumps({"sha256": _digest(values)} | values, indent=1)
        self.options.output.mkdir(parents=True, exist_ok=True)
        write_whole(self.options.output / OPTIONS_FILE, text.encode() + b"\n")

    @classmethod
    def read(cls, run: Path) -> Self:
        """Reads the file of a run's folder.

        Raises:
            UsageError: If there is none, or it is damaged or of another version.
        """
        path = run / OPTIONS_FILE
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if values.pop("sha256") != _digest(values):
                raise ValueError("its content does not match its SHA-256")
            if values["format_version"] != _FORMAT_VERSION:
                raise UsageError(f"{path} has format version {values['format_version']!r}, this code reads {_FORMAT_VERSION}")
            options = TrainOptions.from_dict(values["options"] | {"output": str(run)})
            return cls(options=options, fingerprint=str(values["fingerprint"]), finished=values["finished"] is True)
        except OSError as error:
            raise UsageError(f"{run} cannot be resumed: {OPTIONS_FILE} cannot be read ({error.strerror})") from error
        except UsageError:
            raise
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{run} cannot be resumed: {OPTIONS_FILE} is damaged ({error})") from error

    def resumed(self, given: Mapping[str, Any]) -> TrainOptions:
        """The run's options, with those that were given anew.

        Args:
            given: Options by their names in `TrainOptions`.

        Raises:
            UsageError: If one of them would change what was trained so far, or shorten the run.
        """
        run = self.options.output
        if refused := [f"--{name.replace('_', '-')}" for name in given if name not in _CHANGEABLE]:
            changeable = ", ".join(f"--{name.replace('_', '-')}" for name in _CHANGEABLE).replace("--exports", "--no-export")
            raise UsageError(f"{', '.join(refused)} cannot be changed by --resume: {run} has its own; only {changeable} can")
        options = dataclasses.replace(self.options, **given)
        if options.epochs < self.options.epochs:
            raise UsageError(f"--epochs can only prolong a run: {run} has {self.options.epochs}, got {options.epochs}")
        return options

    def check_data(self, manifest: Manifest) -> None:
        """Refuses another dataset than the run was started with.

        Raises:
            UsageError: Naming both fingerprints.
        """
        if manifest.fingerprint != self.fingerprint:
            raise UsageError(
                f"{self.options.output} was started with another dataset: the fingerprint was {self.fingerprint[:16]}, "
                f"now it is {manifest.fingerprint[:16]}"
            )


@dataclass(frozen=True, kw_only=True)
class FrontEnd:
    """The part of a dataset's manifest that a model carries.

    Attributes:
        spec: How audio becomes log-mels.
        genres: In the order of the model's outputs.
        corpus: What it was trained on.
        fingerprint: Of the dataset it was trained on.
    """

    spec: LogMelSpec
    genres: tuple[str, ...]
    corpus: CorpusInfo
    fingerprint: str

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """The front end of a dataset."""
        return cls(spec=manifest.spec, genres=manifest.genres, corpus=manifest.corpus, fingerprint=manifest.fingerprint)

    def to_json(self) -> str:
        """The text of `front_end.json`."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads `front_end.json`.

        Raises:
            ValueError: If something is missing or out of range.
        """
        try:
            values = json.loads(text)
            genres = values["genres"]
            if not isinstance(genres, list) or not genres or not all(isinstance(name, str) for name in genres):
                raise ValueError(f"{FRONT_END_FILE} is damaged: its genres are {quoted(genres)}")
            return cls(
                spec=LogMelSpec.from_dict(values["spec"]),
                genres=tuple(genres),
                corpus=CorpusInfo.from_json(json.dumps(values["corpus"])),
                fingerprint=str(values["fingerprint"]),
            )
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{FRONT_END_FILE} is damaged: {error!r}") from error


def is_free(folder: Path) -> bool:
    """Whether a run can begin in a folder: there is none, or nothing in it but what a run that died at its start has left."""
    if not folder.exists():
        return True
    return folder.is_dir() and all(path.name.startswith(f".{OPTIONS_FILE}-") for path in folder.iterdir())


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
