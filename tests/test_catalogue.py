"""Catalogues: which tracks a CSV file names, and what is said of files that cannot be used."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_pipeline.corpora.catalogue import read_catalogue
from beam_pipeline.corpora.index import Corpus, index_corpus
from beam_pipeline.splits.schemes import assign_splits
from beam_pipeline.track import Track
from tfrecords.errors import UsageError


def write_csv(folder: Path, *lines: str, encoding: str = "utf-8") -> Path:
    path = folder / "tracks.csv"
    path.write_bytes("\n".join(lines).encode(encoding))
    return path


def read(folder: Path, *lines: str, encoding: str = "utf-8") -> Corpus:
    return read_catalogue(str(write_csv(folder, *lines, encoding=encoding)), root=str(folder))


def test_rows_become_tracks(tmp_path: Path) -> None:
    corpus = read(
        tmp_path,
        "label,path,group,track_id",
        'rock, "b/So what, I said.mp3",Ramones,r1',
        "",
        "jazz,c.flac,,",
        ",,,",
        "jazz,jazz/日本.wav, Miles ,",
    )
    assert corpus.tracks == (
        Track(track_id="jazz.c", path="c.flac", genre="jazz"),
        Track(track_id="jazz.日本", path="jazz/日本.wav", genre="jazz", group="Miles"),
        Track(track_id="r1", path="b/So what, I said.mp3", genre="rock", group="Ramones"),
    )
    assert corpus.genres == ("jazz", "rock")
    assert corpus.given_splits is None
    assert (corpus.info.name, corpus.info.synthetic, corpus.root) == ("tracks", False, str(tmp_path))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_files_as_spreadsheets_write_them(tmp_path: Path, encoding: str, line_end: str) -> None:
    text = line_end.join(("path,label", "a.wav,x", "b.wav,y", ""))
    assert [track.track_id for track in read(tmp_path, text, encoding=encoding).tracks] == ["x.a", "y.b"]


@pytest.mark.parametrize("parent", ["genres/", "Data/genres_original/", ""])
def test_ids_are_those_of_the_indexed_folder(tmp_path: Path, parent: str) -> None:
    names = ["blues/blues.00000.wav", "blues/deep/er.flac", "rock/Rex v1.2.mp3"]
    for name in names:
        path = tmp_path / f"{parent}{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    catalogued = read(tmp_path, "path,label", *(f"{parent}{name},{name.split('/')[0]}" for name in names))
    assert [track.track_id for track in catalogued.tracks] == [track.track_id for track in index_corpus(str(tmp_path)).tracks]


def test_given_splits(tmp_path: Path) -> None:
    rows = [
        f"{label}{number}.wav,{label},{split}" for label in "xy" for number, split in enumerate(("train", "validation", "test"))
    ]
    corpus = read(tmp_path, "path,label,split", *rows)
    assert corpus.given_splits == {f"{x}.{x}{n}": split for x in "xy" for n, split in enumerate(("train", "validation", "test"))}
    assignment = assign_splits(corpus, scheme=None, seed=0, test_fraction=0.25)
    assert assignment.scheme == "catalogue"
    assert assignment.split_of == corpus.given_splits
    assert assignment.splits == ("train", "validation", "test")
    with pytest.raises(UsageError, match="'herbert' cannot be asked for as well"):
        assign_splits(corpus, scheme="herbert", seed=0, test_fraction=0.25)
    with pytest.raises(UsageError, match="'catalogue' has a validation split of its own"):
        assign_splits(corpus, scheme=None, seed=0, test_fraction=0.25, validation_fraction=0.1)


def test_a_validation_split_may_be_taken_from_given_ones(tmp_path: Path) -> None:
    rows = [f"{label}{number}.wav,{label},{'test' if number < 3 else 'train'}" for label in "xy" for number in range(13)]
    corpus = read(tmp_path, "path,label,split", *rows)
    assignment = assign_splits(corpus, scheme=None, seed=0, test_fraction=0.25, validation_fraction=0.3)
    assert [list(assignment.split_of.values()).count(split) for split in assignment.splits] == [14, 6, 6]


def test_a_genre_that_is_not_tested_on_is_refused(tmp_path: Path) -> None:
    corpus = read(tmp_path, "path,label,split", "a,x,train", "b,x,test", "c,y,train")
    with pytest.raises(UsageError, match="'catalogue' puts no track of genre 'y' into test"):
        assign_splits(corpus, scheme=None, seed=0, test_fraction=0.25)


def test_given_splits_that_part_gtzans_repetitions_are_refused(tmp_path: Path) -> None:
    genres = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
    rows = [f"{g}.{n:05d}.wav,{g},{'test' if n in (51, 52) else 'train'}" for g in genres for n in (33, 34, 51, 52)]
    with pytest.raises(UsageError, match=r"^1 track.*for instance 'jazz.00033' \(train\) repeats 'jazz.00051' \(test\)"):
        assign_splits(read(tmp_path, "path,label,split", *rows), scheme=None, seed=0, test_fraction=0.25)


@pytest.mark.parametrize("marker_at", [".", "genres", "genres/x"])
def test_synthetic_audio_stays_so_under_a_catalogue(tmp_path: Path, marker_at: str) -> None:
    (tmp_path / "genres" / "x").mkdir(parents=True)
    (tmp_path / marker_at / "corpus.json").write_text('{"name": "beeps", "synthetic": true}')
    info = read(tmp_path, "path,label", "genres/x/1.wav,x", "y.wav,y").info
    assert (info.name, info.synthetic) == ("beeps", True)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], r"has no column 'path' in its first line: expected the columns path and label .*; got ''"),
        (["a.wav,rock", "b.wav,jazz"], r"has no column 'path' .*; got 'a\.wav, rock'"),
        (["path;label", "a.wav;rock"], r"no column 'path' .*; got 'path;label'"),
        (["path,label,groups", "a.wav,rock,x"], "has an unknown column 'groups': expected"),
        (["path,label,path", "a.wav,rock,x"], "has a column twice"),
        (["path,label"], "names no tracks"),
        (["path,label", "a.wav,x", ",y"], r"1 problem\(s\): line 3: the path is empty"),
        (["path,label", "a.wav,x", "b.wav, "], "line 3: the label is empty"),
        (["path,label", "a.wav,x", "b.wav"], "line 3: 1 fields instead of 2"),
        (["path,label", "a.wav,x", "b.wav,y,z"], "line 3: 3 fields instead of 2"),
        (["path,label", "a.wav,x", "", "b.wav,y", "./c/../a.wav,y"], r"line 5: the path '\./c/\.\./a\.wav' is in line 2 too"),
        (["path,label,track_id", "a.wav,x,1", "b.wav,y,1"], "line 3: the track id '1' is that of line 2 too"),
        (["path,label", "a.wav,x", "a.au,x", "b,y"], r"line 3: the track id 'x\.a' is that of line 2 too; a column track_id"),
        (["path,label", "a\x07.wav,x", "b.wav,y"], r"line 2: control characters in 'a\\x07\.wav'"),
        (["path,label", '"a\nb.wav",x', "b.wav,y"], r"line 3: control characters in 'a\\nb\.wav'"),
        (["path,label,split", "a.wav,x,train", "b.wav,y,"], "line 3: the split must be train, validation or test, got ''"),
        (["path,label,split", "a.wav,x,Train", "b.wav,y,test"], "line 2: the split must be .*, got 'Train'"),
        (
            ["path,label,split,group", "a,x,train,g", "b,y,test,g"],
            "line 3: the group 'g' is in test here, and in train in line 2",
        ),
        (["path,label,split", "a,x,train", "b,y,validation"], "no row whose split is test"),
        (["path,label,split", "a,x,test", "b,y,test"], "no row whose split is train"),
        (["path,label", "a.wav,x", "b.wav,x"], "one label alone, 'x'"),
        (["path,label", 'a.wav,"x', "b.wav,y"], "is no CSV file after line 1: unexpected end of data"),
    ],
)
def test_unusable_catalogues(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        read(tmp_path, *lines)
    assert str(caught.value).startswith(str(tmp_path / "tracks.csv"))
    assert "\n" not in str(caught.value)


def test_the_first_ten_problems_and_their_number_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, "path,label", *(f"{number}.wav,{'x' if number % 2 else ''}" for number in range(50)))
    message = str(caught.value)
    assert "has 25 problem(s): line 2: the label is empty; line 4: the label is empty; " in message
    assert message.count("the label is empty") == 10
    assert message.endswith("line 20: the label is empty; and 15 more")


def test_unusable_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the catalogue .*nowhere\.csv cannot be read: No such file"):
        read_catalogue(str(tmp_path / "nowhere.csv"), root=str(tmp_path))
    with pytest.raises(UsageError, match="there is no folder .*nowhere"):
        read_catalogue(str(write_csv(tmp_path, "path,label")), root=str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match=r"tracks\.csv is not UTF-8"):
        read(tmp_path, "path,label", "Björk.wav,x", "b.wav,y", encoding="latin-1")
    with pytest.raises(UsageError, match=r"tracks\.csv is not UTF-8"):
        read(tmp_path, "path,label", "a.wav,x", "b.wav,y", encoding="utf-16")


@given(st.lists(st.lists(st.text(max_size=4), max_size=4), max_size=6), st.text(max_size=30))
def test_any_text_is_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], text: str
) -> None:
    folder = tmp_path_factory.getbasetemp()
    for lines in (["path,label,split", *map(",".join, rows)], [text]):
        (folder / "any.csv").write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
        try:
            corpus = read_catalogue(str(folder / "any.csv"), root=str(folder))
            message = ""
        except UsageError as error:
            message = str(error)
        assert len(message.splitlines()) == 1 if message else len(corpus.genres) > 1
