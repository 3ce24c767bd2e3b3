"""Predictions as text and as pictures."""

import csv
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.image import imread

from keras_model.prediction import timeline
from keras_model.prediction.files import AudioFile, timeline_paths
from keras_model.prediction.output import BarWriter, CsvWriter
from keras_model.prediction.track import Prediction
from tests.conftest import GENRES
from tests.html_page import Page
from tfrecords.dataset.corpus import CorpusInfo
from tfrecords.errors import UsageError
from tfrecords.front_end.log_mel_spec import LogMelSpec


def prediction(rows: list[list[float]]) -> Prediction:
    starts = np.arange(0.0, 10.0 * len(rows), 10.0, dtype=np.float64)
    return prediction_of(np.array(rows, np.float32), starts)


def prediction_of(rows: np.ndarray, starts: np.ndarray) -> Prediction:
    return Prediction(genres=GENRES, chunk_probabilities=rows, chunk_start_seconds=starts, seconds=10.0 * len(rows))


# By summed probability "hum", by votes "noise".
SPLIT = [[0.9, 0.1, 0.0], [0.3, 0.5, 0.2], [0.4, 0.6, 0.0]]


def test_a_prediction_decides_by_sum_and_by_votes() -> None:
    found = prediction(SPLIT)
    assert (found.genre, found.genre_majority, found.n_chunks) == ("hum", "noise", 3)
    assert found.votes.tolist() == [1, 2, 0]
    assert found.probabilities.dtype == np.float64
    assert found.confidence == pytest.approx(1.6 / 3)
    assert [genre for genre, _ in found.ranked] == ["hum", "noise", "ticks"]
    assert list(found.to_dict()) == ["genre", "confidence", "genre_majority", "n_chunks", "seconds", "probabilities"]


def test_a_tie_of_votes_goes_to_the_higher_sum() -> None:
    assert prediction([[0.6, 0.4, 0.0], [0.1, 0.9, 0.0]]).genre_majority == "noise"


def test_shapes_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match=r"must have the shape \(n_chunks, n_genres\) = \(2, 3\), got \(4, 3\)"):
        prediction_of(np.zeros((4, 3), np.float32), np.zeros(2))


def test_bars_say_where_the_majority_votes_otherwise() -> None:
    stream = io.StringIO()
    BarWriter(stream=stream, program="x", top=1).write("a.wav", prediction(SPLIT))
    assert stream.getvalue() == f"a.wav: hum 53.3% (majority vote: noise)\n  hum    53.3% {'█' * 21}\n"


def test_bars_on_a_terminal_that_has_no_blocks() -> None:
    data = io.BytesIO()
    stream = io.TextIOWrapper(data, encoding="ascii")
    BarWriter(stream=stream, program="x", top=1).write("a.wav", prediction(SPLIT))
    assert data.getvalue().decode("ascii").endswith(f"  hum    53.3% {'#' * 21}\n")


