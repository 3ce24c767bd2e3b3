"""Which tracks and chunks a report shows, and how they are read."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_model.reports.gallery import RIGHT, WHOLLY_WRONG, WRONG, choose_chunks, choose_tracks, gallery
from keras_model.reports.report import write_report
from tests.html_page import Page
from tests.run_metrics import ByParts, by_number, metrics_of, truth
from tests.tiny_dataset import GENRES, TinyDataset
from tfrecords.dataset.manifest import DatasetError
from tfrecords.records.reading import read_records_at, read_split

NETWORK: Any = ByParts()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyDataset:
    """Four test tracks of each genre, nine chunks of each."""
    return TinyDataset(tmp_path_factory.mktemp("tiny") / "dataset", tracks_per_genre=12, chunks=9)


@pytest.fixture(scope="module")
def metrics(tiny: TinyDataset) -> dict[str, Any]:
    return metrics_of(tiny, guess=by_number)


def test_the_gallery_shows_each_kind_with_its_chunks_in_time(tiny: TinyDataset, metrics: dict[str, Any], tmp_path: Path) -> None:
    shown = gallery(metrics, data=tiny.folder, manifest=tiny.manifest, network=NETWORK)
    numbers = {RIGHT: {0, 1}, WRONG: {2}, WHOLLY_WRONG: {3}}
    records = {(record.track_id, record.chunk_index): record for record in read_split(tiny.folder, tiny.manifest, "test")}
    for kind, tracks in shown.items():
        assert {int(track_id[-5:]) // 3 % 4 for track_id in tracks} == numbers[kind]
        assert {metrics["final"]["tracks"][track_id]["genre"] for track_id in tracks} == set(GENRES)
        assert len(tracks) == (4 if kind == RIGHT else 3)
        for track_id, chunks in tracks.items():
            assert len(chunks) == 6
            assert [chunk.candidate for chunk in chunks] == sorted(chunk.candidate for chunk in chunks)
            for chunk in chunks:
                record = records[track_id, chunk.candidate]
                np.testing.assert_array_equal(chunk.log_mel, record.log_mel)
                assert chunk.seconds == record.start_sample / tiny.spec.sample_rate
                assert chunk.predicted == GENRES[by_number(record, 3)]
                assert 0.5 < chunk.probability < 1
    page = Page(write_report(metrics, folder=tmp_path, data=tiny.folder, manifest=tiny.manifest, network=NETWORK))
    text = " ".join(page.text.split())
    titles = [title for title in page.pictures if title.startswith("Log-mel of ")]
    assert len(titles) == 6 * (4 + 3 + 3)
    assert sum(title.startswith("Evidence for ") for title in page.pictures) == len(titles)
    (track_id, (wrong, *_)), *_ = shown[WHOLLY_WRONG].items()
    assert f"Log-mel of {track_id} at {wrong.seconds:.2f} s, predicted {wrong.predicted}, misclassified" in titles
    assert f"✗ {wrong.predicted} {100 * wrong.probability:.0f} %" in text
    assert f"Votes: {wrong.predicted} 9." in text
    (right, *_), *_ = shown[RIGHT].values()
    assert f"✓ {right.predicted} {100 * right.probability:.0f} %" in text
    (track_id, *_) = shown[WRONG]
    votes = Counter(GENRES[by_number(record, 3)] for (track, _), record in records.items() if track == track_id)
    assert f"Votes: {', '.join(f'{genre} {votes[genre]}' for genre in GENRES if votes[genre])}." in text


def test_a_kind_without_tracks_says_none(tiny: TinyDataset, tmp_path: Path) -> None:
    page = Page(
        write_report(metrics_of(tiny, guess=truth), folder=tmp_path, data=tiny.folder, manifest=tiny.manifest, network=NETWORK)
    )
    # Misclassified, misclassified in every chunk, and the list of misclassified tracks.
    assert page.text.count("None.") == 3


@st.composite
def track_lists(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    genres = st.sampled_from(GENRES)
    tracks = {}
    for number in range(draw(st.integers(0, 25))):
        votes = draw(st.lists(st.integers(0, 4), min_size=3, max_size=3))
        tracks[f"track.{number}"] = {
            "genre": draw(genres),
            "maximum": draw(genres),
            "majority": draw(genres),
            # Few values, so that there are ties.
            "probability": draw(st.sampled_from([0.4, 0.6, 0.8])),
            "votes": votes,
        }
    return tracks


@given(track_lists(), st.randoms(use_true_random=False))
def test_the_choice_does_not_depend_on_the_order_of_tracks(tracks: dict[str, dict[str, Any]], random: Any) -> None:
    chosen = choose_tracks(tracks, GENRES)
    shuffled = list(tracks)
    random.shuffle(shuffled)
    assert choose_tracks({track_id: tracks[track_id] for track_id in shuffled}, GENRES) == chosen
    for kind, track_ids in chosen.items():
        assert len(track_ids) == len(set(track_ids))
        of_kind = [
            track
            for track in tracks.values()
            if _is_right(track) == (kind == RIGHT) and _is_wholly_wrong(track) == (kind == WHOLLY_WRONG)
        ]
        assert len(track_ids) == min(len(of_kind), 4)
        assert {tracks[track_id]["genre"] for track_id in track_ids} == {track["genre"] for track in of_kind}
        for track_id in track_ids:
            assert _is_wholly_wrong(tracks[track_id]) == (kind == WHOLLY_WRONG)
            assert _is_right(tracks[track_id]) == (kind == RIGHT)


def _is_wholly_wrong(track: dict[str, Any]) -> bool:
    return track["votes"][GENRES.index(track["genre"])] == 0


def _is_right(track: dict[str, Any]) -> bool:
    return track["maximum"] == track["genre"] == track["majority"] and not _is_wholly_wrong(track)


def test_the_surest_tracks_go_first() -> None:
    def track(genre: str, probability: float) -> dict[str, Any]:
        return {"genre": genre, "maximum": genre, "majority": genre, "probability": probability, "votes": [1, 1, 1]}

    tracks = {
        "a": track("blues", 0.9),
        "b": track("blues", 0.95),
        "c": track("jazz", 0.5),
        "d": track("rock", 0.7),
        "e": track("blues", 0.9),
    }
    assert choose_tracks(tracks, GENRES)[RIGHT] == ["b", "d", "c", "a"]


def test_chunks_are_spread_evenly() -> None:
    assert choose_chunks(15) == [0, 3, 6, 8, 11, 14]
    assert choose_chunks(6) == [0, 1, 2, 3, 4, 5]
    assert choose_chunks(1) == [0]


@given(st.data())
def test_records_are_read_by_their_places(tiny: TinyDataset, data: st.DataObject) -> None:
    records = list(read_split(tiny.folder, tiny.manifest, "test"))
    places = data.draw(st.sets(st.integers(0, len(records) - 1), max_size=12))
    read = dict(read_records_at(tiny.folder, tiny.manifest, ["test"], places))
    assert list(read) == sorted(places)
    for place, record in read.items():
        assert (record.track_id, record.chunk_index) == (records[place].track_id, records[place].chunk_index)
        np.testing.assert_array_equal(record.log_mel, records[place].log_mel)


def test_no_record_at_a_place_and_other_data_are_errors(tiny: TinyDataset, metrics: dict[str, Any], tmp_path: Path) -> None:
    n_records = tiny.manifest.splits["test"].n_records
    with pytest.raises(ValueError, match=f"split test has {n_records} records; there is none at {n_records}"):
        list(read_records_at(tiny.folder, tiny.manifest, ["test"], [0, n_records]))
    with pytest.raises(DatasetError, match="no split 'dev'"):
        list(read_records_at(tiny.folder, tiny.manifest, ["dev"], [0]))
    other = TinyDataset(tmp_path / "other", tracks_per_genre=15, chunks=9)
    with pytest.raises(DatasetError, match="other holds other records than the network was tested on"):
        gallery(metrics, data=other.folder, manifest=other.manifest, network=NETWORK)
