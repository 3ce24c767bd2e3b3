"""The output folder: whole or without a dataset, whatever happens to a run; and nothing else in it is touched."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from beam_pipeline import run_pipeline
from beam_pipeline.write.output_folder import staging_folder
from tests.conftest import GENRES, REPOSITORY
from tests.helpers import WriteCorpus, build, digests, lines_of, run_main
from tests.waiting import end_of, wait_until
from tfrecords.dataset.folder import read_dataset
from tfrecords.dataset.manifest import DatasetError
from tfrecords.errors import UsageError

PROGRESS = ".beam-pipeline-staging/*/beam-pipeline-*/progress/*"


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
    assert len(list(output.glob("*.tfrecord"))) == 2
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
    with staging_folder(str(output)), pytest.raises(UsageError, match="another run is writing to"):
        build(corpus, output)
    build(corpus, output)


def start_long_run(corpus: Path, output: Path, *options: str) -> "subprocess.Popen[str]":
    """A run of two workers that has begun to decode, in its own process group, and has seconds to go."""
    for genre in GENRES:
        source = corpus / "genres" / genre / f"{genre}.00000.wav"
        for number in range(1000):
            os.link(source, source.with_name(f"copy.{number:05d}.wav"))
    command: list[str | Path] = [sys.executable, REPOSITORY / "run_pipeline.py", "--input", corpus, "--output", output]
    process = subprocess.Popen(
        [*command, "--workers", "2", "--chunks-per-track", "4", *options],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_until(
        lambda: any(path.stat().st_size for path in output.glob(".beam-pipeline-staging/*/beam-pipeline-*/progress/*")), process
    )
    return process


def test_ctrl_c_ends_a_run_cleanly(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus = write_corpus()
    process = start_long_run(corpus, tmp_path / "out")
    os.killpg(process.pid, signal.SIGINT)
    _, error = end_of(process)
    assert process.returncode == 130
    assert lines_of(error) == ["run_pipeline.py: interrupted; no dataset was written"]
    # A worker may still have written to the staging folder while it was removed; the next run does not mind.
    assert {path.name for path in (tmp_path / "out").iterdir()} <= {".beam-pipeline-staging", "features"}
    for copy in corpus.rglob("copy.*.wav"):
        copy.unlink()
    build(corpus, tmp_path / "out")


def test_what_workers_of_a_run_that_was_given_up_still_write_does_not_reach_the_next(tmp_path: Path) -> None:
    with staging_folder(str(tmp_path / "out")) as given_up:
        pass
    with staging_folder(str(tmp_path / "out")) as staging:
        assert staging != given_up
        assert not list(Path(staging).iterdir())


def test_a_worker_that_is_killed_is_replaced(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus = write_corpus()
    process = start_long_run(corpus, tmp_path / "out", "--duplicates", "drop")
    worker = int(next((tmp_path / "out").glob(PROGRESS)).name)
    os.kill(worker, signal.SIGKILL)
    end_of(process)
    assert process.returncode == 0
    build(corpus, tmp_path / "undisturbed", duplicates="drop", workers=2)
    assert digests(tmp_path / "out") == digests(tmp_path / "undisturbed")


@pytest.mark.parametrize("moment", ["beam-pipeline-*/progress/*", "work/*.tfrecord.*"])
def test_a_run_that_is_killed_leaves_no_dataset_and_the_next_one_cleans_up(
    write_corpus: WriteCorpus, tmp_path: Path, moment: str
) -> None:
    """Killed with all of its processes, while tracks are decoded or while shards are written."""
    corpus, output = write_corpus(), tmp_path / "out"
    process = start_long_run(corpus, output, "--num-shards", "300")
    wait_until(lambda: any(output.glob(f".beam-pipeline-staging/*/{moment}")), process)
    os.killpg(process.pid, signal.SIGKILL)
    end_of(process)
    with pytest.raises(DatasetError, match=r"it has no dataset\.json"):
        read_dataset(output)
    for copy in corpus.rglob("copy.*.wav"):
        copy.unlink()
    build(corpus, output)
    build(corpus, tmp_path / "undisturbed")
    assert digests(output) == digests(tmp_path / "undisturbed")


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
