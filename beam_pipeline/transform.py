"""The Beam transform: tracks to a dataset."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import uuid4

import apache_beam as beam

from beam_pipeline import storage
from beam_pipeline.extract.stage import REJECTED, REPORTS, ExtractRecords
from beam_pipeline.options import MaxRejected
from beam_pipeline.plan import Plan
from beam_pipeline.track import Track
from beam_pipeline.write.output_folder import STAGING
from beam_pipeline.write.publish import COUNT, LIST, SHARD, SUMS, PublishDataset
from beam_pipeline.write.stage import STATISTICS, WriteShards
from beam_pipeline.write.sums import AddSums
from beam_pipeline.write.track_lists import list_of, write_list
from tfrecords.augmentation import AUGMENTATIONS
from tfrecords.corpus import CorpusInfo
from tfrecords.log_mel_spec import PRESETS

# The kind, among tracks that are not used, of those that the split scheme leaves out.
LEFT_OUT = "split scheme"


@beam.typehints.with_input_types(Track)
class BuildDataset(beam.PTransform):
    """Decodes tracks, draws chunks of them, and writes their log-mels as TFRecords, a dataset that `train.py` reads.

    Takes a bounded PCollection of `Track`, each with its split, and gives a dictionary of two: under "dataset" the path of the
    one `dataset.json` that was published, under "rejected" a line of JSON for each track that could not be used. The bytes of the
    dataset follow from the tracks and the arguments alone, whatever the runner. Publishing is its last step: a dataset that was
    in the folder is replaced by the new one at once, when that is whole.

        with beam.Pipeline() as pipeline:
            tracks = pipeline | beam.Create([Track("blues.a", "/music/a.wav", "blues", split="train"), ...])
            tracks | BuildDataset("data/mine", genres=("blues", "jazz"))
    """

    def __init__(
        self,
        output: str,
        *,
        genres: tuple[str, ...],
        root: str = "",
        preset: str = "paper",
        chunks_per_track: int = 15,
        augment: str | None = None,
        seed: int = 0,
        num_shards: int | Mapping[str, int] = 1,
        max_rejected: MaxRejected | None = None,
        corpus: CorpusInfo | None = None,
        split_scheme: str = "own",
        test_fraction: float | None = None,
        validation_fraction: float | None = None,
        features: str | None = None,
        prunes_features: bool = False,
        handover: str | None = None,
        staging: str | None = None,
        progress: str | None = None,
        n_processes: int = 1,
        beam_args: tuple[str, ...] = (),
    ) -> None:
        """Takes what there is to know before the tracks are seen.

        Args:
            output: Folder of the dataset, a path or a URL that all workers can write to.
            genres: All that tracks may be of, in alphabetical order, which is that of the labels.
            root: Folder that the tracks' paths are relative to, a path or a URL.
            preset: Name of the front end, a key of PRESETS.
            chunks_per_track: How many chunks are drawn of each track.
            augment: Name of what is drawn of each train track besides, a key of AUGMENTATIONS; None for nothing.
            seed: Of chunk draw and record order.
            num_shards: Shards by split; or of each of train and test.
            max_rejected: How many tracks may be unusable before the run fails; None for one in a hundred.
            corpus: The corpus' name, and whether it is synthetic.
            split_scheme: What decided the splits, for `dataset.json`.
            test_fraction: Likewise the share that was asked for.
            validation_fraction: Likewise.
            features: Folder that the tracks' features are kept in, for the next run; None to keep none.
            prunes_features: Whether features of other tracks are removed from that folder.
            handover: Folder on a disk that all workers share, through which the stages hand features over; None where they share
                none, and log-mels are shuffled.
            staging: Folder for what is written before the dataset is published, on the output's filesystem; None for one in it.
            progress: Folder in which each process has a file that grows by a byte a track; None for none.
            n_processes: Processes of its own among which a worker shares its work.
            beam_args: Beam's options for those, in which an object store's address may be.
        """
        super().__init__()
        self._plan = Plan(
            root=root,
            output=output,
            staging=staging or storage.join(output, STAGING, uuid4().hex),
            corpus=corpus or CorpusInfo(name=output.rstrip("/").rpartition("/")[2]),
            genres=tuple(genres),
            preset=preset,
            spec=PRESETS[preset],
            split_scheme=split_scheme,
            test_fraction=test_fraction,
            validation_fraction=validation_fraction,
            seed=seed,
            chunks_per_track=chunks_per_track,
            augmentation=AUGMENTATIONS[augment] if augment is not None else None,
            n_shards=dict.fromkeys(("train", "test"), num_shards) if isinstance(num_shards, int) else dict(num_shards),
            max_rejected=max_rejected or MaxRejected(),
            features=features,
            prunes_features=prunes_features,
            handover=handover,
            progress=progress,
        )
        self._processes: dict[str, Any] = {"n_processes": n_processes, "beam_args": beam_args}

    def expand(self, tracks: Any) -> Any:
        """Builds the graph."""
        plan = self._plan
        used = tracks | "Take the tracks of the splits" >> beam.Filter(_is_used)
        extracted = (
            used
            | "Spread the tracks over the workers" >> beam.Reshuffle()
            | "Decode tracks and compute log-mels"
            >> beam.ParDo(ExtractRecords(plan, **self._processes)).with_outputs(REPORTS, REJECTED, main="records")
        )
        pipeline = tracks.pipeline
        every_shard = pipeline | "Name every shard, also one that stays empty" >> beam.Create(
            [(key, b"") for key in plan.shard_keys()]
        )
        shards = (
            (extracted.records, every_shard)
            | "Records and shards" >> beam.Flatten()
            | "Gather each shard's records" >> beam.GroupByKey()
            | "Write shards" >> beam.ParDo(WriteShards(plan, **self._processes)).with_outputs(STATISTICS, main="shards")
        )
        statistics = shards[STATISTICS] | "Add up each split's statistics" >> beam.CombinePerKey(AddSums())
        left_out = tracks | "Say what the split scheme leaves out" >> beam.FlatMap(_left_out)
        lists = (
            (extracted[REPORTS], left_out)
            | "All reports" >> beam.Flatten()
            | "Name each report's list" >> beam.Map(list_of)
            | "Gather each list" >> beam.GroupByKey()
            | "Write lists" >> beam.Map(partial(write_list, folder=plan.staging))
        )
        counts = used | "Name split and genre" >> beam.Map(_split_and_genre) | "Count them" >> beam.combiners.Count.PerElement()
        dataset = (
            (
                shards.shards | "Shards" >> beam.Map(lambda report: (SHARD, report.encode())),
                lists | "Lists" >> beam.Map(lambda name: (LIST, name.encode())),
                statistics | "Statistics" >> beam.MapTuple(lambda split, sums: (f"{SUMS}/{split}", sums)),
                counts | "Counts" >> beam.MapTuple(lambda named, number: (COUNT, json.dumps([*named, number]).encode())),
            )
            | "All there is to say" >> beam.Flatten()
            | "Under one key" >> beam.WithKeys(None)
            | "Gather it" >> beam.GroupByKey()
            | "Check and publish" >> beam.ParDo(PublishDataset(plan))
        )
        return {"dataset": dataset, "rejected": extracted[REJECTED]}


def _is_used(track: Track) -> bool:
    return track.split is not None


def _split_and_genre(track: Track) -> tuple[str | None, str]:
    return track.split, track.genre


def _left_out(track: Track) -> list[tuple[str, str]]:
    if track.split is not None:
        return []
    content: dict[str, Any] = track.described() | {"kind": LEFT_OUT, "reason": track.left_out}
    return [(track.track_id, json.dumps({"left_out": content}))]
