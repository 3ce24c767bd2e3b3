"""The Beam transform: tracks to a dataset."""

from functools import partial
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import AsDict, AsIter, AsList, AsSingleton

from beam_pipeline.extract.extracted import Extracted
from beam_pipeline.extract.extractor import TrackDeformer, TrackExtractor, lost
from beam_pipeline.extract.records import records_of, report_of
from beam_pipeline.plan import Plan
from beam_pipeline.splits.equal_audio import Decisions, audio_of, repeated
from beam_pipeline.stages import Call, PackReferences, counted
from beam_pipeline.track import Track
from beam_pipeline.write.duplicates import DecideEqualAudio
from beam_pipeline.write.publish import PublishDataset
from beam_pipeline.write.shards import ShardWriter
from beam_pipeline.write.track_lists import list_of, write_list
from tfrecords.front_end.augmentation import AUGMENTED_SPLIT
from tfrecords.front_end.statistics import merged

# A track takes milliseconds: so many are sent to a process together.
_TRACKS_AT_ONCE = 8


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
        done = (
            used
            | "Spread the tracks over the workers" >> beam.Reshuffle()
            | "Decode tracks and compute log-mels"
            >> beam.ParDo(Call(TrackExtractor(plan), plan, n_at_once=_TRACKS_AT_ONCE, lost=lost))
        )
        extracted = done | "Count what was done" >> beam.Map(counted)
        decided = (
            extracted
            | "Name each track's audio" >> beam.FlatMap(audio_of)
            | "Gather equal audio" >> beam.GroupByKey()
            | "Take what is there twice" >> beam.FlatMap(repeated)
            | "List it" >> beam.combiners.ToList()
            | "Decide what is done with it" >> beam.Map(DecideEqualAudio(plan), tracks=AsIter(used))
        )
        decisions = decided | "Take the decisions" >> beam.Map(lambda one: one.decisions)
        settled = extracted | "Bring equal audio to one side" >> beam.Map(_settled, decisions=AsSingleton(decisions))
        versions = [done]
        if plan.augmentation:
            deformed, settled = self._deformed(settled)
            versions.append(deformed)
        records = settled | "Make records" >> beam.FlatMap(records_of, plan=plan)
        if plan.handover:
            records = records | "Pack references to them" >> beam.ParDo(PackReferences())
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
        left_out = tracks | "Take what the split scheme leaves out" >> beam.Filter(_is_left_out) | beam.Map(_bare)
        lists = (
            (settled, left_out)
            | "All tracks" >> beam.Flatten()
            | "Report each" >> beam.Map(report_of, plan=plan)
            | "Name each report's list" >> beam.Map(list_of)
            | "Gather each list" >> beam.GroupByKey()
            | "Write lists" >> beam.Map(partial(write_list, folder=plan.staging))
        )
        split_and_genre = used | "Name split and genre" >> beam.Map(lambda track: (track.split, track.genre))
        libraries = (
            versions
            | "All that was done" >> beam.Flatten()
            | "Take the versions of the libraries" >> beam.Map(lambda one: one.libraries)
            | "Take each once" >> beam.Distinct()
        )
        dataset = (
            tracks.pipeline
            | "Once" >> beam.Create([None])
            | "Check and publish"
            >> beam.ParDo(
                PublishDataset(plan),
                shards=AsList(shards | "Take what was written" >> beam.Map(lambda shard: shard.report)),
                lists=AsList(lists),
                statistics=AsDict(statistics),
                n_tracks=AsDict(split_and_genre | "Count them" >> beam.combiners.Count.PerElement()),
                libraries=AsList(libraries),
                duplicates=AsSingleton(decided | "Take its list" >> beam.Map(lambda one: one.lines)),
            )
        )
        rejected = (
            settled
            | "Take what is rejected" >> beam.Filter(lambda one: one.refusal is not None)
            | "Report it" >> beam.Map(lambda one: report_of(one, plan=plan)[1])
        )
        return {"dataset": dataset, "rejected": rejected}

    def _deformed(self, settled: Any) -> tuple[Any, Any]:
        """What was done for the tracks that are augmented; and all tracks, with what was drawn of these."""
        plan = self._plan
        done = (
            settled
            | "Take what is augmented" >> beam.Filter(_is_augmented)
            | "Spread it over the workers" >> beam.Reshuffle()
            | "Deform tracks and compute log-mels"
            >> beam.ParDo(Call(TrackDeformer(plan), plan, lost=lambda one, kind, reason: lost(one.track, kind, reason)))
        )
        others = settled | "Take the others" >> beam.Filter(lambda one: not _is_augmented(one))
        return done, (
            others,
            done | "Count what was deformed" >> beam.Map(counted),
        ) | "Augmented tracks and others" >> beam.Flatten()


def _settled(extracted: Extracted, decisions: Decisions) -> Extracted:
    return extracted._replace(track=decisions.settle(extracted.track))


def _bare(track: Track) -> Extracted:
    return Extracted(track)


def _is_used(track: Track) -> bool:
    return track.split is not None


def _is_left_out(track: Track) -> bool:
    return not _is_used(track)


def _is_augmented(extracted: Extracted) -> bool:
    return extracted.track.split == AUGMENTED_SPLIT and extracted.refusal is None
