"""What a run is to do."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import get_args
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from beam_pipeline import storage
from beam_pipeline.extract.features import FeatureStore
from beam_pipeline.options import Duplicates, MaxRejected, take_paths
from beam_pipeline.splits.computed import ComputedSplit
from beam_pipeline.track import Track
from tfrecords.dataset.corpus import CorpusInfo
from tfrecords.dataset.manifest import UNKNOWN_LICENSE
from tfrecords.dataset.stable_hash import shard_index
from tfrecords.front_end.augmentation import AUGMENTATIONS, Augmentation
from tfrecords.front_end.log_mel_spec import PRESETS, LogMelSpec
from tfrecords.records.schema import Record

# The folder in the output folder in which runs stage what they write.
STAGING = ".beam-pipeline-staging"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A dataset's numbers and places, before the tracks are seen; sent to every worker. A `Path` is taken for a path too.

    Attributes:
        output: Folder of the dataset, a path or a URL that all workers can write to.
        genres: All that tracks may be of, in alphabetical order, which is that of the labels.
        root: Folder that the tracks' paths are relative to, a path or a URL.
        preset: Name of the front end, a key of PRESETS.
        chunks_per_track: How many chunks are drawn of each track.
        min_chunks: A track that has fewer, but so many, gives them all; None for none but `chunks_per_track`.
        augment: Name of what is drawn of each train track besides, a key of AUGMENTATIONS; None for nothing.
        seed: Of chunk draw and record order.
        n_shards: Number of shards by split; it names all splits.
        duplicates: What is done with equal audio: "group" keeps it in one split, "drop" keeps one track, "fail" ends the run.
        computed_split: What the tracks' splits follow from, and are computed anew by where there is equal audio. None for splits
            that were given: they stay, and "group" leaves out what repeats a track of a split that judges it.
        max_rejected: How many tracks may be unusable before the run fails.
        corpus: The corpus' name, and whether it is synthetic; None names it after the output folder.
        split_scheme: What decided the splits, for `dataset.json`.
        test_fraction: Likewise the share of a genre's tracks that was asked for in the test split; None for none.
        validation_fraction: Likewise of the others in the validation split.
        license: Of the audio, likewise.
        features: Folder that the tracks' features are kept in, for the next run; None to keep none.
        prunes_features: Whether those of other tracks are removed from that folder in the end.
        handover: Folder on a disk that all workers share. Features lie there for the next stage, and only references to them are
            shuffled; None for workers that share none, where the log-mels are.
        progress: Folder on a disk likewise in which each process that extracts has a file that grows by a byte a track; None for
            none.
        staging: Folder for what is written before the dataset is published, on the output's filesystem; by default one in it.
        n_processes: Processes of its own among which a worker shares its work; 0 for none. Then a file that crashes the decoder
            crashes the worker.
        track_timeout: A track at which one of them is for so long, in seconds, is rejected.
        beam_args: Beam's options for those, in which an object store's address may be.
    """

    output: str
    genres: tuple[str, ...]
    root: str = ""
    preset: str = "paper"
    chunks_per_track: int = 15
    min_chunks: int | None = None
    augment: str | None = None
    seed: int = 0
    n_shards: Mapping[str, int] = field(default_factory=lambda: {"train": 1, "test": 1})
    duplicates: Duplicates = "group"
    computed_split: ComputedSplit | None = None
    max_rejected: MaxRejected = field(default_factory=MaxRejected)
    corpus: CorpusInfo | None = None
    split_scheme: str = "own"
    test_fraction: float | None = None
    validation_fraction: float | None = None
    license: str = UNKNOWN_LICENSE
    features: str | None = None
    prunes_features: bool = False
    handover: str | None = None
    progress: str | None = None
    staging: str = ""
    n_processes: int = 0
    track_timeout: float = 600.0
    beam_args: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Takes paths of both kinds, and gives a plan without one a staging folder of its own.

        Raises:
            ValueError: If values do not go together.
        """
        take_paths(self, "output", "root", "features", "handover", "progress", "staging")
        if self.min_chunks is not None and not 1 <= self.min_chunks <= self.chunks_per_track:
            raise ValueError(f"min_chunks must be 1 to chunks_per_track ({self.chunks_per_track}), got {self.min_chunks}")
        if self.duplicates not in get_args(Duplicates):
            raise ValueError(f"duplicates must be one of {', '.join(get_args(Duplicates))}, got {self.duplicates!r}")
        if self.computed_split and self.computed_split.validation_fraction and "validation" not in self.n_shards:
            raise ValueError("computed_split takes a validation split, for which n_shards has no number of shards")
        if not self.staging:
            object.__setattr__(self, "staging", storage.join(self.output, STAGING, uuid4().hex))

    @property
    def spec(self) -> LogMelSpec:
        """The front end."""
        return PRESETS[self.preset]

    @property
    def augmentation(self) -> Augmentation | None:
        """What is drawn of each train track besides."""
        return AUGMENTATIONS[self.augment] if self.augment is not None else None

    def checked(self, track: Track) -> Track:
        """A track that goes with the plan, its path as text.

        Raises:
            ValueError: If the plan does not name its genre or its split.
        """
        if track.split is not None and track.split not in self.n_shards:
            raise ValueError(f"track {track.track_id!r} is of split {track.split!r}, the plan names {', '.join(self.n_shards)}")
        if track.genre not in self.genres:
            raise ValueError(f"track {track.track_id!r} is of genre {track.genre!r}, the plan names {', '.join(self.genres)}")
        return track._replace(path=os.fspath(track.path))

    def shard_key(self, split: str, order: bytes) -> str:
        """The shard of the record whose place in its split is `order`, as `shard_keys` names it."""
        return self._shard_key(split, shard_index(order, n_shards=self.n_shards[split]))

    def shard_keys(self) -> list[str]:
        """A name for each shard while it is made."""
        return [self._shard_key(split, index) for split, n_shards in self.n_shards.items() for index in range(n_shards)]

    def _shard_key(self, split: str, index: int) -> str:
        return f"{split}-{index:05d}-of-{self.n_shards[split]:05d}"

    def record(self, log_mel: NDArray[np.float32], track_id: str, label: int, candidate: int, deformation: str) -> Record:
        """The record of one candidate chunk, with its log-mel (n_mels, n_frames)."""
        return Record(
            log_mel=log_mel,
            label=label,
            genre=self.genres[label],
            track_id=track_id,
            chunk_index=candidate,
            start_sample=candidate * self.spec.chunk_step,
            deformation=deformation,
        )

    def store(self, folder: str, draw: Augmentation | None = None) -> FeatureStore:
        """The store of this run's features in a folder: those of tracks as they are, or of deformed ones."""
        n_chunks = draw.n_chunks if draw else self.chunks_per_track
        return FeatureStore(folder, spec=self.spec, seed=self.seed, n_chunks=n_chunks, augmentation=draw)
