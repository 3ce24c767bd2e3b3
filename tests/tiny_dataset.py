"""Small datasets that are written without the pipeline, can be written wrong, and what `tfrecords.verify` finds in them."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np

from tfrecords.cards import TrackTally, derived_files
from tfrecords.dataset.corpus import CorpusInfo
from tfrecords.dataset.manifest import Manifest, Shard, SplitSummary
from tfrecords.dataset.stable_hash import record_order, shard_index
from tfrecords.dataset.tracks import TrackLine
from tfrecords.front_end.augmentation import Augmentation, augmentation_of
from tfrecords.front_end.log_mel_spec import PRESETS, LogMelSpec
from tfrecords.front_end.statistics import LogMelStatistics
from tfrecords.records.framing import frame
from tfrecords.records.schema import Record, encode
from tfrecords.verification.dataset_check import DatasetCheck

SPEC = dataclasses.replace(PRESETS["full80"], n_mels=5, n_frames=7)
GENRES = ("blues", "jazz", "rock")
SPLITS = ("train", "validation", "test")
SEED = 11

Damage = Callable[["TinyDataset"], None]


class TinyDataset:
    """A dataset in memory. Change it, and `write` it: digests, sizes, counts and statistics follow the change.

    Attributes:
        folder: Where it is written.
        tracks: Lines of tracks.jsonl.
        shards: Records by name of the shard.
        manifest: As it was written last.
    """

    def __init__(
        self,
        folder: Path,
        *,
        spec: LogMelSpec = SPEC,
        tracks_per_genre: int = 6,
        chunks: int = 3,
        n_shards: int = 2,
        augmentation: Augmentation | None = None,
    ) -> None:
        self.folder = folder
        self.spec = spec
        self.chunks = chunks
        self.augmentation = augmentation
        self.tracks: list[dict[str, Any]] = []
        self.shards: dict[str, list[Record]] = {
            f"{split}-{index:05d}-of-{n_shards:05d}.tfrecord": [] for split in sorted(SPLITS) for index in range(n_shards)
        }
        rng = np.random.default_rng(0)
        for label, genre in enumerate(GENRES):
            for number in range(tracks_per_genre):
                self._add_track(f"{genre}.{number:05d}", label, split=SPLITS[number % len(SPLITS)], n_shards=n_shards, rng=rng)
        for records in self.shards.values():
            records.sort(key=lambda record: record_order(SEED, record.track_id, record.chunk_index, record.deformation))
        self.write()

    def _add_track(self, track_id: str, label: int, *, split: str, n_shards: int, rng: np.random.Generator) -> None:
        indices = {"": sorted(rng.choice(20, self.chunks, replace=False).tolist())}
        if augmentation := augmentation_of(split, self.augmentation):
            for name in augmentation.names:
                indices[name] = sorted(rng.choice(20, augmentation.chunks_per_deformation, replace=False).tolist())
        starts = {name: [index * self.spec.chunk_step for index in drawn] for name, drawn in indices.items()}
        self.tracks.append(
            {
                "track_id": track_id,
                "path": f"{GENRES[label]}/{track_id}.wav",
                "genre": GENRES[label],
                "split": split,
                "label": label,
                "n_samples": 30 * self.spec.sample_rate,
                "audio_blake3": hashlib.sha256(track_id.encode()).hexdigest(),
                "start_samples": starts.pop(""),
            }
            | ({"deformed_start_samples": starts} if starts else {})
        )
        for deformation, index in ((name, index) for name, drawn in indices.items() for index in drawn):
            place = shard_index(record_order(SEED, track_id, index, deformation), n_shards=n_shards)
            self.shards[f"{split}-{place:05d}-of-{n_shards:05d}.tfrecord"].append(
                Record(
                    log_mel=(10 + rng.standard_normal(self.spec.shape)).astype(np.float32),
                    label=label,
                    genre=GENRES[label],
                    track_id=track_id,
                    chunk_index=index,
                    start_sample=index * self.spec.chunk_step,
                    deformation=deformation,
                )
            )

    def write(self, **changes: Any) -> None:
        """Writes everything, with `changes` in the manifest and a fingerprint that matches them."""
        self.folder.mkdir(exist_ok=True)
        statistics = {split: LogMelStatistics(self.spec) for split in SPLITS}
        shards = []
        for name, records in self.shards.items():
            split, data = name.split("-")[0], b"".join(frame(encode(record)) for record in records)
            (self.folder / name).write_bytes(data)
            of_shard = LogMelStatistics(self.spec)
            for record in records:
                of_shard.add(record.log_mel[np.newaxis])
            statistics[split].merge(of_shard)
            digest = hashlib.sha256(data).hexdigest()
            shards.append(Shard(name=name, split=split, n_records=len(records), n_bytes=len(data), sha256=digest))
        lines = "".join(json.dumps(track) + "\n" for track in self.tracks).encode()
        (self.folder / "tracks.jsonl").write_bytes(lines)
        self.manifest = dataclasses.replace(
            Manifest(
                corpus=CorpusInfo(name="tiny", synthetic=True),
                preset="full80",
                spec=self.spec,
                split_scheme="kfold-1/4",
                seed=SEED,
                test_fraction=None,
                validation_fraction=None,
                chunks_per_track=self.chunks,
                augmentation=self.augmentation,
                genres=GENRES,
                splits={
                    split: SplitSummary(
                        n_tracks=sum(track["split"] == split for track in self.tracks),
                        n_records=statistics[split].n_records,
                        statistics=statistics[split].summary(),
                    )
                    for split in SPLITS
                },
                shards=tuple(shards),
                standardization=statistics["train"].standardization(),
                tracks_sha256=hashlib.sha256(lines).hexdigest(),
                code_version="1",
            ),
            **changes,
        )
        (self.folder / "dataset.json").write_text(self.manifest.to_json())

    def write_derived(self) -> None:
        """Writes the files that other tools read, as they follow from what was written last."""
        tally = TrackTally()
        for track in self.tracks:
            tally.add(cast(TrackLine, track))
        for name, data in derived_files(self.manifest, tally).items():
            (self.folder / name).write_bytes(data)

    def edit(self, name: str, data: bytes | bytearray) -> None:
        """Puts other bytes into a file, as an accident would."""
        (self.folder / name).write_bytes(data)

    def bytes_of(self, name: str) -> bytearray:
        return bytearray((self.folder / name).read_bytes())

    def replace_record(self, shard: str, index: int, **changes: Any) -> None:
        self.shards[shard][index] = dataclasses.replace(self.shards[shard][index], **changes)
        self.write()


def problems(folder: Path) -> list[str]:
    return [str(problem) for problem in DatasetCheck(folder).problems()]


def assert_found(tiny: TinyDataset, expected: tuple[str, ...]) -> None:
    """Every problem is expected, and every expected one is found.

    In `expected` # stands for a number and @ for a track id; "train-0" is short for the name of the first shard of that split.
    """
    found = [re.sub(r"-0000(\d)-of-00002\.tfrecord", r"-\1", text) for text in problems(tiny.folder)]
    left = list(found)
    for text in expected:
        pattern = re.escape(text).replace(r"\#", r"\d+").replace("@", r"\w+\.0000\d")
        match = next((one for one in left if re.fullmatch(pattern, one)), None)
        assert match is not None, f"{text} is not among {found}"
        left.remove(match)
    assert left == []
