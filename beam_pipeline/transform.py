"""The Beam transform: tracks to a dataset."""

import json
from functools import partial
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import AsDict, AsList

from beam_pipeline.extract.track_records import Extracted, TrackExtractor
from beam_pipeline.plan import Plan
from beam_pipeline.stages import Call, PackReferences, counted
from beam_pipeline.track import Track
from beam_pipeline.write.publish import PublishDataset
from beam_pipeline.write.shards import ShardWriter
from beam_pipeline.write.track_lists import list_of, write_list
from tfrecords.statistics import merged

# A track takes milliseconds: so many are sent to a process together.
_TRACKS_AT_ONCE = 8
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
            tracks | BuildDataset(Plan(output="data/mine", genres=("blues", "jazz")))
    """

    def __init__(self, plan: Plan) -> None:
        """Takes what there is to know before the tracks are seen."""
        super().__init__()
        self._plan = plan

    def expand(self, tracks: Any) -> Any:
        """Builds the graph."""
        plan = self._plan
        tracks = tracks | "Check that the plan names their genres and splits" >> beam.Map(plan.checked)
        used = tracks | "Take the tracks of the splits" >> beam.Filter(_is_used)
        extracted = (
            used
            | "Spread the tracks over the workers" >> beam.Reshuffle()
            | "Decode tracks and compute log-mels" >> beam.ParDo(Call(TrackExtractor(plan), plan, n_at_once=_TRACKS_AT_ONCE))
            | "Count what was done" >> beam.Map(counted)
        )
        records = (
            extracted | "Pack references to records" >> beam.ParDo(PackReferences())
            if plan.handover
            else extracted | "Take the records" >> beam.FlatMap(_records)
        )
        every_shard = tracks.pipeline | "Name every shard, also one that stays empty" >> beam.Create(
            [(key, b"") for key in plan.shard_keys()]
        )
        shards = (
            (records, every_shard)
            | "Records and shards" >> beam.Flatten()
            | "Gather each shard's records" >> beam.GroupByKey()
            | "Fetch them" >> beam.MapTuple(lambda key, contents: (key, list(contents)))
            | "Write shards" >> beam.ParDo(Call(ShardWriter(plan), plan))
        )
        statistics = (
            shards
            | "Take the statistics" >> beam.Map(lambda shard: (shard.split, shard.statistics))
            | "Add up each split's" >> beam.CombinePerKey(merged)
        )
        reports = extracted | "Take the reports" >> beam.Map(lambda track: (track.track_id, track.report))
        left_out = tracks | "Say what the split scheme leaves out" >> beam.FlatMap(_left_out)
        lists = (
            (reports, left_out)
            | "All reports" >> beam.Flatten()
            | "Name each report's list" >> beam.Map(list_of)
            | "Gather each list" >> beam.GroupByKey()
            | "Write lists" >> beam.Map(partial(write_list, folder=plan.staging))
        )
        counts = used | "Name split and genre" >> beam.Map(_split_and_genre) | "Count them" >> beam.combiners.Count.PerElement()
        dataset = (
            tracks.pipeline
            | "Once" >> beam.Create([None])
            | "Check and publish"
            >> beam.ParDo(
                PublishDataset(plan),
                shards=AsList(shards | "Take what was written" >> beam.Map(lambda shard: shard.report)),
                lists=AsList(lists),
                statistics=AsDict(statistics),
                n_tracks=AsDict(counts),
            )
        )
        rejected = extracted | "Take what is rejected" >> beam.Filter(_is_rejected) | beam.Map(lambda track: track.report)
        return {"dataset": dataset, "rejected": rejected}


def _records(extracted: Extracted) -> list[tuple[str, bytes]]:
    return extracted.records


def _is_rejected(extracted: Extracted) -> bool:
    return extracted.is_rejected


def _is_used(track: Track) -> bool:
    return track.split is not None


def _split_and_genre(track: Track) -> tuple[str | None, str]:
    return track.split, track.genre


def _left_out(track: Track) -> list[tuple[str, str]]:
    if track.split is not None:
        return []
    content: dict[str, Any] = track.described() | {"kind": LEFT_OUT, "reason": track.left_out}
    return [(track.track_id, json.dumps({"left_out": content}))]
