"""The page on which songs are heard: what it shows of a song, and the page itself in a browser."""

import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from keras_model import app
from keras_model.page.heard import Heard, hear
from keras_model.page.model import Model, taken_for
from keras_model.page.picture import Picture
from keras_model.prediction.files import AudioFile
from tests.browser import CHROMIUM, browser
from tests.conftest import GENRES, SAMPLE_RATE, tone
from tests.predicting import SamePredictor, write_song
from tfrecords.errors import UsageError
from tfrecords.front_end.log_mel_spec import PRESETS

PAPER = PRESETS["paper"]


def heard(path: Path, preset: str = "paper") -> Heard:
    return hear(AudioFile(name=str(path)), SamePredictor(spec=PRESETS[preset]))


@pytest.mark.parametrize("preset", PRESETS)
def test_the_spectrogram_of_a_steady_tone_is_steady(preset: str, tmp_path: Path) -> None:
    spec = PRESETS[preset]
    soundfile.write(tmp_path / "tone.wav", tone(1000, seconds=4.0), SAMPLE_RATE)
    result = heard(tmp_path / "tone.wav", preset)
    n_expected = (result.end_seconds * spec.sample_rate - spec.n_fft * (not spec.centered)) / spec.hop_length
    assert result.spectrogram.shape[1] == spec.n_mels
    assert abs(len(result.spectrogram) - n_expected) <= 1 + result.prediction.n_chunks / 2
    loudest = result.spectrogram.max(axis=1)[4:-4]  # the first and last frames look into padding
    assert np.ptp(loudest) < 0.05
    assert len(set(result.spectrogram.argmax(axis=1).tolist())) == 1


def test_a_chunk_sounds_as_the_network_heard_it(tmp_path: Path) -> None:
    result = heard(write_song(tmp_path / "song.wav"))
    song, _ = soundfile.read(tmp_path / "song.wav", dtype="int16")
    for chunk in (0, 3, 4):
        sound, sample_rate = soundfile.read(io.BytesIO(result.wav(chunk)), dtype="int16")
        begin, end = result.stretch(chunk)
        assert sample_rate == SAMPLE_RATE
        assert sound.tolist() == song[round(begin * SAMPLE_RATE) : round(end * SAMPLE_RATE)].tolist()
        assert result.chunk_at((begin + end) / 2) == chunk
    assert (result.chunk_at(0.0), result.chunk_at(9.0)) == (0, 4)


def test_a_pixel_of_the_picture_is_a_time_of_the_song(tmp_path: Path) -> None:
    result = heard(write_song(tmp_path / "song.wav"))
    picture = Picture.of(result)
    height, width, _ = picture.pixels.shape
    assert 0 < picture.left < picture.right <= width
    assert 0 <= picture.top < picture.bottom < height
    assert [picture.seconds_at(x) for x in (0, picture.left, picture.right, width)] == [0.0, 0.0, 3.0, 3.0]
    changed = (picture.marked(1.0, 2.0) != picture.pixels).any(axis=(0, 2)).nonzero()[0]
    assert {round(picture.seconds_at(x), 1) for x in changed} == {1.0, 2.0}


def test_a_click_on_a_song_that_is_gone(tmp_path: Path) -> None:
    from keras_model.page import layout  # Gradio

    song = write_song(tmp_path / "song.wav")
    result = heard(song)
    event: Any = SimpleNamespace(index=(5, 5))
    state = result, Picture.of(result)
    assert layout._choose(None, 3) == layout._click(None, event) == layout._NOTHING_TO_HEAR
    assert "Chunk 5:" in layout._choose(state, 63)[2]  # of the longer song before
    soundfile.write(song, tone(1000, seconds=1.0), SAMPLE_RATE)
    assert layout._choose(state, 5)[2] == "<p>has changed since it was heard</p>"
    song.unlink()
    assert layout._choose(state, 5)[2] == "<p>No such file or directory</p>"


def test_what_was_taken_for_a_genre() -> None:
    confusion = [[5, 0, 0, 0, 1], [2, 0, 0, 0, 0], [3, 0, 0, 0, 4], [1, 0, 0, 0, 0], [1, 0, 9, 0, 4]]
    words = taken_for(confusion, "abcde")
    assert words == {"a": "5 a, 3 c, 2 b, 2 more", "b": "none", "c": "9 e", "d": "none", "e": "4 c, 4 e, 1 a"}


def test_without_the_extra_a_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "keras_model.page.layout", raising=False)
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.setattr("os.environ", {})
    assert app.main([]) == 2
    assert capsys.readouterr().err == "app: this needs gradio, which the extra 'app' brings: pip install '.[app]'\n"


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_the_page_in_a_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from keras_model.page.layout import build_page, serve

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"no audio")
    song = write_song(tmp_path / "song.wav")
    models = [
        Model(title="runs/one", predictor=SamePredictor(), tested=taken_for([[3, 0, 1], [0, 2, 2], [1, 0, 3]], GENRES)),
        Model(title="runs/two", predictor=SamePredictor((0.6, 0.1, 0.3), spec=PRESETS["full80"])),
    ]
    page = build_page(models)
    address = serve(page)
    assert address.startswith("http://127.0.0.1:")
    pictures = "[...document.images].filter(picture => picture.naturalWidth > 1000)"
    with browser(tmp_path) as tab:
        tab.show(address, width=1200)
        for file, sign in ((bad, "document.querySelectorAll('.failure').length == 2"), (song, f"{pictures}.length == 2")):
            tab.wait_for("document.querySelector('input[type=file]')")
            tab.choose_file(file)
            tab.wait_for(sign)
            if file == bad:
                failure = tab.ask("document.querySelector('.failure').innerText")
                assert failure == "bad.wav: does not decode: Format not recognised."
                tab.ask("document.querySelector('[aria-label=Clear]').click()")
        said = tab.ask("[...document.querySelectorAll('.answer')].map(answer => answer.innerText)")
        assert [f"song.wav: {genre}" in answer for genre, answer in zip(("noise 50.0%", "hum 60.0%"), said, strict=True)]
        assert ["2 noise" in answer for answer in said] == [True, False]
        tab.wait_for("document.querySelectorAll('audio[src^=data]').length == 2")
        for width, place, heard in ((1200, 0.97, "Chunk 5: 1.9 to 2.8 s"), (500, 0.5, "Chunk 3: 0.9 to 1.9 s")):
            tab.resize(width=width, height=2600)
            left, right = tab.ask(f"{pictures}.map(picture => picture.getBoundingClientRect().x)")
            assert (left < right) == (width == 1200), "side by side where there is room"
            assert tab.ask("document.documentElement.scrollWidth") <= width
            tab.click(f"{pictures}[0]", x=place, until=f"document.body.innerText.includes('{heard}')")
            tab.wait_for("document.querySelector('audio[src^=data]').played.length")
        requested = tab.requested
    with pytest.raises(UsageError, match=r"cannot be served at port \d+: taken, or not allowed"):
        serve(build_page([]), port=page.server_port)
    page.close(verbose=False)
    assert {url for url in requested if not url.startswith((address, "data:", f"blob:{address}"))} == set()
