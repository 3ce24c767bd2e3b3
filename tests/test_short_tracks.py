"""Tracks with fewer chunks than asked for: with `--min-chunks` they give what they have."""

from pathlib import Path

import pytest
import soundfile

from beam_pipeline.options import MaxRejected
from beam_pipeline.write.refusal import RejectedError
from tests.conftest import GENRES, SAMPLE_RATE, SHARED, synthetic_track
from tests.helpers import WriteCorpus, build, digests, json_lines, records_of, run_main, tracks_of
from tests.test_features import counts
from tests.tiny_dataset import problems
from tfrecords.dataset.folder import read_dataset
from tfrecords.front_end.augmentation import AUGMENTATIONS

# Their candidate chunks: 0, 1, 2, 3, 5, 9.
SECONDS = (0.9, 1.0, 1.5, 2.0, 2.9, 5.0)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Tracks of six lengths in each genre, two of each length."""
    for genre in GENRES:
        (tmp_path / "corpus" / genre).mkdir(parents=True)
        for number in range(2 * len(SECONDS)):
            samples = synthetic_track(genre, number, seconds=SECONDS[number // 2])
            soundfile.write(tmp_path / "corpus" / genre / f"{genre}.{number:05d}.wav", samples, SAMPLE_RATE)
    return tmp_path / "corpus"


@pytest.mark.parametrize(("least", "n_used"), [(1, 30), (3, 18), (5, 12)])
def test_tracks_give_what_they_have(corpus: Path, tmp_path: Path, least: int, n_used: int) -> None:
    output = tmp_path / "out"
    result = build(corpus, output, chunks_per_track=5, min_chunks=least, max_rejected=MaxRejected(tracks=36))
    tracks = tracks_of(output)
    assert len(tracks) == n_used
    for track in tracks:
        n_candidates = (0, 1, 2, 3, 5, 9)[int(track["track_id"][-2:]) // 2]
        assert len(track["start_samples"]) == min(5, n_candidates)
    manifest = read_dataset(output)
    assert manifest.min_chunks == (None if least == 5 else least)
    for split, summary in manifest.splits.items():
        records = records_of(output, split)
        assert len(records) == summary.n_records == sum(len(one["start_samples"]) for one in tracks if one["split"] == split)
    assert problems(output) == []
    assert {one["kind"] for one in result.rejected} == {"too short"}
    assert all(one["reason"].endswith("; --min-chunks takes shorter ones") for one in result.rejected)


def test_verify_counts_the_chunks_that_there_are(corpus: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    build(corpus, output, chunks_per_track=5, min_chunks=2, max_rejected=MaxRejected(tracks=36))
    (listed,) = output.glob("tracks-*.jsonl")
    listed.write_text(listed.read_text().replace('"start_samples": [0, 10252, 20504]', '"start_samples": [0, 10252]', 1))
    found = [str(problem) for problem in problems(output)]
    assert any(
        "has 2 start samples, dataset.json says 2 to 5, as many as there are of its 3 chunks per track" in one for one in found
    )


@pytest.mark.parametrize("engine", ["DirectRunner", "apache_beam.runners.portability.fn_api_runner.FnApiRunner"])
def test_deformations_too(corpus: Path, tmp_path: Path, engine: str) -> None:
    """A deformation that makes a track faster leaves it fewer chunks, or none."""
    output = tmp_path / "out"
    build(
        corpus,
        output,
        chunks_per_track=5,
        min_chunks=1,
        max_rejected=MaxRejected(tracks=36),
        augment="stretch-pitch",
        runner=engine,
    )
    assert problems(output) == []
    spec = read_dataset(output).spec
    numbers = set()
    for track in (track for track in tracks_of(output) if track["split"] == "train"):
        for deformation in AUGMENTATIONS["stretch-pitch"].deformations:
            n_candidates = spec.n_candidate_chunks(deformation.n_samples(track["n_samples"]))
            assert len(track["deformed_start_samples"][deformation.name]) == min(3, n_candidates)
            numbers.add(min(3, n_candidates))
    assert numbers == {0, 1, 2, 3}


def test_features_serve_runs_that_ask_for_more_and_for_fewer(corpus: Path, tmp_path: Path) -> None:
    options = {"chunks_per_track": 5, "max_rejected": MaxRejected(tracks=36)}
    build(corpus, tmp_path / "one", min_chunks=1, features=str(tmp_path / "features"), **options)
    again = build(corpus, tmp_path / "two", min_chunks=3, features=str(tmp_path / "features"), **options)
    assert counts(again) == (0, 18)
    build(corpus, tmp_path / "fresh", min_chunks=3, keep_features=False, **options)
    assert digests(tmp_path / "two") == digests(tmp_path / "fresh")


def test_as_many_as_asked_for_is_the_default(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus = write_corpus()
    build(corpus, tmp_path / "one")
    build(corpus, tmp_path / "two", min_chunks=4)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_more_than_asked_for_is_refused(write_corpus: WriteCorpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, error = run_main("--input", write_corpus(), "--output", tmp_path / "out", "--min-chunks", "5", capsys=capsys)
    assert (status, error) == (2, "run_pipeline.py: --min-chunks 5 is more than --chunks-per-track 4")


@pytest.mark.skipif(not (SHARED / "gtzan_audio").is_dir(), reason="GTZAN's own audio is not here")
def test_gtzans_own_short_tracks(tmp_path: Path) -> None:
    """381 tracks, most of them of two to three seconds: with all 15 chunks nearly all are too short."""
    with pytest.raises(RejectedError, match=r"3\d\d of 381 tracks cannot be used"):
        build(SHARED / "gtzan_audio", tmp_path / "out", chunks_per_track=15, workers=2)
    result = build(SHARED / "gtzan_audio", tmp_path / "out", chunks_per_track=15, min_chunks=1, workers=2)
    assert result.rejected == ()
    assert problems(tmp_path / "out") == []
    lengths = {len(track["start_samples"]) for track in json_lines(next((tmp_path / "out").glob("tracks-*.jsonl")))}
    assert min(lengths) <= 3
    assert max(lengths) == 15
