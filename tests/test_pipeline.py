"""Real runs of the pipeline: the same bytes however it is run, and every kind of bad input."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import run_pipeline
from beam_pipeline.build_dataset import BuildResult, RejectedError, build_dataset
from beam_pipeline.demo_corpus import N_DEMO_TRACKS, STYLES, synthesise, write_demo_track
from beam_pipeline.options import BuildOptions, MaxRejected
from beam_pipeline.output_folder import staging_folder
from tests.conftest import GENRES, REPOSITORY, SAMPLE_RATE
from tfrecords.errors import UsageError
from tfrecords.framing import read_records
from tfrecords.manifest import read_dataset, read_manifest
from tfrecords.schema import Record, decode
from tfrecords.stable_hash import stable_hash

WriteCorpus = Callable[..., Path]


def build(corpus: Path, output: Path, **options: Any) -> BuildResult:
    return build_dataset(BuildOptions(input=corpus, output=output, **{"chunks_per_track": 4, "workers": 1} | options))


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def records_of(folder: Path, split: str) -> list[Record]:
    manifest = read_dataset(folder)
    records = []
    for shard in manifest.shards_of(split):
        with (folder / shard.name).open("rb") as file:
            records += [decode(serialized, shape=manifest.spec.shape) for serialized in read_records(file, name=shard.name)]
    return records


def json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def run_main(*arguments: str | Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit status of the command line, and what it wrote to standard error besides progress."""
    status = run_pipeline.main([*map(str, arguments), "--workers", "1", "--chunks-per-track", "4"])
    return status, "\n".join(
        line for line in capsys.readouterr().err.replace("\r", "\n").splitlines() if line and "track/s" not in line
    )


def test_what_a_dataset_holds(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    result = build(write_corpus(n_tracks=4), tmp_path / "out", num_shards=2)
    manifest = read_dataset(tmp_path / "out")
    assert manifest == result.manifest
    assert manifest.genres == GENRES
    assert {split: (one.n_tracks, one.n_records) for split, one in manifest.splits.items()} == {"train": (9, 36), "test": (3, 12)}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "dataset.json",
        "rejected.jsonl",
        *(f"test-0000{number}-of-00002.tfrecord" for number in (0, 1)),
        "tracks.jsonl",
        *(f"train-0000{number}-of-00002.tfrecord" for number in (0, 1)),
    ]
    tracks = {track["track_id"]: track for track in json_lines(tmp_path / "out" / "tracks.jsonl")}
    assert list(tracks) == sorted(tracks)
    assert hashlib.sha256((tmp_path / "out" / "tracks.jsonl").read_bytes()).hexdigest() == manifest.tracks_sha256
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
        assert manifest.splits[split].statistics["mean"] == pytest.approx(values.mean(), abs=1e-9)
        assert manifest.splits[split].statistics["max"] == values.max()
        order = [stable_hash("order", 0, record.track_id, record.chunk_index) for record in records]
        assert order == sorted(order)
    assert result.counters["tracks_read"] == 12
    assert result.counters["chunks_made"] == 48


