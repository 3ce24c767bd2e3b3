"""What every worker needs to know of a run."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from beam_pipeline.features import FeatureStore
from tfrecords.augmentation import Augmentation, augmentation_of
from tfrecords.log_mel_spec import LogMelSpec
from tfrecords.schema import Record
from tfrecords.stable_hash import shard_index


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run's numbers and places; sent to every worker.

    Attributes:
        root: Folder that the tracks' paths are relative to.
        spec: The front end.
        genres: In the order of their labels.
        chunks_per_track: How many chunks to draw of each track.
        augmentation: What to draw of each train track besides; None for nothing.
        seed: Of chunk draw and record order.
        n_shards: Number of shards by split.
        staging: Folder that shards and lists are written to.
        features: Folder of the features that are kept; None where none are.
        local_features: Folder on this machine through which the local runner's workers hand features over; None for other
            runners, which move the records themselves.
        spool: Folder on this machine for what the local runner's workers say of each track and record; likewise.
        progress: Folder in which each process has a file that grows by a byte a track, for the local runner's progress bar;
            None elsewhere.
    """

    root: str
    spec: LogMelSpec
    genres: tuple[str, ...]
    chunks_per_track: int
    augmentation: Augmentation | None
    seed: int
    n_shards: dict[str, int]
    staging: str
    features: str | None
    local_features: str | None
    spool: str | None
    progress: str | None

    def shard_name(self, split: str, index: int) -> str:
        """File name of one of a split's shards."""
        return f"{split}-{index:05d}-of-{self.n_shards[split]:05d}.tfrecord"

    def shard_names(self) -> list[str]:
        """All shards' names."""
        return [self.shard_name(split, index) for split, n_shards in self.n_shards.items() for index in range(n_shards)]

    def shard_of(self, split: str, order: bytes) -> str:
        """The shard of the record whose place in its split is `order`."""
        return self.shard_name(split, shard_index(order, n_shards=self.n_shards[split]))

    def draws(self, split: str) -> tuple[Augmentation | None, ...]:
        """What is drawn of each track of a split: None stands for chunks of the track as it is, an augmentation for its own."""
        augmentation = augmentation_of(split, self.augmentation)
        return (None, augmentation) if augmentation else (None,)

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
