"""Real runs of the pipeline on catalogues and published splits."""

from pathlib import Path

import pytest

from tests.corpora import GTZAN
from tests.helpers import WriteCorpus, build, json_lines, run_main, tracks_of
from tfrecords.dataset.folder import read_dataset


def test_a_run_on_a_catalogue(write_corpus: WriteCorpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Groups and a validation split reach the dataset; a file that is not there is rejected by its name."""
    folder = write_corpus(n_tracks=8)
    paths = sorted(path.relative_to(tmp_path).as_posix() for path in folder.rglob("*.wav"))
    rows = [
        f"{path},{Path(path).parent.name},{f'pair {number // 2}' if number % 8 < 4 else ''}" for number, path in enumerate(paths)
    ]
    catalogue = tmp_path / "tracks.csv"
    catalogue.write_text("\n".join(["path,label,group", *rows, "gone.m4a,hum,"]))
    output = tmp_path / "out"
    status, error = run_main("--tracks", catalogue, "--output", output, "--validation-fraction", "0.3", capsys=capsys)
    assert (status, error) == (0, "")
    manifest = read_dataset(output)
    assert {split: one.n_tracks for split, one in manifest.splits.items()} == {"train": 12, "validation": 6, "test": 6}
    tracks = tracks_of(output)
    groups = {track["group"] for track in tracks if "group" in track}
    assert len(groups) == 6
    assert all(len({track["split"] for track in tracks if track.get("group") == group}) == 1 for group in groups)
    (rejected,) = json_lines(output / "rejected.jsonl")
    assert (rejected["path"], rejected["reason"]) == ("gone.m4a", "cannot be read: No such file or directory")
    assert run_main("--tracks", catalogue, "--output", output, "--split", "herbert", capsys=capsys)[0] == 2


def test_the_records_are_those_of_the_folder(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    folder = write_corpus()
    by_folder = build(folder, tmp_path / "a").manifest
    paths = sorted(path.relative_to(folder / "genres").as_posix() for path in folder.rglob("*.wav"))
    catalogue = tmp_path / "tracks.csv"
    catalogue.write_text("\n".join(["path,label", *(f"{path},{path.split('/')[0]}" for path in reversed(paths))]))
    by_catalogue = build(folder / "genres", tmp_path / "b", tracks=str(catalogue)).manifest
    assert by_catalogue.shards == by_folder.shards
    assert by_catalogue.tracks_sha256 == by_folder.tracks_sha256


def test_what_a_split_leaves_out_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str], write_corpus: WriteCorpus) -> None:
    """GTZAN's names with other audio: a track that the list does not know is left out, and does not count as unusable."""
    audio = bytearray(next(write_corpus(n_tracks=1).rglob("*.wav")).read_bytes())
    corpus = tmp_path / "gtzan"
    for number, path in enumerate([*(track.path for track in GTZAN), "blues/blues.mine.wav"]):
        audio[-2:] = number.to_bytes(2, "little")  # no two tracks hold the same audio
        (corpus / path).parent.mkdir(parents=True, exist_ok=True)
        (corpus / path).write_bytes(audio)
    result = build(corpus, tmp_path / "out", split="artist-2", chunks_per_track=1)
    assert result.manifest.split_scheme == "artist-2"
    assert len(result.left_out) == 53
    assert result.rejected == ()
    listed = {track["track_id"]: track for track in json_lines(tmp_path / "out" / "rejected.jsonl")}
    assert len(listed) == 53
    assert listed["blues.mine"] == {
        "track_id": "blues.mine",
        "path": "blues/blues.mine.wav",
        "genre": "blues",
        "split": None,
        "kind": "split scheme",
        "reason": "is none of GTZAN's thousand tracks",
    }
    assert {track["group"] for track in tracks_of(tmp_path / "out")} >= {"1", "411"}
