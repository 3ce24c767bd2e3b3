"""Runs with `--augment`: which records are added, that nothing else changes, and that they are the same however they are made."""

import re
from pathlib import Path

import numpy as np
import pytest

from beam_pipeline import run_pipeline
from beam_pipeline.write.refusal import RejectedError
from keras_model.data.split_data import load_split
from tests.helpers import WriteCorpus, build, digests, records_of, run_main, tracks_of
from tests.test_features import counts
from tests.tiny_dataset import problems
from tfrecords.dataset.folder import read_dataset
from tfrecords.dataset.stable_hash import stable_hash
from tfrecords.front_end.augmentation import AUGMENTATIONS
from tfrecords.records.schema import encode

AUGMENT = "stretch-pitch"
AUGMENTATION = AUGMENTATIONS[AUGMENT]


def test_train_tracks_alone_get_three_chunks_of_each_deformation(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    result = build(write_corpus(n_tracks=5), tmp_path / "out", augment=AUGMENT, validation_fraction=0.3, num_shards=2)
    manifest = read_dataset(tmp_path / "out")
    assert manifest == result.manifest
    assert manifest.augmentation == AUGMENTATION
    numbers = {split: (one.n_tracks, one.n_records) for split, one in manifest.splits.items()}
    assert numbers == {"train": (9, 9 * 28), "validation": (3, 12), "test": (3, 12)}
    tracks = {track["track_id"]: track for track in tracks_of(tmp_path / "out")}
    for split in manifest.splits:
        records = records_of(tmp_path / "out", split)
        claimed = [
            (track_id, name, start)
            for track_id, track in tracks.items()
            if track["split"] == split
            for name, starts in {"": track["start_samples"], **track.get("deformed_start_samples", {})}.items()
            for start in starts
        ]
        assert sorted((one.track_id, one.deformation, one.start_sample) for one in records) == sorted(claimed)
        assert len(set(claimed)) == len(claimed)
        for record in records:
            assert record.start_sample == record.chunk_index * manifest.spec.chunk_step
        values = np.stack([record.log_mel for record in records]).astype(np.float64)
        assert manifest.splits[split].statistics["mean"] == pytest.approx(values.mean(), abs=1e-9)
    for track in tracks.values():
        deformed = track.get("deformed_start_samples", {})
        assert {name: len(starts) for name, starts in deformed.items()} == (
            dict.fromkeys(AUGMENTATION.names, 3) if track["split"] == "train" else {}
        )
    assert result.counters["tracks_deformed"] == 9
    assert problems(tmp_path / "out") == []


def test_draw_and_order_are_hashes_of_the_deformation_too(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    build(write_corpus(seconds=8), tmp_path / "out", augment=AUGMENT, seed=5)
    records = records_of(tmp_path / "out", "train")
    orders = [
        stable_hash("order", 5, one.track_id, *([one.deformation] if one.deformation else []), one.chunk_index) for one in records
    ]
    assert orders == sorted(orders)
    draws = {name: sorted(one.chunk_index for one in records if one.deformation == name) for name in AUGMENTATION.names[4:]}
    assert len({tuple(numbers) for numbers in draws.values()}) == 4  # of equally many candidates


def test_what_is_not_deformed_is_the_same_bytes_as_without(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus = write_corpus(n_tracks=5)
    plain, augmented = tmp_path / "plain", tmp_path / "augmented"
    build(corpus, plain, validation_fraction=0.3, num_shards=2)
    build(corpus, augmented, validation_fraction=0.3, num_shards=2, augment=AUGMENT)
    before, after = (
        {re.sub(r"-[0-9a-f]{8}(?=[-.])", "-#", name): digest for name, digest in digests(folder).items()}
        for folder in (plain, augmented)
    )
    unchanged = [name for name in before if name.startswith(("test", "validation", "features/"))]
    assert len(unchanged) == 2 + 2 + 15
    assert all(after[name] == before[name] for name in unchanged)
    undeformed = [encode(record) for record in records_of(augmented, "train") if not record.deformation]
    assert undeformed == [encode(record) for record in records_of(plain, "train")]
    assert "augmentation" not in (plain / "dataset.json").read_text()


def test_workers_engines_and_stores_write_the_same_bytes(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus, engine = write_corpus(), "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
    build(corpus, tmp_path / "one", augment=AUGMENT)
    build(corpus, tmp_path / "two", augment=AUGMENT, workers=2)
    build(corpus, tmp_path / "engine", augment=AUGMENT, runner=engine)
    assert digests(tmp_path / "one") == digests(tmp_path / "two") == digests(tmp_path / "engine")
    build(corpus, tmp_path / "bare", augment=AUGMENT, keep_features=False)
    features = {name: digest for name, digest in digests(tmp_path / "one").items() if name.startswith("features/")}
    assert len(features) == 12 + 9
    assert digests(tmp_path / "bare") | features == digests(tmp_path / "one")


def test_only_tracks_that_lack_their_deformations_are_deformed(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    """Plain features serve both kinds of runs; a track that comes into the train split gets its deformations then."""
    corpus, features = write_corpus(), str(tmp_path / "features")
    assert counts(build(corpus, tmp_path / "plain", split="kfold-1/2", features=features)) == (12, 0)
    for fold in (1, 2):
        result = build(corpus, tmp_path / f"{fold}", split=f"kfold-{fold}/2", features=features, augment=AUGMENT)
        assert (*counts(result), result.counters["tracks_deformed"]) == (0, 12, 6)
    again = build(corpus, tmp_path / "1", split="kfold-1/2", features=features, augment=AUGMENT, overwrite=True)
    assert (*counts(again), again.counters["tracks_deformed"]) == (0, 12, 0)
    build(corpus, tmp_path / "full", split="kfold-2/2", augment=AUGMENT, keep_features=False)
    assert digests(tmp_path / "2") == digests(tmp_path / "full")


def test_features_that_a_dataset_uses_are_kept_and_others_go(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus, output = write_corpus(), tmp_path / "out"
    for augment, n_files in ((AUGMENT, 12 + 9), (None, 12), (AUGMENT, 12 + 9)):
        build(corpus, output, augment=augment, overwrite=True)
        assert len(list((output / "features").rglob("*.features"))) == n_files


def test_damaged_features_of_deformations_are_computed_anew(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus, output = write_corpus(), tmp_path / "out"
    build(corpus, output, augment=AUGMENT)
    before = digests(output)
    largest = max((output / "features").rglob("*.features"), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-1000])
    result = build(corpus, output, augment=AUGMENT, overwrite=True)
    assert (*counts(result), result.counters["tracks_deformed"]) == (0, 12, 1)
    assert digests(output) == before


def test_tracks_whose_deformation_is_too_short_are_left_out(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    """2.4 s hold four candidate chunks; at 1.5 times the tempo they are 1.6 s, which hold two. Train tracks alone need more."""
    corpus = write_corpus(seconds=2.4)
    assert not build(corpus, tmp_path / "plain").rejected
    with pytest.raises(RejectedError, match="9 of 12 tracks cannot be used") as caught:
        build(corpus, tmp_path / "out", augment=AUGMENT)
    assert {track["split"] for track in caught.value.rejected} == {"train"}
    assert {(track["kind"], track["reason"]) for track in caught.value.rejected} == {
        (
            "too short",
            "too short: 1.60 s as stretch-1.5 hold 2 candidate chunks of the 3 asked for, which need 1.86 s; "
            "--min-chunks takes shorter ones",
        )
    }


def test_the_command_line(write_corpus: WriteCorpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--input", str(write_corpus()), "--output", str(tmp_path / "out"), "--chunks-per-track", "4", "--workers", "1"]
    assert run_pipeline.main([*arguments, "--augment", AUGMENT]) == 0
    output = capsys.readouterr().out
    assert "train      9 tracks, 252 records (216 of them deformed), 1 shard(s)" in output
    assert "test       3 tracks, 12 records, 1 shard(s)" in output
    assert ", deforming " in output
    with pytest.raises(SystemExit, match="2"):
        run_main("--augment", "louder", capsys=capsys)
    assert "invalid choice: 'louder' (choose from 'stretch-pitch')" in capsys.readouterr().err


@pytest.mark.parametrize("cache_bytes", [2**30, 0])
def test_training_reads_the_records(write_corpus: WriteCorpus, tmp_path: Path, cache_bytes: int) -> None:
    manifest = build(write_corpus(), tmp_path / "out", augment=AUGMENT).manifest
    split = load_split(tmp_path / "out", manifest, "train", cache_bytes=cache_bytes)
    assert len(split.labels) == len(split.track_ids) == split.n_records == 252
    batches = split.training_batches(batch_size=64, n_genres=3, seed=0, n_epochs=1)
    assert sum(len(labels) for _, labels, _ in batches) == 252
