"""What a run is to do."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from beam_pipeline.extract.features import FeatureStore
from beam_pipeline.options import MaxRejected
from tfrecords.augmentation import Augmentation, augmentation_of
from tfrecords.corpus import CorpusInfo
from tfrecords.log_mel_spec import LogMelSpec
from tfrecords.schema import Record
from tfrecords.stable_hash import shard_index


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run's numbers and places; sent to every worker.

    Attributes:
        root: Folder that the tracks' paths are relative to.
        output: Folder of the dataset.
        staging: Folder for what the run writes before it is published.
        corpus: The corpus' name, and whether it is synthetic.
        genres: In the order of their labels.
        preset: Name of the front end.
        spec: The front end.
        split_scheme: What decided the splits.
        test_fraction: Share of a genre's tracks in the test split; None where no share was asked for.
        validation_fraction: Likewise of the others in the validation split.
        seed: Of chunk draw and record order, and of the splits.
        chunks_per_track: How many chunks to draw of each track.
        augmentation: What to draw of each train track besides; None for nothing.
        n_shards: Number of shards by split.
        max_rejected: How many tracks may be left out.
        features: Folder of the features that are kept; None where none are.
        prunes_features: Whether those of other tracks are removed from that folder in the end.
        handover: Folder on a disk that all workers share. Features lie there for the next stage, and only references to them are
            shuffled; None for workers that share none, where the log-mels are.
        progress: Folder on this machine in which each process that extracts has a file that grows by a byte a track; None for
            none.
    """

    root: str
    output: str
    staging: str
    corpus: CorpusInfo
    genres: tuple[str, ...]
    preset: str
    spec: LogMelSpec
    split_scheme: str
    test_fraction: float | None = None
    validation_fraction: float | None = None
    seed: int = 0
    chunks_per_track: int
    augmentation: Augmentation | None = None
    n_shards: dict[str, int]
    max_rejected: MaxRejected = field(default_factory=MaxRejected)
    features: str | None = None
    prunes_features: bool = False
    handover: str | None = None
    progress: str | None = None

    def shard_key(self, split: str, order: bytes) -> str:
        """The shard of the record whose place in its split is `order`, as `shard_keys` names it."""
        return self._shard_key(split, shard_index(order, n_shards=self.n_shards[split]))

    def shard_keys(self) -> list[str]:
        """A name for each shard while it is made."""
        return [self._shard_key(split, index) for split, n_shards in self.n_shards.items() for index in range(n_shards)]

    def _shard_key(self, split: str, index: int) -> str:
        return f"{split}-{index:05d}-of-{self.n_shards[split]:05d}"

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