def test_one_and_two_processes_write_the_same_bytes(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus = write_corpus(n_tracks=6)
    one = build(corpus, tmp_path / "one", workers=1)
    two = build(corpus, tmp_path / "two", workers=2)
    assert len(one.tracks_by_process) == 1
    assert str(os.getpid()) in one.tracks_by_process
    assert len(two.tracks_by_process) == 2
    assert min(two.tracks_by_process.values()) > 0
    assert sum(two.tracks_by_process.values()) == 18
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert one.manifest.fingerprint == two.manifest.fingerprint


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
    np.testing.assert_allclose(manifest.standardization["mean"], values.mean(axis=axis, keepdims=True)[0], atol=1e-9)


def test_stereo_and_other_rates_are_read(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus = write_corpus(n_tracks=3)
    path = corpus / "genres" / "hum" / "hum.00000.wav"
    samples, _ = soundfile.read(path)
    soundfile.write(path, np.stack([samples, samples], axis=1), 44100)  # half as long, and an octave higher
    result = build(corpus, tmp_path / "out", chunks_per_track=1)
    assert not result.rejected
    track = next(track for track in json_lines(tmp_path / "out" / "tracks.jsonl") if track["track_id"] == "hum.00000")
    assert track["n_samples"] == 3 * SAMPLE_RATE / 2


BAD_TRACKS = {
    "garbage": (b"RIFF and then nothing", "does not decode"),
    "empty": (b"", "the file is empty"),
    "short": (np.zeros(40000, np.float32), "too short: 1.81 s hold 2 candidate chunks of the 4 asked for, which need 2.32 s"),
    "nan": (np.full(SAMPLE_RATE * 3, np.nan, np.float32), "holds samples that are NaN or infinite"),
    "no-samples": (np.zeros(0, np.float32), "holds no samples"),
    "overflow": (np.full(SAMPLE_RATE * 3, 3e38, np.float32), "holds samples beyond"),
}


def write_bad_track(path: Path, content: Any) -> None:
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        soundfile.write(path, content, SAMPLE_RATE, subtype="FLOAT")


def test_bad_tracks_are_left_out_and_listed(
    write_corpus: WriteCorpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = write_corpus(n_tracks=6)
    for name, (content, _) in BAD_TRACKS.items():
        write_bad_track(corpus / "genres" / "hum" / f"bad-{name}.wav", content)
    os.symlink("/nowhere/at/all", corpus / "genres" / "hum" / "bad-link.wav")
    os.mkfifo(corpus / "genres" / "hum" / "bad-pipe.wav")
    reasons = {f"hum.bad-{name}": reason for name, (_, reason) in BAD_TRACKS.items()}
    reasons |= {"hum.bad-link": "No such file", "hum.bad-pipe": "is not a regular file"}
    output = tmp_path / "out"
    options = ["--input", str(corpus), "--output", str(output), "--chunks-per-track", "4", "--workers", "1"]
    assert run_pipeline.main([*options, "--max-rejected", "8"]) == 0
    rejected = {track["track_id"]: track["reason"] for track in json_lines(output / "rejected.jsonl")}
    assert set(rejected) == set(reasons)
    for track_id, reason in reasons.items():
        assert reason in rejected[track_id]
    screen = capsys.readouterr().out
    assert "Left out 8 track(s)" in screen
    assert all(f"hum/{track_id[4:]}.wav: {reason}" in screen for track_id, reason in rejected.items())
    manifest = read_dataset(output)
    assert sum(split.n_tracks for split in manifest.splits.values()) == 18


def test_too_many_rejected_tracks_fail_the_run(
    write_corpus: WriteCorpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = write_corpus()
    output = tmp_path / "out"
    for number in range(2):
        write_bad_track(corpus / "genres" / "noise" / f"bad-{number}.wav", b"x")
    status, error = run_main("--input", corpus, "--output", output, capsys=capsys)
    assert status == 1
    assert error == "run_pipeline.py: 2 of 14 tracks cannot be used, more than --max-rejected allows (1)"
    assert [path.name for path in output.iterdir()] == ["rejected.jsonl"]
    assert len(json_lines(output / "rejected.jsonl")) == 2
    # What a failed run leaves does not stand in the way of the next.
    assert run_main("--input", corpus, "--output", output, "--max-rejected", "20%", capsys=capsys)[0] == 0
    assert read_dataset(output)


def test_a_genre_without_a_usable_track_fails_the_run(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus = write_corpus()
    for path in (corpus / "genres" / "hum").iterdir():
        path.write_bytes(b"x")
    with pytest.raises(RejectedError, match="no track of genre 'hum' in split 'train' can be used"):
        build(corpus, tmp_path / "out", max_rejected=MaxRejected(tracks=4))
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_one_rejected_track_is_allowed_by_default() -> None:
    assert [MaxRejected().of(n_tracks) for n_tracks in (1, 99, 100, 199, 1000)] == [1, 1, 1, 1, 10]
    assert MaxRejected.parse("3").of(1000) == 3
    assert MaxRejected.parse("0").of(1000) == 0
    assert MaxRejected.parse("2.5%").of(1000) == 25
    assert [MaxRejected.parse(f"{percent}%").of(100) for percent in (29, 57)] == [29, 57]
    for text in ("", "-1", "1.5", "101%", "many", "%", "nan%"):
        with pytest.raises(ValueError, match=r".+"):
            MaxRejected.parse(text)


def test_an_output_that_exists_needs_overwrite(
    write_corpus: WriteCorpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus, output = write_corpus(), tmp_path / "out"
    build(corpus, output, num_shards=3)
    before = digests(output)
    status, error = run_main("--input", corpus, "--output", output, capsys=capsys)
    assert (status, error) == (2, f"run_pipeline.py: the output {output} exists; use --overwrite to replace it")
    assert digests(output) == before
    assert run_main("--input", corpus, "--output", output, "--num-shards", "1", "--overwrite", capsys=capsys)[0] == 0
    assert not list(output.glob("*-of-00003.tfrecord"))
    assert read_dataset(output)


@pytest.mark.parametrize("failure", [["--chunks-per-track", "1000"], ["--runner", "DirectRuner"], ["--test-fraction", "2"]])
def test_a_run_that_fails_leaves_the_dataset_that_it_was_to_replace(
    write_corpus: WriteCorpus, tmp_path: Path, failure: list[str]
) -> None:
    corpus, output = write_corpus(), tmp_path / "out"
    fingerprint = build(corpus, output).manifest.fingerprint
    options = ["--input", str(corpus), "--output", str(output), "--workers", "1", "--overwrite"]
    assert run_pipeline.main([*options, *failure]) in (1, 2)
    assert read_dataset(output).fingerprint == fingerprint


def test_tfrecords_of_unknown_origin_are_never_touched(
    write_corpus: WriteCorpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus, output = write_corpus(), tmp_path / "out"
    output.mkdir()
    (output / "train-00000-of-00010.tfrecord").write_bytes(b"somebody's own")
    status, error = run_main("--input", corpus, "--output", output, capsys=capsys)
    assert status == 2
    assert "holds TFRecords of unknown origin (train-00000-of-00010.tfrecord); use --overwrite to replace them" in error
    assert (output / "train-00000-of-00010.tfrecord").read_bytes() == b"somebody's own"


@pytest.mark.parametrize("name", ["file", "file/below", "/proc/nothing"])
def test_an_output_that_cannot_be_a_folder(
    write_corpus: WriteCorpus, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    status, error = run_main("--input", write_corpus(), "--output", tmp_path / name, capsys=capsys)
    assert status == 2
    assert re.fullmatch(r"run_pipeline\.py: the output .* cannot be .*", error)


def test_two_runs_do_not_write_to_one_output(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus, output = write_corpus(), tmp_path / "out"
    with staging_folder(output), pytest.raises(UsageError, match="another run is writing to"):
        build(corpus, output)
    build(corpus, output)


def start_long_run(corpus: Path, output: Path) -> "subprocess.Popen[str]":
    """A run of two workers that has begun to decode, in its own process group, and has seconds to go."""
    for genre in GENRES:
        source = corpus / "genres" / genre / f"{genre}.00000.wav"
        for number in range(1000):
            os.link(source, source.with_name(f"copy.{number:05d}.wav"))
    command: list[str | Path] = [sys.executable, REPOSITORY / "run_pipeline.py", "--input", corpus, "--output", output]
    process = subprocess.Popen(
        [*command, "--workers", "2", "--chunks-per-track", "4"], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size for path in output.glob(".beam-pipeline-staging/progress/*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def lines_of(error: str) -> list[str]:
    return [line for line in error.replace("\r", "\n").splitlines() if line and not line.startswith("Tracks:")]


def test_ctrl_c_ends_a_run_cleanly(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    process = start_long_run(write_corpus(), tmp_path / "out")
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert lines_of(error) == ["run_pipeline.py: interrupted; no dataset was written"]
    assert not list((tmp_path / "out").glob("*"))


def test_a_worker_that_dies_fails_the_run(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    process = start_long_run(write_corpus(), tmp_path / "out")
    worker = int(next((tmp_path / "out").glob(".beam-pipeline-staging/progress/*")).name)
    os.kill(worker, signal.SIGKILL)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 1
    (line,) = lines_of(error)
    assert line.startswith("run_pipeline.py: the pipeline failed: ")
    assert not list((tmp_path / "out").glob("*"))


def test_a_folder_of_other_files_is_never_touched(
    write_corpus: WriteCorpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus, output = write_corpus(), tmp_path / "thesis"
    output.mkdir()
    (output / "thesis.tex").write_text("years of work")
    status, error = run_main("--input", corpus, "--output", output, "--overwrite", capsys=capsys)
    assert status == 2
    assert "holds other files ('thesis.tex'); choose another one" in error
    assert (output / "thesis.tex").read_text() == "years of work"


def test_what_a_dead_run_left_is_cleaned_up(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus, output = write_corpus(), tmp_path / "out"
    (output / ".beam-pipeline-staging").mkdir(parents=True)
    (output / ".beam-pipeline-staging" / "train-00000-of-00001.tfrecord").write_bytes(b"half")
    (output / "train-00000-of-00009.tfrecord").write_bytes(b"moved, but never named by a dataset.json")
    build(corpus, output)
    assert not (output / ".beam-pipeline-staging").exists()
    assert not (output / "train-00000-of-00009.tfrecord").exists()


@pytest.mark.parametrize(
    ("folders", "options", "message"),
    [
        (None, [], "there is no folder"),
        ([], [], "holds no tracks"),
        (["one"], [], "holds one label alone, 'one'"),
        (["one", "two"], ["--split", "herbert"], "a list of GTZAN's tracks"),
        (["one", "two"], ["--test-fraction", "1.5"], "must lie between 0 and 1"),
        (["one", "two"], ["--sed", "5"], "unrecognized arguments: --sed 5"),
        (["one", "two"], ["--runner", "FlinkRuner"], "there is no runner 'FlinkRuner'"),
        (["one", "two"], ["--direct_num_workers", "2"], "--workers chooses the local processes"),
    ],
)
def test_unusable_input_is_one_line_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], folders: list[str] | None, options: list[str], message: str
) -> None:
    corpus, output = tmp_path / "corpus", tmp_path / "out"
    if folders is not None:
        corpus.mkdir()
        for folder in folders:
            (corpus / folder).mkdir()
            for number in range(2):
                (corpus / folder / f"{number}.wav").touch()
    status, error = run_main("--input", corpus, "--output", output, *options, capsys=capsys)
    assert status == 2
    assert error.startswith("run_pipeline.py: ")
    assert message in error
    assert len(error.splitlines()) == 1
    assert not output.exists()


@pytest.mark.parametrize(
    "options", [["--preset", "papre"], ["--chunks-per-track", "0"], ["--max-rejected", "lots"], ["--workers", "x"]]
)
def test_unusable_options_are_status_2(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run_pipeline.main(options)
    assert caught.value.code == 2
    assert options[0] in capsys.readouterr().err


def test_without_input_it_uses_the_demo_corpus_and_says_so(tmp_path: Path) -> None:
    """As a user types it, in an empty folder: quiet but for progress and summary, and marked as synthetic."""
    command: list[str | Path] = [sys.executable, REPOSITORY / "run_pipeline.py", "--runner", "DirectRunner"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "No --input and no data/gtzan: using the demo corpus in data/demo, ten synthetic genres, not music." in done.stdout
    assert "(SYNTHETIC)" in done.stdout
    assert "100/100" in done.stderr
    noise = [line for line in done.stderr.replace("\r", "\n").splitlines() if line and "track/s" not in line]
    assert noise == []
    manifest = read_manifest(tmp_path / "data" / "tfrecords")
    assert manifest.corpus.synthetic
    assert manifest.genres == tuple(sorted(STYLES))
    assert {split: one.n_tracks for split, one in manifest.splits.items()} == {"train": 70, "test": 30}
    tracks = sorted((tmp_path / "data" / "demo" / "genres").rglob("*.wav"))
    assert len({hashlib.sha256(path.read_bytes()).hexdigest() for path in tracks}) == N_DEMO_TRACKS == 100
    info = soundfile.info(tracks[0])
    assert (info.samplerate, info.channels, info.subtype, info.frames) == (SAMPLE_RATE, 1, "PCM_16", 30 * SAMPLE_RATE)
    # Made by another process, in another order: a track depends on seed, genre and number alone.
    write_demo_track(seed=0, genre="march", number=7, path=tmp_path / "again.wav")
    assert (tmp_path / "again.wav").read_bytes() == tracks[[path.name for path in tracks].index("march.00007.wav")].read_bytes()
    write_demo_track(seed=1, genre="march", number=7, path=tmp_path / "again.wav")
    assert (tmp_path / "again.wav").read_bytes() not in {path.read_bytes() for path in tracks}


def test_demo_tracks_are_audible_and_do_not_clip() -> None:
    for genre in STYLES:
        waveform = synthesise(genre, rng=np.random.default_rng(0), seconds=4.0)
        assert waveform.shape == (4 * SAMPLE_RATE,)
        assert 0.03 < np.sqrt(np.mean(waveform.astype(np.float64) ** 2)) < 0.2
        assert np.mean(np.abs(waveform) == 1.0) < 1e-3
