"""Folders that are not the genres, though they stand where genres do."""

from pathlib import Path

import pytest

from beam_pipeline.corpora.catalogue import read_catalogue
from beam_pipeline.corpora.index import index_corpus
from beam_pipeline.splits.repetitions import looks_like_gtzan
from tests.helpers import WriteCorpus, build, run_main, tracks_of
from tests.test_index import touch
from tfrecords.dataset.gtzan import TRACK_IDS
from tfrecords.errors import UsageError

SPLIT = "named as splits are"
BOTH = "--genre-level 2 takes the latter for the genres, --genre-level 1 the former"


@pytest.mark.parametrize(
    "names", [("train", "test"), ("Train", "held-out"), ("training", "val", "eval"), ("train",), ("dev", "held")]
)
@pytest.mark.parametrize("parent", ["genres", "."])
def test_splits_above_the_genres(tmp_path: Path, names: tuple[str, ...], parent: str) -> None:
    for name in names:
        touch(*(tmp_path / parent / name / genre / f"{genre}.00000.wav" for genre in ("blues", "jazz", "pop", "rock")))
    seen = f"holds the folders {', '.join(map(repr, sorted(names)))}, {SPLIT}, and 'blues', 'jazz', 'pop' and 1 more in each: "
    with pytest.raises(UsageError, match=seen + "--genre-level 2 takes these for the genres and splits anew, a catalogue"):
        index_corpus(str(tmp_path))
    corpus = index_corpus(str(tmp_path), genre_level=2)
    assert corpus.genres == ("blues", "jazz", "pop", "rock")
    assert {track.track_id for track in corpus.tracks} == {
        f"{genre}.{name}/{genre}.00000" for genre in corpus.genres for name in names
    }
    if len(names) > 1:
        assert index_corpus(str(tmp_path), genre_level=1).genres == tuple(sorted(names))


def test_splits_with_no_genres_below(tmp_path: Path) -> None:
    touch(*(tmp_path / name / f"{number}.wav" for name in ("train", "test") for number in range(3)))
    with pytest.raises(UsageError, match=f"{SPLIT}: a catalogue .--tracks. tells each track's genre and split, --genre-level 1"):
        index_corpus(str(tmp_path))


def test_the_same_labels_in_each_folder(tmp_path: Path) -> None:
    touch(*(tmp_path / name / genre / "a.wav" for name in ("ours", "theirs") for genre in ("blues", "jazz")))
    with pytest.raises(UsageError, match=f"holds the folders 'ours', 'theirs', and 'blues', 'jazz' in each: {BOTH}"):
        index_corpus(str(tmp_path))
    assert index_corpus(str(tmp_path), genre_level=1).genres == ("ours", "theirs")
    assert [track.track_id for track in index_corpus(str(tmp_path), genre_level=2).tracks] == [
        *("blues.ours/a", "blues.theirs/a", "jazz.ours/a", "jazz.theirs/a")
    ]


@pytest.mark.parametrize(
    "paths",
    [
        ["blues/cd1/a.wav", "jazz/cd2/a.wav"],
        ["blues/cd1/a.wav", "jazz/cd1/a.wav"],  # one folder in common
        ["blues/cd1/a.wav", "blues/cd2/a.wav", "jazz/cd1/a.wav", "jazz/cd2/a.wav", "jazz/b.wav"],
        ["blues/cd1/a.wav", "blues/cd2/a.wav", "jazz/cd1/a.wav", "jazz/cd2/a.wav", "rock/a.wav"],
        ["blues/cd1/a.wav", "blues/cd2/a.wav", "jazz/cd1/a.wav", "jazz/cd2/a.wav", "jazz/cd3/a.wav"],
        ["train/a.wav", "test/a.wav", "jazz/a.wav"],
    ],
)
def test_genres_are_genres(tmp_path: Path, paths: list[str]) -> None:
    touch(*(tmp_path / path for path in paths))
    assert set(index_corpus(str(tmp_path)).genres) == {path.split("/")[0] for path in paths}


def test_a_run(write_corpus: WriteCorpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = write_corpus("corpus/train", n_tracks=4, parent=".")
    (tmp_path / "corpus" / "test" / "hum").mkdir(parents=True)
    (corpus / "hum" / "hum.00000.wav").rename(tmp_path / "corpus" / "test" / "hum" / "hum.00000.wav")
    status, error = run_main("--input", tmp_path / "corpus", "--output", tmp_path / "out", capsys=capsys)
    assert status == 2
    assert SPLIT in error
    assert len(error.splitlines()) == 1
    build(tmp_path / "corpus", tmp_path / "out", genre_level=2)
    assert {track["genre"] for track in tracks_of(tmp_path / "out")} == {"hum", "noise", "ticks"}


@pytest.mark.parametrize("parent", ["genres", "Data/genres_original", "copies/of/it"])
@pytest.mark.parametrize("beside", [True, False])
def test_a_catalogue_of_absolute_paths_is_gtzan_too(tmp_path: Path, parent: str, beside: bool) -> None:
    names = {track_id: f"{track_id.partition('.')[0]}/{track_id}.wav" for track_id in TRACK_IDS}
    root = tmp_path / "gtzan"
    root.mkdir()
    lists = {
        "relative": [f"{parent}/{name},{name.partition('/')[0]}" for name in names.values()],
        "absolute": [f"{root}/{parent}/{name},{name.partition('/')[0]}" for name in names.values()],
        "url": [f"s3://bucket/{parent}/{name},{name.partition('/')[0]}" for name in names.values()],
    }
    for name, rows in lists.items():
        if name == "relative" and (parent == "copies/of/it" or not beside):
            continue  # below a folder of one's own, a name may be anything
        (tmp_path / f"{name}.csv").write_text("\n".join(["path,label", *rows]))
        (tmp_path / "beside").mkdir(exist_ok=True)
        corpus = read_catalogue(str(tmp_path / f"{name}.csv"), root=str(root if beside else tmp_path / "beside"))
        if name != "absolute" or parent != "copies/of/it" or not beside:
            assert {track.track_id for track in corpus.tracks} == set(TRACK_IDS)
            assert looks_like_gtzan(corpus)
        else:
            assert {track.track_id for track in corpus.tracks if track.genre == "pop"} == {
                f"pop.copies/of/it/pop/pop.{number:05d}" for number in range(100)
            }, "as with the relative paths"
