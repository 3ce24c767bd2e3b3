"""Corpora as they are: what `run_pipeline.py` says of them. docs/corpora.md quotes every line that is asked for here."""

import os
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from beam_pipeline import run_pipeline
from tests.conftest import GENRES, REPOSITORY, SAMPLE_RATE, synthetic_track
from tests.helpers import WriteCorpus, build, json_lines, tracks_of
from tests.tiny_dataset import problems

DOCS = (REPOSITORY / "docs" / "corpora.md").read_text(encoding="utf-8")


def said(line: str, screen: str) -> None:
    """Checks that a line is on the screen and, but for where things lie, in the docs."""
    assert line in screen
    assert line in DOCS, f"docs/corpora.md does not have: {line}"


@pytest.fixture
def corpus(write_corpus: WriteCorpus) -> Path:
    return write_corpus("music", n_tracks=8, parent=".")


@pytest.fixture
def run(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs the pipeline on the corpus: its exit status and what it wrote, the corpus being called music/, the output out/."""

    def run_it(*options: str) -> tuple[int, str]:
        arguments = ["--input", str(corpus), "--output", str(tmp_path / "out"), "--workers", "1", "--chunks-per-track", "4"]
        capsys.readouterr()
        status = run_pipeline.main([*arguments, *options])
        captured = capsys.readouterr()
        return status, (captured.out + captured.err).replace(f"{tmp_path}/", "")

    return run_it


def write(path: Path, seconds: float, *, number: int = 50) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, synthetic_track("hum", number, seconds=seconds), SAMPLE_RATE, subtype="PCM_16")


def test_short_tracks(corpus: Path, run: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    for genre in GENRES:
        for number in range(5):
            write(corpus / genre / f"short.{number}.wav", 1.0 + 0.2 * number, number=100 * GENRES.index(genre) + number)
    status, screen = run()
    assert status == 1
    said(
        "hum/short.1.wav: too short: 1.20 s hold 1 candidate chunks of the 4 asked for, which need 2.32 s; "
        "--min-chunks takes shorter ones",
        screen,
    )
    said("15 of 39 tracks cannot be used, more than --max-rejected allows (1)", screen)
    assert run("--min-chunks", "1")[0] == 0
    assert {len(track["start_samples"]) for track in tracks_of(tmp_path / "out")} == {1, 2, 4}
    assert problems(tmp_path / "out") == []


def test_splits_above_genres(corpus: Path, run: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    (tmp_path / "music2").mkdir()
    corpus.rename(tmp_path / "music2" / "train")
    (tmp_path / "music2").rename(corpus)
    for genre in GENRES:
        (corpus / "test" / genre).mkdir(parents=True)
        (corpus / "train" / genre / f"{genre}.00000.wav").rename(corpus / "test" / genre / f"{genre}.00000.wav")
    status, screen = run()
    assert status == 2
    said(
        "music holds the folders 'test', 'train', named as splits are, and 'hum', 'noise', 'ticks' in each: "
        "--genre-level 2 takes these for the genres and splits anew, a catalogue (--tracks) keeps the splits",
        screen,
    )
    assert run("--genre-level", "2")[0] == 0
    rows = [f"{path.relative_to(corpus)},{path.parent.name},{path.parent.parent.name}" for path in corpus.rglob("*.wav")]
    (corpus / "tracks.csv").write_text("\n".join(["path,label,split", *rows]))
    assert run("--tracks", str(corpus / "tracks.csv"), "--overwrite")[0] == 0
    assert all(track["path"].startswith(track["split"]) for track in tracks_of(tmp_path / "out"))


def test_two_corpora_side_by_side(corpus: Path, run: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    (tmp_path / "music2").mkdir()
    corpus.rename(tmp_path / "music2" / "ours")
    (tmp_path / "music2").rename(corpus)
    for genre in GENRES:
        write(corpus / "theirs" / genre / "a.wav", 3.0, number=GENRES.index(genre))
    status, screen = run()
    assert status == 2
    said(
        "music holds the folders 'ours', 'theirs', and 'hum', 'noise', 'ticks' in each: --genre-level 2 takes the "
        "latter for the genres, --genre-level 1 the former",
        screen,
    )
    assert run("--genre-level", "2")[0] == 0


def test_tracks_that_are_there_twice(corpus: Path, run: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    for number in range(3):
        shutil.copy(corpus / "hum" / f"hum.{number:05d}.wav", corpus / "hum" / f"copy.{number}.wav")
    samples, rate = soundfile.read(corpus / "noise" / "noise.00001.wav", dtype="int16")
    soundfile.write(corpus / "ticks" / "noise.flac", samples, rate)
    status, screen = run()
    assert status == 0
    said("Duplicates 4 track(s) hold the audio of others (4 kept), listed in out/duplicates.jsonl", screen)
    assert len(tracks_of(tmp_path / "out")) == 28
    assert problems(tmp_path / "out") == []
    status, screen = run("--duplicates", "drop", "--overwrite")
    assert status == 0
    said("Duplicates 4 track(s) hold the audio of others (4 left out), listed in out/duplicates.jsonl", screen)
    assert len(tracks_of(tmp_path / "out")) == 24
    status, screen = run("--duplicates", "fail", "--overwrite")
    assert status == 1
    said(
        "4 track(s) hold the audio of others, listed in duplicates.jsonl: hum/copy.0.wav repeats hum/hum.00000.wav; "
        "hum/copy.1.wav repeats hum/hum.00001.wav; hum/copy.2.wav repeats hum/hum.00002.wav; and 1 more",
        screen,
    )
    assert len(tracks_of(tmp_path / "out")) == 24, "the dataset before is still there"


def test_files_that_are_no_audio(corpus: Path, run: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    (corpus / "hum" / "empty.wav").touch()
    (corpus / "hum" / "page.mp3").write_text("<html>404 Not Found</html>")
    (corpus / "hum" / "gone.wav").symlink_to("/nowhere/at/all.wav")
    os.mkfifo(corpus / "hum" / "pipe.wav")
    soundfile.write(corpus / "hum" / "nan.wav", np.full(70_000, np.nan, np.float32), SAMPLE_RATE, subtype="FLOAT")
    status, screen = run()
    assert status == 1
    for line in (
        "hum/empty.wav: the file is empty",
        "hum/page.mp3: does not decode: Format not recognised.",
        "hum/gone.wav: cannot be read: No such file or directory",
        "hum/pipe.wav: is not a regular file",
        "hum/nan.wav: holds samples that are NaN or infinite",
        "5 of 29 tracks cannot be used, more than --max-rejected allows (1)",
    ):
        said(line, screen)
    status, screen = run("--max-rejected", "5")
    assert status == 0
    said("Left out 5 track(s)", screen)
    assert len(tracks_of(tmp_path / "out")) == 24


def test_a_file_that_was_cut_off(corpus: Path, run: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    path = corpus / "hum" / "hum.00001.wav"
    path.write_bytes(path.read_bytes()[: 44 + 2 * 60_000])
    assert run()[0] == 0
    (cut,) = (track for track in tracks_of(tmp_path / "out") if "announced_samples" in track)
    assert (cut["path"], cut["n_samples"], cut["announced_samples"]) == ("hum/hum.00001.wav", 60_000, 66_150)
    assert '"n_samples": 60000' in DOCS
    assert '"announced_samples": 66150' in DOCS


def test_tags_and_bytes_around_the_audio(corpus: Path, run: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    """They change nothing of what is heard."""
    assert run()[0] == 0
    before = {track["track_id"]: track["audio_blake3"] for track in tracks_of(tmp_path / "out")}
    wav, flac = corpus / "hum" / "hum.00001.wav", corpus / "hum" / "hum.00002.wav"
    size = 50_000
    tag = b"ID3\x03\x00\x00" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + bytes(size)
    wav.write_bytes(tag + wav.read_bytes())
    samples, rate = soundfile.read(flac, dtype="int16")
    flac.unlink()
    soundfile.write(flac.with_suffix(".flac"), samples, rate)
    flac.with_suffix(".flac").write_bytes(flac.with_suffix(".flac").read_bytes() + b"x")
    assert run("--overwrite")[0] == 0
    assert {track["track_id"]: track["audio_blake3"] for track in tracks_of(tmp_path / "out")} == before


def test_a_header_that_lies(corpus: Path, run: Callable[..., tuple[int, str]]) -> None:
    """A FLAC of three seconds that announces 21 GiB of samples."""
    path = corpus / "hum" / "lie.flac"
    soundfile.write(path, synthetic_track("hum", 50, seconds=3.0), SAMPLE_RATE)
    data = bytearray(path.read_bytes())
    n_samples = 21 * 2**30 // 2
    data[21] = data[21] & 0xF0 | n_samples >> 32  # STREAMINFO has their number in 36 bits
    data[22:26] = struct.pack(">I", n_samples & 0xFFFFFFFF)
    path.write_bytes(data)
    status, screen = run()
    assert status == 0
    said("hum/lie.flac: is too long: 142.0 hours, expected 24 at most", screen)


def test_a_long_track_among_short_ones(corpus: Path, run: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    """An hour and a half."""
    rng = np.random.default_rng(0)
    with soundfile.SoundFile(corpus / "hum" / "mix.flac", "w", SAMPLE_RATE, 1) as file:
        for _ in range(90):
            file.write((rng.integers(-3, 4, 60 * SAMPLE_RATE)).astype(np.int16))
    assert run()[0] == 0
    (mix,) = (track for track in tracks_of(tmp_path / "out") if track["path"] == "hum/mix.flac")
    assert mix["n_samples"] == 90 * 60 * SAMPLE_RATE


def test_names(corpus: Path, run: Callable[..., tuple[int, str]]) -> None:
    soundfile.write(corpus / "hum" / "hum.00001.mp3", synthetic_track("hum", 50, seconds=3.0), SAMPLE_RATE)
    status, screen = run()
    assert status == 2
    said(
        "music holds 1 track(s) more than once, for instance hum/hum.00001.mp3 and hum/hum.00001.wav are both "
        "'hum.00001'; keep one of each",
        screen,
    )
    (corpus / "hum" / "hum.00001.mp3").rename(corpus / "hum" / "a\nb.mp3")
    status, screen = run()
    assert status == 2
    said("music holds a file whose name has control characters or is not UTF-8: 'hum/a\\nb.mp3'; rename it", screen)


def test_formats_that_need_more(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (corpus / "hum" / "song.m4a").write_bytes(struct.pack(">I4s4s", 28, b"ftyp", b"M4A ") + bytes(100))
    monkeypatch.setattr("tfrecords.audio.formats.has_pyav", lambda: False)
    build(corpus, tmp_path / "out", workers=0)
    (rejected,) = json_lines(tmp_path / "out" / "rejected.jsonl")
    line = "hum/song.m4a: is MP4 or M4A (AAC or ALAC), which this machine cannot decode (it needs PyAV: pip install av)"
    said(line, f"{rejected['path']}: {rejected['reason']}")


def test_scenarios_are_all_told() -> None:
    assert len(re.findall(r"^## ", DOCS, re.MULTILINE)) >= 10