def test_csv_that_learns_the_genres_from_the_first_prediction(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    writer = CsvWriter(stream=stream, program="x")
    writer.fail("a.wav", "is busy")
    assert stream.getvalue() == ""
    writer.write("b.wav", prediction(SPLIT))
    writer.fail("c.wav", "is gone")
    writer.close()
    rows = list(csv.reader(io.StringIO(stream.getvalue())))
    assert rows[0] == ["file", "genre", "confidence", "genre_majority", "n_chunks", "seconds", *GENRES, "error"]
    assert [row[0] for row in rows[1:]] == ["a.wav", "b.wav", "c.wav"]
    assert [row[-1] for row in rows[1:]] == ["is busy", "", "is gone"]
    assert {len(row) for row in rows} == {len(rows[0])}
    assert capsys.readouterr().err == "x: a.wav: is busy\nx: c.wav: is gone\n"


def test_csv_of_failures_alone() -> None:
    stream = io.StringIO()
    writer = CsvWriter(stream=stream, program="x")
    writer.fail("a.wav", "is busy")
    writer.close()
    assert stream.getvalue() == "file,genre,confidence,genre_majority,n_chunks,seconds,error\na.wav,,,,,,is busy\n"


def front_end(*, synthetic: bool = False) -> Any:
    return SimpleNamespace(spec=LogMelSpec(), corpus=CorpusInfo(name="x", synthetic=synthetic))


def test_a_timeline_is_drawn(tmp_path: Path) -> None:
    timeline.write_timeline(tmp_path / "x.png", prediction(SPLIT), name="a.wav", front_end=front_end())
    picture = imread(tmp_path / "x.png")  # (height, width, 4)
    assert picture.shape[1] == 1800
    assert picture[..., :3].std() > 0.05
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


@pytest.mark.parametrize("n_chunks", [1, 2, 1999])
def test_a_timeline_of_any_length(n_chunks: int, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).dirichlet([1.0, 1.0, 1.0], n_chunks).tolist()
    timeline.write_timeline(tmp_path / "x.png", prediction(rows), name="a.wav", front_end=front_end())
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_an_svg_has_its_texts_and_is_the_same_each_time(tmp_path: Path) -> None:
    for name in ("a.svg", "b.SVG"):
        timeline.write_timeline(tmp_path / name, prediction(SPLIT), name="Björk & <b>.wav", front_end=front_end())
    picture = (tmp_path / "a.svg").read_bytes()
    assert picture == (tmp_path / "b.SVG").read_bytes()
    texts = [element.text for element in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314  # ours
    assert "Björk & <b>.wav: hum 53% (majority vote: noise)" in texts


def test_a_page_stands_by_itself_and_has_the_numbers(tmp_path: Path) -> None:
    timeline.write_timeline(tmp_path / "x.html", prediction(SPLIT), name="<b>.wav", front_end=front_end(synthetic=True))
    page = Page(tmp_path / "x.html")
    assert (page.loads, page.tags.count("svg"), page.tags.count("b")) == ([], 1, 0)
    assert "A model trained on SYNTHETIC audio." in page.text
    numbers = page.text.partition("Most probable at")[2].split()
    assert numbers == ["hum", "53.3", "%", "1", "00:00", "noise", "40.0", "%", "2", "00:20", "ticks", "6.7", "%", "0", "00:10"]


def test_columns_are_means_of_neighbouring_chunks() -> None:
    probabilities = np.arange(2000, dtype=np.float32).reshape(1000, 2)
    edges = np.arange(1001.0)
    means, new_edges = timeline.averaged(probabilities, edges)
    assert means.shape == (334, 2)
    assert means[0].tolist() == [2.0, 3.0]
    assert means[-1].tolist() == [1998.0, 1999.0]
    assert (new_edges[1], new_edges[-1], len(new_edges)) == (3.0, 1000.0, 335)


def test_a_timeline_says_that_a_model_is_of_synthetic_audio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    titles = []
    draw = timeline._title

    def noted(*arguments: Any, **texts: Any) -> None:
        titles.append(texts)
        draw(*arguments, **texts)

    monkeypatch.setattr(timeline, "_title", noted)
    file = AudioFile(name="b/a.wav")
    (path,) = timeline_paths(f"{tmp_path}/new/folder/", [file])
    for synthetic in (True, False):
        timeline.write_timeline(path, prediction(SPLIT), name=file.title, front_end=front_end(synthetic=synthetic))
    assert titles == [{"name": "a.wav", "note": "model trained on SYNTHETIC audio"}, {"name": "a.wav", "note": ""}]
    assert (tmp_path / "new" / "folder" / "a.png").is_file()


def test_files_of_one_name_get_different_pictures(tmp_path: Path) -> None:
    names = ["a/x.wav", "b/x.wav", "c/X.mp3", "x-2.wav", "-", "y\n.wav", "é" * 120 + ".wav"]
    paths = timeline_paths(str(tmp_path), [AudioFile(name=name, is_standard_input=name == "-") for name in names])
    assert [path.name for path in paths[:6]] == ["x.png", "x-2.png", "X-3.png", "x-2-2.png", "standard input.png", "y\\n.png"]
    assert len(paths[6].name.encode()) == 204
    assert {path.parent for path in paths} == {tmp_path}


def test_where_timelines_cannot_lie(tmp_path: Path) -> None:
    for out, n_files, message in (
        ("x.png", 2, "must be a folder for 2 files: one that exists, or '.*x.png/'"),
        ("x.pdf", 1, "must end in .png, .svg, .html, or be a folder, got '.*x.pdf'"),
        ("none/x.png", 1, "there is no folder .*none"),
        ("file/", 1, "cannot be made: "),
    ):
        (tmp_path / "file").touch()
        with pytest.raises(UsageError, match=message) as error:
            timeline_paths(f"{tmp_path}/{out}", [AudioFile(name="a.wav")] * n_files)
        assert len(str(error.value).splitlines()) == 1
