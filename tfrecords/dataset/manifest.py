"""`dataset.json`: everything that a dataset says of itself. It is written last; a folder without it is no dataset.

It names its files. Those of another dataset have other names: one takes the place of another when its `dataset.json` does.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self, TypeVar

from tfrecords.dataset.corpus import CorpusInfo
from tfrecords.dataset.json_types import check_types
from tfrecords.dataset.left_out import LeftOut
from tfrecords.errors import UsageError, quoted
from tfrecords.front_end.augmentation import Augmentation, Deformation
from tfrecords.front_end.log_mel_spec import LogMelSpec

MANIFEST_FILE = "dataset.json"
REJECTED_FILE = "rejected.jsonl"
DUPLICATES_FILE = "duplicates.jsonl"
# What other tools read: `tfrecords.cards` derives it from the manifest and the list of tracks.
DERIVED_FILES = ("README.md", "croissant.json", "dataset_info.json")
UNKNOWN_LICENSE = "unknown"
FORMAT_VERSION = 3
# Its files had the same names in every dataset.
_FIXED_NAMES_VERSION = 2
_FIXED_TRACKS_FILE = "tracks.jsonl"
_NOT_IN_FINGERPRINT = ("left_out", "code_version", "libraries")
# A dataset has train and test always, and validation where it was asked for.
SPLITS = ("train", "validation", "test")

_T = TypeVar("_T")


class DatasetError(UsageError):
    """A folder that is no whole dataset, or one that does not fit its use."""


class NoDatasetError(DatasetError):
    """A folder that is not there, or holds no dataset."""


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One TFRecord file of a split: its name, the number of its records, its size in bytes and its SHA-256."""

    name: str
    split: str
    n_records: int
    n_bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class SplitSummary:
    """One split: its numbers of tracks and records, and the statistics of its log-mels."""

    n_tracks: int
    n_records: int
    statistics: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What `dataset.json` holds.

    Attributes:
        corpus: The corpus' name, and whether it is synthetic.
        preset: Name of the spec.
        spec: The front end that made the log-mels.
        split_scheme: For instance "stratified" or "kfold-1/4".
        seed: Of split, chunk draw and record order.
        test_fraction: Share of a genre's tracks in the test split; None where the scheme is a list.
        validation_fraction: Share of a genre's other tracks in the validation split; None where none were taken for one.
        chunks_per_track: Records per track, without those of its deformations.
        min_chunks: Tracks that have fewer, but so many, gave them all; None, and no key in `dataset.json`, for none but
            `chunks_per_track`.
        augmentation: What the train split holds of each track besides; None for nothing. `dataset.json` lacks the key then.
        genres: In the order of their labels.
        splits: By name; some of SPLITS.
        shards: In the order of their names.
        standardization: `mean` and `std` of the train split, for the spec's standardization; None for none.
        tracks_file: Name of the list of its tracks.
        tracks_sha256: Digest of that file.
        license: Of the audio, an SPDX identifier or a text. `dataset.json` lacks the key where it is unknown.
        left_out: The tracks that it was made without, by kind of reason. `dataset.json` lacks the key where there are none.
        code_version: Version of the code that wrote it.
        libraries: Versions of the libraries that computed it, by name; empty where they were not noted.
    """

    corpus: CorpusInfo
    preset: str
    spec: LogMelSpec
    split_scheme: str
    seed: int
    test_fraction: float | None
    validation_fraction: float | None
    chunks_per_track: int
    min_chunks: int | None = None
    augmentation: Augmentation | None = None
    genres: tuple[str, ...]
    splits: Mapping[str, SplitSummary]
    shards: tuple[Shard, ...]
    standardization: Mapping[str, Any] | None
    tracks_file: str = _FIXED_TRACKS_FILE
    tracks_sha256: str
    license: str = UNKNOWN_LICENSE
    left_out: Mapping[str, LeftOut] = field(default_factory=dict)
    code_version: str
    libraries: Mapping[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all of the content but the versions and what was left out: equal datasets have equal fingerprints."""
        content = {key: value for key, value in self._content().items() if key not in _NOT_IN_FINGERPRINT}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def chunks_drawn(self) -> str:
        """How many chunks were drawn of each track, for people: "15", or "3 to 15"."""
        return f"{'' if self.min_chunks is None else f'{self.min_chunks} to '}{self.chunks_per_track}"

    def shards_of(self, split: str) -> tuple[Shard, ...]:
        """The shards of one split, in order.

        Raises:
            DatasetError: If there is no such split.
        """
        if split not in self.splits:
            raise DatasetError(f"the dataset has no split {split!r}, only {', '.join(self.splits)}")
        return tuple(shard for shard in self.shards if shard.split == split)

    def _content(self) -> dict[str, Any]:
        content = {"format_version": FORMAT_VERSION, **asdict(self)}
        for optional in ("augmentation", "min_chunks"):
            if content[optional] is None:
                del content[optional]
        if self.tracks_file == _FIXED_TRACKS_FILE:
            content["format_version"] = _FIXED_NAMES_VERSION
            del content["tracks_file"]
        if self.license == UNKNOWN_LICENSE:
            del content["license"]
        for key in ("left_out", "libraries"):
            if not content[key]:
                del content[key]
        return content

    def to_json(self) -> str:
        """The text of `dataset.json`."""
        return json.dumps({"fingerprint": self.fingerprint, **self._content()}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads `dataset.json`.

        Raises:
            DatasetError: If the text is of another version, lacks something, or does not match its own fingerprint.
        """
        manifest, stated = cls.parse(text)
        if manifest.fingerprint != stated:
            raise DatasetError(f"{MANIFEST_FILE} was altered: its content does not match its fingerprint")
        return manifest

    @classmethod
    def parse(cls, text: str) -> tuple[Self, Any]:
        """Reads `dataset.json` and the fingerprint that stands in it, which need not be that of the content.

        Raises:
            DatasetError: If the text is of another version, lacks something, has a value of another type, or names a file by more
                than a plain file name: no path leads out of the dataset's folder.
        """
        try:
            values = json.loads(text)
            version, stated = values.pop("format_version"), values.pop("fingerprint")
            if version not in (_FIXED_NAMES_VERSION, FORMAT_VERSION):
                known = f"{_FIXED_NAMES_VERSION} and {FORMAT_VERSION}"
                raise DatasetError(f"{MANIFEST_FILE} has format version {quoted(version)}, this code reads {known}")
            values = {
                "tracks_file": _FIXED_TRACKS_FILE,
                "license": UNKNOWN_LICENSE,
                "left_out": {},
                "libraries": {},
                "min_chunks": None,
            } | values
            values |= {
                "corpus": _typed(CorpusInfo, values["corpus"]),
                "spec": LogMelSpec.from_dict(values["spec"]),
                "augmentation": _augmentation(values["augmentation"]) if "augmentation" in values else None,
                "genres": tuple(values["genres"]),
                "splits": {name: _typed(SplitSummary, split) for name, split in values["splits"].items()},
                "shards": tuple(_typed(Shard, shard) for shard in values["shards"]),
                "left_out": {kind: _left_out(tracks) for kind, tracks in values["left_out"].items()},
            }
            manifest = _typed(cls, values)
            for name in (manifest.tracks_file, *(shard.name for shard in manifest.shards)):
                if not _is_file_name(name):
                    raise ValueError(f"the name of a shard must be that of a file in the folder, got {quoted(name)}")
            if (version == FORMAT_VERSION) != (manifest.tracks_file != _FIXED_TRACKS_FILE):
                raise ValueError(f"format version {version} does not go with {quoted(manifest.tracks_file)}")
        except DatasetError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise DatasetError(f"{MANIFEST_FILE} is damaged: {error!r}") from error
        return manifest, stated


def _typed(kind: type[_T], values: dict[str, Any]) -> _T:
    """A dataclass of values read from JSON, each of the type that the class declares."""
    check_types(values, kind, name=kind.__name__)
    return kind(**values)


def _augmentation(values: dict[str, Any]) -> Augmentation:
    deformations = tuple(_typed(Deformation, deformation) for deformation in values["deformations"])
    return _typed(Augmentation, values | {"deformations": deformations})


def _left_out(values: dict[str, Any]) -> LeftOut:
    return _typed(LeftOut, values | {"first": tuple(values["first"])})


def _is_file_name(name: str) -> bool:
    return name.isprintable() and len(name) <= 255 and name not in ("", ".", "..") and not set(name) & {"/", "\\"}
