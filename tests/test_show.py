"""`tfrecords.show`: the numbers on the screen, and the page of spectrograms."""

import dataclasses
import io
import re
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from tests.html_page import Page
from tests.tiny_dataset import GENRES, SPEC, TinyDataset
from tfrecords import show
from tfrecords.display.spectrogram_picture import SpectrogramAxes
from tfrecords.front_end.augmentation import AUGMENTATIONS
from tfrecords.front_end.log_mel_spec import PRESETS
from tfrecords.front_end.mel_filter_bank import mel_filter_bank
from tfrecords.records.sampling import sample_tracks


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TinyDataset:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return TinyDataset(tmp_path / "tiny", chunks=6)


def test_the_screen_tells_what_there_is(tiny: TinyDataset, capsys: pytest.CaptureFixture[str]) -> None:
    assert show.main([str(tiny.folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "tiny (SYNTHETIC)"
    assert "       train tracks  train records  validation tracks  validation records  test tracks  test records" in lines
    for genre, n_tracks in (*((genre, 2) for genre in GENRES), ("all", 6)):
        assert f"{genre} {n_tracks} {n_tracks * 6} {n_tracks} {n_tracks * 6} {n_tracks} {n_tracks * 6}" in [
            " ".join(line.split()) for line in lines
        ]
    statistics = tiny.manifest.splits["test"].statistics
    assert any(line.split() == ["test", *(f"{statistics[key]:.2f}" for key in ("mean", "std", "min", "max"))] for line in lines)
    assert "split           kfold-1/4" in lines
    assert lines[-1] == "Page  tiny.html"


def test_the_page_shows_chunks_of_each_genre_and_stands_alone(tiny: TinyDataset) -> None:
    assert show.main([str(tiny.folder), "--tracks", "4"]) == 0
    page = Page(Path("tiny.html"))
    assert page.loads == []
    chunks = [title for title in page.pictures if title.startswith("Log-mel spectrogram of ")]
    for genre in GENRES:
        assert sum(f" {genre}." in title for title in chunks) == 4 * 4
        assert genre in page.text
    assert "tiny (SYNTHETIC)" in page.text
    assert "Synthetic audio." in page.text


def test_a_corpus_that_is_not_synthetic_is_not_called_so(tiny: TinyDataset) -> None:
    tiny.write(corpus=dataclasses.replace(tiny.manifest.corpus, synthetic=False))
    assert show.main([str(tiny.folder), "--output", "page.html"]) == 0
    assert "synthetic" not in Page(Path("page.html")).text.lower()


def test_pictures_have_low_bands_below_and_share_their_colours(tiny: TinyDataset) -> None:
    """Each band and frame is a colour further; and all chunks have the same values but one, which is silent."""
    values = np.linspace(0, 1, 35, dtype=np.float32).reshape(SPEC.shape)
    for name in tiny.shards:
        for index, record in enumerate(tiny.shards[name]):
            tiny.shards[name][index] = dataclasses.replace(record, log_mel=values)
    silent = tiny.shards["train-00000-of-00002.tfrecord"][0]
    tiny.replace_record("train-00000-of-00002.tfrecord", 0, log_mel=np.full_like(values, -9.0))
    assert show.main([str(tiny.folder), "--tracks", "9"]) == 0
    pictures = Page(Path("tiny.html")).pictures
    colours = matplotlib.colormaps["magma"]
    for title, png in pictures.items():
        if not title.startswith("Log-mel spectrogram of "):
            continue
        pixels = matplotlib.image.imread(io.BytesIO(png))  # (n_mels, n_frames, 4), the top row first
        assert pixels.shape == (*SPEC.shape, 4)
        if title == f"Log-mel spectrogram of {silent.track_id} at {silent.start_sample / SPEC.sample_rate:.2f} s":
            np.testing.assert_allclose(pixels, np.broadcast_to(colours(0.0), pixels.shape), atol=0.01)
        else:
            np.testing.assert_allclose(pixels[-1, 0], colours(0.9), atol=0.11)
            assert pixels[0, -1, :3].sum() > pixels[-1, 0, :3].sum()


def test_names_cannot_become_markup(tiny: TinyDataset) -> None:
    tiny.tracks[0]["track_id"] = "<script>alert(1)</script>"
    for name in tiny.shards:
        for index, record in enumerate(tiny.shards[name]):
            if record.track_id == "blues.00000":
                tiny.replace_record(name, index, track_id="<script>alert(1)</script>")
    assert show.main([str(tiny.folder), "--tracks", "6"]) == 0
    page = Page(Path("tiny.html"))
    assert page.loads == []
    assert "<script>alert(1)</script>" in page.text


def test_names_that_are_no_unicode_are_shown(tiny: TinyDataset, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.write(genres=(*GENRES, "\udcff"))
    assert show.main([str(tiny.folder)]) == 0
    assert "\\udcff" in capsys.readouterr().out
    assert "\\udcff" in Page(Path("tiny.html")).text


def test_deformed_chunks_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    TinyDataset(tmp_path / "tiny", augmentation=AUGMENTATIONS["stretch-pitch"])
    assert show.main([str(tmp_path / "tiny"), "--output", "page.html"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("of each train track 24 chunks more, 3 each of stretch-0.2, stretch-0.5" in line for line in lines)
    assert "all 6 162 6 18 6 18" in [" ".join(line.split()) for line in lines]
    shown = [title for title in Page(Path("page.html")).pictures if title.startswith("Log-mel spectrogram of blues.00000 at ")]
    assert any(title.endswith(tuple(f" s of {name}" for name in AUGMENTATIONS["stretch-pitch"].names)) for title in shown)
    assert "or in the\ndeformed track" in Page(Path("page.html")).text


def test_splits_share_the_tracks_of_a_genre(tiny: TinyDataset) -> None:
    for n_tracks, expected in ((1, [1, 0, 0]), (2, [1, 1, 0]), (5, [2, 2, 1]), (100, [2, 2, 2])):
        sampled = sample_tracks(tiny.folder, tiny.manifest, n_tracks=n_tracks, n_chunks=3)
        assert set(sampled) == set(GENRES)
        for tracks in sampled.values():
            counts = [sum(track.split == split for track in tracks) for split in ("train", "validation", "test")]
            assert counts == expected
            for track in tracks:
                starts = [record.start_sample for record in track.records]
                assert len(set(starts)) == 3
                assert starts == sorted(starts)
                assert {record.track_id for record in track.records} == {track.track_id}


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_ticks_stand_where_the_front_end_puts_the_sound(preset: str) -> None:
    spec = PRESETS[preset]
    bank = mel_filter_bank(spec)
    axes = SpectrogramAxes(spec)
    assert len(axes.bands) >= 5
    for tick in axes.bands:
        hz = float(tick.label.replace("k", "000"))
        strongest = int(np.argmax(bank[:, round(hz * spec.n_fft / spec.sample_rate)]))
        assert tick.place * spec.n_mels - 0.5 == pytest.approx(strongest, abs=1.5)
    for tick in axes.times:
        first = float(tick.label) * spec.sample_rate - (0 if spec.centered else spec.n_fft / 2)
        assert tick.place * spec.n_frames - 0.5 == pytest.approx(first / spec.hop_length)
        assert tick.place <= spec.n_real_frames / spec.n_frames


def test_what_cannot_be_shown_is_one_line(tiny: TinyDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = {
        ("none",): "there is no dataset in none",
        (str(tiny.folder), "--output", str(tiny.folder / "page.html")): "would lie in the dataset's folder; choose another",
        (str(tiny.folder), "--output", "no/page.html"): "cannot be written: there is no no",
        (str(tiny.folder), "--output", str(tmp_path)): "cannot be written: it is a folder",
    }
    for arguments, message in cases.items():
        assert show.main(list(arguments)) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("show: ")
        assert message in line
    data = tiny.bytes_of("train-00000-of-00002.tfrecord")
    data[30] ^= 1
    tiny.edit("train-00000-of-00002.tfrecord", data)
    assert show.main([str(tiny.folder)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(
        r"show: train-00000-of-00002\.tfrecord: damaged record at byte 0; see .* -m tfrecords\.verify .*/tiny", line
    )
    assert not list(Path.cwd().iterdir())


@pytest.mark.parametrize("package", ["matplotlib", "jinja2"])
def test_without_the_extra_there_is_no_page(
    tiny: TinyDataset, package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in ("dataset_page", "pages", "spectrogram_picture"):
        monkeypatch.delitem(sys.modules, f"tfrecords.display.{module}", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    assert show.main([str(tiny.folder)]) == 2
    out, err = capsys.readouterr()
    assert "tiny (SYNTHETIC)" in out
    assert err == f"show: this needs {package}, which the extra 'train' brings: pip install '.[train]'\n"
