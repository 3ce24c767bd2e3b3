"""What the pipeline says of tracks, folders and options that it cannot use."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from apache_beam.runners.runner import PipelineRunner

from beam_pipeline import run_pipeline
from beam_pipeline.options import MaxRejected
from beam_pipeline.write.refusal import RejectedError
from tests.conftest import SAMPLE_RATE
from tests.helpers import WriteCorpus, build, json_lines, run_main
from tfrecords.dataset.folder import read_dataset

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
    assert {path.name for path in output.iterdir()} == {"rejected.jsonl", "features"}
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


@pytest.mark.parametrize(
    ("folders", "options", "message"),
    [
        (None, [], "there is no folder"),
        ([], [], "holds no tracks"),
        (["one"], [], "holds one label alone, 'one'"),
        (["one", "two"], ["--split", "herbert"], "a list of GTZAN's tracks"),
        (["one", "two"], ["--test-fraction", "1.5"], "must lie between 0 and 1"),
        (["one", "two"], ["--sed", "5"], "unrecognized arguments: --sed 5; did you mean --seed?"),
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


def test_a_runner_that_is_gone_is_one_line_that_says_something(
    write_corpus: WriteCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Gone(PipelineRunner):
        def run_pipeline(self, pipeline: Any, options: Any) -> Any:
            raise RuntimeError('<RPC that terminated with:\n\tstatus = UNAVAILABLE\n\tdetails = "Socket closed"\n>')

    monkeypatch.setattr("beam_pipeline.runners.choice.create_runner", lambda _name: Gone())
    status, error = run_main("--input", write_corpus(), "--output", tmp_path / "out", "--runner", "FlinkRunner", capsys=capsys)
    assert (status, error) == (1, 'run_pipeline.py: the pipeline failed: details = "Socket closed" (-v shows all)')
