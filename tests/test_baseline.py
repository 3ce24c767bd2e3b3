"""What accuracies are measured against: intervals, chance, and a linear classifier on the bands' statistics."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from keras_model.data.split_data import SplitData, load_split
from keras_model.evaluation import baseline
from keras_model.evaluation.baseline import band_statistics_baseline
from keras_model.evaluation.intervals import chance_level, wilson_interval
from tests.tiny_dataset import TinyDataset
from tfrecords.dataset.folder import read_dataset
from tfrecords.records.reading import read_split


@pytest.mark.parametrize(("n_right", "n"), [(0, 1), (1, 1), (0, 25), (3, 25), (25, 25), (193, 250)])
def test_the_interval_is_scipys(n_right: int, n: int) -> None:
    expected = binomtest(n_right, n).proportion_ci(method="wilson")
    assert wilson_interval(n_right / n, n) == pytest.approx((expected.low, expected.high), abs=1e-7)


def test_chance_is_the_most_frequent_genre() -> None:
    assert chance_level([[1, 2, 0], [0, 0, 1], [0, 0, 2]]) == 0.5
    assert chance_level([[0, 4], [4, 0]]) == 0.5


def opened(folder: Path, *, cached: bool) -> tuple[SplitData, SplitData, int]:
    manifest = read_dataset(folder)
    train, test = (
        load_split(folder, manifest, split, cache_bytes=2**30 * cached, for_training=split == "train")
        for split in ("train", "test")
    )
    return train, test, manifest.spec.n_kept_frames


@pytest.mark.parametrize("cached", [True, False], ids=["cached", "streamed"])
def test_it_hears_the_bands_of_real_frames(dataset: Path, cached: bool) -> None:
    """Hum, noise and ticks have other spectra; frames that repeat the last one of a chunk say nothing."""
    train, test, n_frames = opened(dataset, cached=cached)
    assert n_frames == 41
    found = band_statistics_baseline(train, test, n_frames=n_frames)
    low, _ = wilson_interval(1.0, 6)
    assert found == {
        "accuracy": 1.0,
        "interval": pytest.approx((low, 1.0)),
        "n_tracks": 6,
        "n_train_tracks": 12,
        "n_train_records": 48,
    }


@pytest.mark.parametrize("cached", [True, False], ids=["cached", "streamed"])
@pytest.mark.parametrize("most_records", [32_768, 20])
def test_it_is_a_logistic_regression_on_each_tracks_frames(
    cached: bool, most_records: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On noise, of which two tracks of three are right at best: computed anew here, frame by frame."""
    monkeypatch.setattr(baseline, "_MOST_RECORDS", most_records)
    monkeypatch.setattr(baseline, "_BLOCK", 7)
    tiny = TinyDataset(tmp_path / "tiny", tracks_per_genre=30)
    features, labels = {}, {}
    for split in ("train", "test"):
        records = list(read_split(tiny.folder, tiny.manifest, split))[: most_records if split == "train" else None]
        frames = {
            record.track_id: [other.log_mel for other in records if other.track_id == record.track_id] for record in records
        }
        joined = [np.concatenate(of_track, axis=1).astype(np.float64) for of_track in frames.values()]
        features[split] = np.stack([np.concatenate([of_track.mean(axis=1), of_track.std(axis=1)]) for of_track in joined])
        labels[split] = [track_id.split(".")[0] for track_id in frames]
    scaler = StandardScaler().fit(features["train"])
    classifier = LogisticRegression(C=0.1).fit(scaler.transform(features["train"]), labels["train"])
    expected = classifier.score(scaler.transform(features["test"]), labels["test"])
    assert 0.2 < expected < 0.8
    train, test, n_frames = opened(tiny.folder, cached=cached)
    found = band_statistics_baseline(train, test, n_frames=n_frames)
    assert found is not None
    assert found["accuracy"] == pytest.approx(expected)
    assert (found["n_train_tracks"], found["n_tracks"]) == (len(labels["train"]), 30)
    assert found["n_train_records"] == min(90, most_records)


def test_where_nothing_can_be_fit_there_is_none(tmp_path: Path) -> None:
    tiny = TinyDataset(tmp_path / "tiny")
    train, test, n_frames = opened(tiny.folder, cached=True)
    assert band_statistics_baseline(train, test, n_frames=n_frames) is not None
    one_genre = dataclasses.replace(train, labels=np.zeros_like(train.labels))
    assert band_statistics_baseline(one_genre, test, n_frames=n_frames) is None
    assert test.cached is not None
    damaged = dataclasses.replace(test, cached=test.cached * np.nan)
    assert band_statistics_baseline(train, damaged, n_frames=n_frames) is None
