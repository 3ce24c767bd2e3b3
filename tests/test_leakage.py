"""Leaks between splits, and that no network is trained on a dataset that has them."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_model import train
from tests.tiny_dataset import TinyDataset
from tfrecords.dataset.leakage import find_leaks
from tfrecords.front_end.log_mel_spec import PRESETS


def track(track_id: str, split: str, *, audio: str | None = None, **more: Any) -> dict[str, Any]:
    digest = hashlib.sha256((audio or track_id).encode()).hexdigest()
    return {"track_id": track_id, "split": split, "audio_blake3": digest, **more}


def test_nothing_leaks_where_nothing_is_shared() -> None:
    tracks = [
        track("a", "train", audio="x", group="one"),
        track("b", "train", audio="x", group="one"),
        track("c", "validation", group="two"),
        track("d", "validation", group="two"),
        track("e", "test", group=None),
        track("f", "train", group=None),
    ]
    assert find_leaks(tracks) == []
    assert find_leaks([]) == []


@pytest.mark.parametrize(
    ("tracks", "leaks"),
    [
        ([track("a", "train"), track("a", "test")], ["track 'a' lies in two splits, train and test"]),
        (
            [track("a", "train", audio="x"), track("b", "test", audio="x")],
            ["tracks 'a' (train) and 'b' (test) hold the same audio"],
        ),
        (
            [
                track(name, split, audio="x")
                for name, split in (("a", "train"), ("b", "test"), ("c", "train"), ("d", "validation"))
            ],
            [
                "tracks 'a' (train) and 'b' (test) hold the same audio",
                "tracks 'b' (test) and 'c' (train) hold the same audio",
                "tracks 'a' (train) and 'd' (validation) hold the same audio",
            ],
        ),
        (
            [track(str(number), ("train", "test")[number % 2], group="g") for number in range(6)],
            ["group 'g' lies in two splits: its tracks '0' (train) and '1' (test)"],
        ),
        (
            [track("a", "train", audio="x", group="g"), track("b", "test", audio="x", group="g")],
            [
                "tracks 'a' (train) and 'b' (test) hold the same audio",
                "group 'g' lies in two splits: its tracks 'a' (train) and 'b' (test)",
            ],
        ),
    ],
)
def test_each_leak_is_a_sentence(tracks: list[dict[str, Any]], leaks: list[str]) -> None:
    assert find_leaks(iter(tracks)) == leaks


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from(["train", "validation", "test"]), st.integers(0, 4), st.integers(0, 4)),
        max_size=12,
    )
)
def test_there_is_a_leak_exactly_where_two_tracks_make_one(rows: list[tuple[int, str, int, int]]) -> None:
    tracks = [track(str(name), split, audio=str(audio), group=str(group)) for name, split, audio, group in rows]
    shared = any(
        one[1] != other[1] and (one[0] == other[0] or one[2] == other[2] or one[3] == other[3]) for one in rows for other in rows
    )
    assert bool(find_leaks(tracks)) == shared


@pytest.mark.parametrize("n_twins", [1, 5])
def test_training_refuses_a_dataset_that_leaks(tmp_path: Path, n_twins: int, capsys: pytest.CaptureFixture[str]) -> None:
    tiny = TinyDataset(tmp_path / "tiny", spec=PRESETS["full80"])
    trained, tested = ([one for one in tiny.tracks if one["split"] == split] for split in ("train", "test"))
    for one, other in list(zip(trained, tested, strict=True))[:n_twins]:
        other["audio_blake3"] = one["audio_blake3"]
    tiny.write()
    assert train.main(["--data", str(tiny.folder), "--output", str(tmp_path / "run")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    start = (
        f"train.py: the splits of {tiny.folder} leak: tracks 'blues.00000' (train) and 'blues.00002' (test) hold the same audio"
    )
    assert line.startswith(start)
    assert line.endswith("; and 2 more, 5 in all") == (n_twins == 5)
    assert not (tmp_path / "run").exists()


def test_training_refuses_a_list_of_tracks_that_it_cannot_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny = TinyDataset(tmp_path / "tiny", spec=PRESETS["full80"])
    del tiny.tracks[3]["audio_blake3"]
    tiny.write()
    assert train.main(["--data", str(tiny.folder), "--output", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err == f"train.py: {tiny.folder}/tracks.jsonl, line 4: a track lacks 'audio_blake3'\n"
