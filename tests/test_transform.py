"""`BuildDataset` in a pipeline of someone else's, and what the local runner opens."""

import json
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import apache_beam as beam
import psutil
import pytest
from apache_beam.io.aws.s3io import S3IO
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from beam_pipeline import BuildDataset, Plan, Track
from beam_pipeline.beam_internals import known_options, share_s3_clients
from beam_pipeline.options import BuildOptions, MaxRejected
from beam_pipeline.runners.choice import Runner
from beam_pipeline.splits.computed import ComputedSplit
from tests.conftest import GENRES, REPOSITORY
from tests.helpers import WriteCorpus, build, digests, records_of, tracks_of
from tfrecords.dataset.folder import read_dataset
from tfrecords.errors import UsageError
from tfrecords.verification.dataset_check import DatasetCheck


def test_in_another_programs_pipeline(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    """The example of docs/runners.md: tracks from anywhere, and what was rejected goes on in the pipeline."""
    corpus = write_corpus()
    (corpus / "genres" / "hum" / "hum.00009.wav").write_bytes(b"no audio")
    output: Any = tmp_path / "mine"  # a `Path` is taken too
    paths: list[Any] = sorted(corpus.rglob("*.wav"))
    with test_pipeline.TestPipeline() as pipeline:
        tracks = [
            Track(path.stem, path, path.parent.name, split="test" if path.stem.endswith("0") else "train") for path in paths
        ]
        built = (
            pipeline
            | beam.Create(tracks)
            | BuildDataset(Plan(output=output, genres=GENRES, chunks_per_track=4, max_rejected=MaxRejected(tracks=1)))
        )
        reasons = built["rejected"] | beam.Map(lambda line: json.loads(line)["rejected"]["track_id"])
        assert_that(reasons, equal_to(["hum.00009"]), label="rejected")
        assert_that(built["dataset"], equal_to([str(tmp_path / "mine" / "dataset.json")]), label="dataset")
    manifest = read_dataset(tmp_path / "mine")
    assert (manifest.splits["train"].n_tracks, manifest.splits["test"].n_tracks) == (9, 3)
    assert list(DatasetCheck(tmp_path / "mine").problems()) == []
    assert len(records_of(tmp_path / "mine", "test")) == 12


def test_it_writes_what_the_command_writes(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus = write_corpus()
    build(corpus, tmp_path / "command", keep_features=False)
    split_of = {track["track_id"]: track["split"] for track in tracks_of(tmp_path / "command")}
    tracks = [Track(path.stem, f"{path.parent.name}/{path.name}", path.parent.name) for path in sorted(corpus.rglob("*.wav"))]
    with test_pipeline.TestPipeline() as pipeline:
        _ = (
            pipeline
            | beam.Create([track._replace(split=split_of[track.track_id]) for track in tracks])
            | BuildDataset(Plan(output=str(tmp_path / "own"), genres=GENRES, root=str(corpus / "genres"), chunks_per_track=4))
        )
    shards = (
        {name: one for name, one in digests(tmp_path / place).items() if "tfrecord" in name} for place in ("own", "command")
    )
    own, command = shards
    assert own == command


@pytest.mark.parametrize(
    ("track", "reason"),
    [
        (Track("polka.1", "a.wav", "polka", split="test"), "track 'polka.1' is of genre 'polka', the plan names blues, jazz"),
        (Track("jazz.1", "a.wav", "jazz", split="dev"), "track 'jazz.1' is of split 'dev', the plan names train, test"),
    ],
)
def test_a_track_that_the_plan_does_not_go_with_is_named(track: Track, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)), test_pipeline.TestPipeline() as pipeline:
        _ = pipeline | beam.Create([track]) | BuildDataset(Plan(output=str(tmp_path / "out"), genres=("blues", "jazz")))
    assert not (tmp_path / "out" / "dataset.json").exists()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"chunks_per_track": 2, "min_chunks": 4}, "min_chunks must be 1 to chunks_per_track (2), got 4"),
        ({"duplicates": "dropp"}, "duplicates must be one of group, drop, fail, got 'dropp'"),
        ({"computed_split": ComputedSplit(validation_fraction=0.2)}, "computed_split takes a validation split, for which"),
    ],
)
def test_a_plan_whose_values_do_not_go_together_is_refused(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        Plan(output="out", genres=GENRES, **values)


def listening(processes: list[psutil.Process]) -> set[str]:
    """Addresses at which one of the processes takes connections, not from this machine alone."""
    addresses = set()
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            addresses |= {each.laddr.ip for each in process.net_connections("inet") if each.status == psutil.CONN_LISTEN}
    return addresses - {"127.0.0.1", "::1"}


def test_nothing_listens_on_the_network(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus = write_corpus(n_tracks=6, seconds=20.0)
    command: list[str | Path] = [sys.executable, "run_pipeline.py", "--input", corpus, "--output", tmp_path / "out"]
    process = subprocess.Popen([*command, "--workers", "2"], cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    most = 0
    found: set[str] = set()
    while process.poll() is None:
        running = psutil.Process(process.pid).children(recursive=True)
        most = max(most, len(running))
        found |= listening([psutil.Process(process.pid), *running])
        time.sleep(0.02)
    assert process.returncode == 0
    assert most >= 2, "the processes of two workers"
    assert found == set()


@pytest.mark.parametrize("runner", ["DirectRunner", "FlinkRunner", "PrismRunner", "DataflowRunner"])
@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("--sed", "did you mean --seed?"),
        ("--flink_mastr=x", "did you mean --flink_master?"),
        ("--zzz", "stands behind --"),
    ],
)
def test_unknown_options_are_refused_on_every_runner(runner: str, option: str, hint: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"unrecognized arguments: {option}")) as caught:
        Runner(BuildOptions(input="in", output="out", runner=runner, beam_args=(option,), own_options=("--seed",)))
    assert hint in str(caught.value)


def test_what_a_runner_alone_knows_stands_behind_dashes() -> None:
    options = BuildOptions(input="in", output="out", runner="FlinkRunner", beam_args=("--flink_master=here", "--", "--zzz=1"))
    assert Runner(options).beam_args == ("--flink_master=here", "--zzz=1")


def test_the_local_runner_waits() -> None:
    with pytest.raises(UsageError, match="--no-wait is for runners that go on without this program"):
        Runner(BuildOptions(input="in", output="out", no_wait=True))


def test_what_is_used_of_beam_that_is_not_public() -> None:
    """Tells when a new version of Beam has changed it."""
    known, unknown, names = known_options(["--direct_num_workers=3", "--nothing=1"])
    assert (known.direct_num_workers, known.direct_running_mode) == (3, "in_memory")
    assert unknown == ["--nothing=1"]
    assert {"--flink_master", "--project", "--s3_endpoint_url"} <= set(names)


def test_one_client_of_s3_is_shared() -> None:
    share_s3_clients()
    settings = {"s3_endpoint_url": "http://127.0.0.1:1", "s3_region_name": "us-east-1", "s3_secret_access_key": "x"}
    one, two, other = (S3IO(options=settings | {"s3_access_key_id": key}) for key in ("a", "a", "b"))
    assert one.client is not two.client, "Beam keeps where it reads in these"
    assert one.client.client is two.client.client is not other.client.client
