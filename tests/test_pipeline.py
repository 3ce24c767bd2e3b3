"""Real runs of the pipeline: what they write, and that it is the same bytes however they are run."""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from apache_beam.metrics.execution import MetricResult

from beam_pipeline.runners.choice import Runner
from tests.conftest import GENRES, REPOSITORY, SAMPLE_RATE
from tests.helpers import WriteCorpus, build, digests, names_in, records_of, run_main, tracks_of
from tfrecords import verify
from tfrecords.dataset.folder import read_dataset
from tfrecords.dataset.stable_hash import stable_hash
from tfrecords.front_end.log_mel import cut_chunks, log_mel


def test_what_a_dataset_holds(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    result = build(write_corpus(n_tracks=4), tmp_path / "out", num_shards=2)
    manifest = read_dataset(tmp_path / "out")
    assert manifest == result.manifest
    assert manifest.genres == GENRES
    assert {split: (one.n_tracks, one.n_records) for split, one in manifest.splits.items()} == {"train": (9, 36), "test": (3, 12)}
    assert names_in(tmp_path / "out") == [
        "README.md",
        "croissant.json",
        "dataset.json",
        "dataset_info.json",
        "features",
        "rejected.jsonl",
        *(f"test-#-0000{number}-of-00002.tfrecord" for number in (0, 1)),
        "tracks-#.jsonl",
        *(f"train-#-0000{number}-of-00002.tfrecord" for number in (0, 1)),
    ]
    tracks = {track["track_id"]: track for track in tracks_of(tmp_path / "out")}
    assert list(tracks) == sorted(tracks)
    assert hashlib.sha256((tmp_path / "out" / manifest.tracks_file).read_bytes()).hexdigest() == manifest.tracks_sha256
    for split in ("train", "test"):
        records = records_of(tmp_path / "out", split)
        starts = Counter((record.track_id, record.start_sample) for record in records)
        assert starts == Counter(
            (track_id, start) for track_id, track in tracks.items() if track["split"] == split for start in track["start_samples"]
        )
        for record in records:
            assert manifest.genres[record.label] == record.genre == tracks[record.track_id]["genre"]
            assert record.start_sample == record.chunk_index * manifest.spec.chunk_step
        values = np.stack([record.log_mel for record in records]).astype(np.float64)
        assert manifest.splits[split].statistics["mean"] == pytest.approx(values.mean(), abs=1e-8)
        assert manifest.splits[split].statistics["max"] == values.max()
        order = [stable_hash("order", 0, record.track_id, record.chunk_index) for record in records]
        assert order == sorted(order)
    assert result.counters["tracks_read"] == 12


def test_none_one_and_two_processes_write_the_same_bytes(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus = write_corpus(n_tracks=6)
    one = build(corpus, tmp_path / "one", workers=1)
    two = build(corpus, tmp_path / "two", workers=2)
    none = build(corpus, tmp_path / "none", workers=0)
    assert none.tracks_by_process == {str(os.getpid()): 18}
    assert len(one.tracks_by_process) == 1
    assert none.tracks_by_process.keys().isdisjoint(one.tracks_by_process)
    assert digests(tmp_path / "none") == digests(tmp_path / "one")
    assert len(two.tracks_by_process) == 2
    assert min(two.tracks_by_process.values()) > 0
    assert sum(two.tracks_by_process.values()) == 18
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert one.manifest.fingerprint == two.manifest.fingerprint


@pytest.mark.parametrize("repeat", ["0", "2"])
def test_engines_that_move_records_themselves_write_the_same_bytes(
    write_corpus: WriteCorpus, tmp_path: Path, repeat: str
) -> None:
    """By its full name Beam's own runner counts as any other engine. It can run each bundle again, as if it had failed."""
    corpus = write_corpus()
    again = ("--direct_runner_bundle_repeat", repeat)
    build(corpus, tmp_path / "local", num_shards=2, beam_args=again)
    engine = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
    result = build(corpus, tmp_path / "engine", num_shards=2, runner=engine, beam_args=again)
    assert result.tracks_by_process == {}
    assert digests(tmp_path / "local") == digests(tmp_path / "engine")
    build(corpus, tmp_path / "once", num_shards=2)
    assert digests(tmp_path / "local") == digests(tmp_path / "once")


def test_hash_seed_place_and_listing_order_play_no_part(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    """The second corpus is written in the opposite order, elsewhere, in GTZAN's other layout."""
    corpus = write_corpus("corpus")
    other = tmp_path / "other place" / "corpus"
    for path in sorted(corpus.rglob("*.wav"), reverse=True):
        copy = other / "Data" / "genres_original" / path.relative_to(corpus / "genres")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    for name, seed, folder in (("a", "1", corpus), ("b", "2", other)):
        command: list[str | Path] = [
            sys.executable,
            "run_pipeline.py",
            "--input",
            folder,
            "--output",
            tmp_path / name,
            "--chunks-per-track",
            "4",
        ]
        subprocess.run(command, cwd=REPOSITORY, env=os.environ | {"PYTHONHASHSEED": seed}, check=True, capture_output=True)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def test_records_do_not_depend_on_the_number_of_shards(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus = write_corpus()
    orders = []
    for n_shards in (1, 3):
        build(corpus, tmp_path / str(n_shards), num_shards=n_shards)
        orders.append([(record.track_id, record.chunk_index) for record in records_of(tmp_path / str(n_shards), "train")])
    assert orders[0] == orders[1]


def test_another_seed_is_another_dataset(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus = write_corpus()
    fingerprints = {build(corpus, tmp_path / str(seed), seed=seed).manifest.fingerprint for seed in (0, 1)}
    assert len(fingerprints) == 2


@pytest.mark.parametrize("preset", ["schindler", "full80"])
def test_other_presets(write_corpus: WriteCorpus, tmp_path: Path, preset: str) -> None:
    manifest = build(write_corpus(), tmp_path / "out", preset=preset).manifest
    assert manifest.standardization is not None
    values = np.stack([record.log_mel for record in records_of(tmp_path / "out", "train")]).astype(np.float64)
    axis = 0 if preset == "schindler" else (0, 2)
    np.testing.assert_allclose(manifest.standardization["mean"], values.mean(axis=axis, keepdims=True)[0], atol=1e-8)


def test_a_preset_of_another_rate_and_shape(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus = write_corpus()
    manifest = build(corpus, tmp_path / "out", preset="musicnn", chunks_per_track=1).manifest
    assert manifest.standardization is None
    for record in records_of(tmp_path / "out", "test"):
        samples, rate = soundfile.read(corpus / "genres" / record.genre / f"{record.track_id}.wav", dtype="float32")
        waveform = soxr.resample(samples, rate, 16000, "HQ")
        chunks = cut_chunks(waveform, np.array([record.chunk_index * manifest.spec.chunk_step]), spec=manifest.spec)
        np.testing.assert_allclose(record.log_mel, log_mel(chunks, spec=manifest.spec)[0], atol=1e-5)
    assert verify.main([str(tmp_path / "out")]) == 0


def test_stereo_and_other_rates_are_read(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus = write_corpus(n_tracks=3)
    path = corpus / "genres" / "hum" / "hum.00000.wav"
    samples, _ = soundfile.read(path)
    soundfile.write(path, np.stack([samples, samples], axis=1), 44100)  # half as long, and an octave higher
    result = build(corpus, tmp_path / "out", chunks_per_track=1)
    assert not result.rejected
    track = next(track for track in tracks_of(tmp_path / "out") if track["track_id"] == "hum.00000")
    assert track["n_samples"] == 3 * SAMPLE_RATE / 2


def test_a_runner_that_commits_no_counters(
    write_corpus: WriteCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As Spark's: it tells of counters as attempted alone."""

    run = Runner.run

    def run_uncommitted(*arguments: Any) -> Any:
        metrics = run(*arguments).metrics().query()
        counters = [MetricResult(counter.key, committed=None, attempted=counter.attempted) for counter in metrics["counters"]]
        return SimpleNamespace(metrics=lambda: SimpleNamespace(query=lambda: {"counters": counters}))

    monkeypatch.setattr(Runner, "run", run_uncommitted)
    assert run_main("--input", write_corpus(), "--output", tmp_path / "out", capsys=capsys)[0] == 0
    assert build(write_corpus("other"), tmp_path / "other-out").counters["tracks_read"] == 12
