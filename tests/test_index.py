"""Which tracks a folder holds, and what is said of folders that cannot be used."""

from collections.abc import Callable
from pathlib import Path

import pytest

from beam_pipeline.corpora.index import index_corpus
from tfrecords.errors import UsageError

WriteCorpus = Callable[..., Path]


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize("parent", ["genres", "Data/genres_original", "genres_original", "."])
def test_layouts_of_gtzan(tmp_path: Path, parent: str) -> None:
    base = tmp_path / parent
    touch(base / "rock" / "rock.00001.au", base / "blues" / "blues.00000.wav", base / "hiphop" / "hiphop.00002.au")
    touch(base / "blues" / "notes.txt", base / "blues" / ".hidden.wav", base / ".git" / "x.wav", base / "bextract.mf")
    corpus = index_corpus(str(tmp_path))
    assert corpus.genres == ("blues", "hiphop", "rock")
    assert [(track.track_id, track.path, track.genre) for track in corpus.tracks] == [
        ("blues.00000", "blues/blues.00000.wav", "blues"),
        ("hiphop.00002", "hiphop/hiphop.00002.au", "hiphop"),
        ("rock.00001", "rock/rock.00001.au", "rock"),
    ]
    assert not corpus.info.synthetic


def test_any_folder_of_one_folder_per_label(tmp_path: Path) -> None:
    touch(tmp_path / "cats" / "Tom.WAV", tmp_path / "cats" / "deep" / "er" / "Kit.flac", tmp_path / "dogs" / "Rex v1.2.mp3")
    assert [track.track_id for track in index_corpus(str(tmp_path)).tracks] == ["cats.Tom", "cats.deep/er/Kit", "dogs.Rex v1.2"]


@pytest.mark.parametrize("ending", [".m4a", ".aac", ".wma", ".aif", ".aiff", ".caf", ".mp4", ".M4A"])
def test_audio_that_may_not_decode_is_not_passed_over(tmp_path: Path, ending: str) -> None:
    touch(tmp_path / "cats" / f"Tom{ending}", tmp_path / "dogs" / "Rex.wav")
    assert [track.track_id for track in index_corpus(str(tmp_path)).tracks] == ["cats.Tom", "dogs.Rex"]


def test_linked_folders_are_followed(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere" / "a.wav", tmp_path / "corpus" / "dogs" / "b.wav")
    (tmp_path / "corpus" / "cats").symlink_to(tmp_path / "elsewhere")
    assert [track.track_id for track in index_corpus(str(tmp_path / "corpus")).tracks] == ["cats.a", "dogs.b"]


def test_listing_order_plays_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(*(tmp_path / genre / f"{number}.wav" for genre in "ab" for number in range(5)))
    expected = index_corpus(str(tmp_path))
    import os

    walk = os.walk
    monkeypatch.setattr(os, "walk", lambda *a, **k: [(top, folders, names[::-1]) for top, folders, names in walk(*a, **k)][::-1])
    monkeypatch.setattr(Path, "iterdir", lambda self: [self / name for name in sorted(os.listdir(self), reverse=True)])
    assert index_corpus(str(tmp_path)) == expected


def test_a_corpus_may_say_what_it_is(tmp_path: Path) -> None:
    touch(tmp_path / "genres" / "a" / "1.wav", tmp_path / "genres" / "b" / "1.wav")
    (tmp_path / "genres" / "corpus.json").write_text('{"name": "beeps", "synthetic": true}')
    for folder in (tmp_path, tmp_path / "genres"):
        info = index_corpus(str(folder)).info
        assert (info.name, info.synthetic) == ("beeps", True)
    for text in ('{"name": "beeps", "synthetic": "yes"}', '{"name": "a\\nb"}', "[]", "{"):
        (tmp_path / "genres" / "corpus.json").write_text(text)
        with pytest.raises(UsageError, match=r"corpus\.json"):
            index_corpus(str(tmp_path))


def test_links_that_form_a_loop_add_no_tracks(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "deep" / "1.wav", tmp_path / "b" / "1.wav")
    (tmp_path / "a" / "up").symlink_to("..")
    (tmp_path / "a" / "deep" / "self").symlink_to(".")
    (tmp_path / "b" / "own").symlink_to(tmp_path / "b")
    assert [track.path for track in index_corpus(str(tmp_path)).tracks] == ["a/deep/1.wav", "b/1.wav"]


def test_unusual_names_are_names(tmp_path: Path) -> None:
    touch(tmp_path / "hip hop, 90's" / "x\u3000y (1) [2] ❤️.wav", tmp_path / "日本" / "<b>.wav")
    assert len(index_corpus(str(tmp_path)).tracks) == 2


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "holds no tracks: expected a folder per genre"),
        (["loose.wav"], "holds no tracks"),
        (["a/x.txt", "b/y.pdf"], "holds no tracks"),
        (["only/1.wav", "only/2.wav", "empty/readme.txt"], "holds one label alone, 'only'"),
        (["a/1.wav", "a/1.au", "b/1.wav"], r"more than once, for instance a/1\.au and a/1\.wav are both 'a\.1'"),
        (["a/1.wav", "a/a.1.wav", "b/1.wav"], r"a/1\.wav and a/a\.1\.wav are both 'a\.1'"),
        (["a/1\n.wav", "b/1.wav"], "control characters or is not UTF-8: 'a/1"),
        (["a/1\udcff.wav", "b/1.wav"], "is not UTF-8"),
    ],
)
def test_unusable_folders(tmp_path: Path, names: list[str], message: str) -> None:
    touch(*(tmp_path / name for name in names))
    with pytest.raises(UsageError, match=message) as caught:
        index_corpus(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder .*nowhere"):
        index_corpus(str(tmp_path / "nowhere"))
