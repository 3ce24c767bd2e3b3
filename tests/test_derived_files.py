"""The files that other tools read: what verify finds in them, and that nobody's own are overwritten."""

import dataclasses
from pathlib import Path

import pytest

from beam_pipeline import run_pipeline
from tests.helpers import WriteCorpus, build, run_main
from tests.tiny_dataset import TinyDataset, problems
from tfrecords.dataset.left_out import LeftOut
from tfrecords.dataset.manifest import DERIVED_FILES, DatasetError, Manifest


@pytest.fixture
def tiny(tmp_path: Path) -> TinyDataset:
    tiny = TinyDataset(tmp_path / "tiny")
    tiny.write_derived()
    return tiny


def test_they_are_what_follows_from_the_dataset(tiny: TinyDataset) -> None:
    assert problems(tiny.folder) == []


@pytest.mark.parametrize("name", DERIVED_FILES)
def test_what_was_altered_is_found(tiny: TinyDataset, name: str) -> None:
    whole = tiny.bytes_of(name)
    for altered in (whole + b"\n", whole[:-1], whole.replace(b"genre", b"genra")):
        tiny.edit(name, altered)
        assert problems(tiny.folder) == [f"{name}: was altered: it is not what dataset.json gives"]
    tiny.edit(name, b"somebody's own")
    assert problems(tiny.folder) == [f"{name}: does not say which dataset.json it describes"]
    (tiny.folder / name).unlink()
    assert problems(tiny.folder) == []


def test_those_of_another_dataset_are_left_of_a_run_that_was_cut_off(tiny: TinyDataset) -> None:
    tiny.write(seed=tiny.manifest.seed, license="MIT")
    assert problems(tiny.folder) == []
    tiny.write_derived()
    assert problems(tiny.folder) == []


def test_a_damaged_list_of_tracks_is_one_problem(tiny: TinyDataset) -> None:
    tiny.edit("tracks.jsonl", tiny.bytes_of("tracks.jsonl").replace(b"blues/", b"blue5/"))
    assert problems(tiny.folder) == ["tracks.jsonl: was altered: its SHA-256 differs"]


@pytest.mark.parametrize("name", DERIVED_FILES)
def test_nobodys_own_file_is_overwritten(
    write_corpus: WriteCorpus, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus, output = write_corpus(n_tracks=2), tmp_path / "out"
    output.mkdir()
    (output / name).write_text("about my thesis")
    for option in ((), ("--overwrite",)):
        status, error = run_main("--input", corpus, "--output", output, *option, capsys=capsys)
        assert status == 2
        assert error == f"run_pipeline.py: the output folder {output} holds other files ({name!r}); choose another one"
    assert (output / name).read_text() == "about my thesis"
    (output / name).unlink()
    (output / name).mkdir()
    assert run_main("--input", corpus, "--output", output, capsys=capsys)[0] == 2
    (output / name).rmdir()
    build(corpus, output)
    build(corpus, output, overwrite=True, seed=1)
    assert problems(output) == []


def test_left_of_a_dataset_they_do_not_stand_in_the_way(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus, output = write_corpus(n_tracks=2), tmp_path / "out"
    build(corpus, output)
    (output / "dataset.json").unlink()
    build(corpus, output, seed=1)
    assert problems(output) == []


def test_a_licence_is_of_the_dataset_and_what_was_left_out_is_not(tiny: TinyDataset) -> None:
    plain = tiny.manifest
    assert {"license", "left_out"}.isdisjoint(plain._content())
    licensed = dataclasses.replace(plain, license="my own, not to be passed on")
    without = dataclasses.replace(plain, left_out={"too short": LeftOut(n_tracks=9, first=("a.wav", "b.wav"))})
    assert licensed.fingerprint != plain.fingerprint == without.fingerprint
    for one in (licensed, without):
        assert Manifest.from_json(one.to_json()) == one


@pytest.mark.parametrize("left_out", ["[]", '{"too short": 3}', '{"too short": {"n_tracks": "3", "first": []}}'])
def test_a_damaged_summary_of_what_was_left_out_is_refused(tiny: TinyDataset, left_out: str) -> None:
    text = tiny.manifest.to_json().replace('"seed": ', f'"left_out": {left_out}, "seed": ')
    with pytest.raises(DatasetError, match=r"dataset\.json is damaged"):
        Manifest.from_json(text)


@pytest.mark.parametrize("text", ["", " ", "CC-BY\n4.0", "\x1b[31mred"])
def test_a_licence_is_a_text_on_one_line(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        run_pipeline.main(["--license", text])
    assert error.value.code == 2
    assert "argument --license: must be a text on one line, got " in capsys.readouterr().err
