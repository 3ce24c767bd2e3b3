"""The comparison of recipes: which tracks it chooses and reports on, what it keeps, and its table."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import half_size
from benchmarks.gtzan_images import folds, read_pictures, selection_tracks
from benchmarks.recipes import STAGES, Fold, Results, all_folds, comparable, main
from keras_model.augmentation import Augmentation, SpecMasks
from keras_model.options import TrainOptions

EPOCHS = 2
REPORT = all_folds("report", STAGES["report"].variants, epochs=EPOCHS)


def result(fold: Fold, *, right: int) -> dict[str, object]:
    """Of ten tracks, as many right as asked for."""
    of_tracks = [1] * right + [0] * (10 - right)
    tracks = [f"fold{fold.fold}.{number}" for number in range(10)]
    return {"raw": right / 10, "seconds": 60, "tracks": tracks, "maximum": of_tracks, "majority": of_tracks}


def test_no_track_is_both_chosen_on_and_reported_on(shared: Path) -> None:
    pictures = read_pictures(shared / "gtzan_images" / "train.npz")
    selection = selection_tracks(pictures)
    report = set(pictures.track_ids) - selection
    assert (len(selection), len(report)) == (300, 449)
    fold_of = folds(pictures, report, n_folds=2)
    assert set(fold_of) == report
    genre_of = dict(zip(pictures.track_ids, pictures.labels.tolist(), strict=True))
    for fold in range(2):
        assert {genre_of[track_id] for track_id, number in fold_of.items() if number == fold} == set(range(10))


def test_the_table_has_the_folds_that_every_variant_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "results.jsonl"
    results = Results(path)
    for fold in REPORT[:7]:  # both variants on the three first folds, and the first variant on the fourth
        results.add(fold, result(fold, right=(5 if fold.variant != "tuned" else 6 + fold.seed)))
    main(["report", "--results", str(path), "--epochs", str(EPOCHS)])
    screen = capsys.readouterr().out
    assert "3 of 6 folds: seed 0 fold 0, seed 0 fold 1, seed 1 fold 0\n" in screen
    paper, tuned = (line.split() for line in screen.splitlines()[-2:])
    assert paper[3:6] == ["50.0"] * 3
    assert tuned[1:4] == ["63.3", "62.5", "62.5"], "each track counts once, however often it was tested"
    assert "+10.0 +20.0; 60 s a fold" in " ".join(tuned), "the difference of each seed"


def test_finished_folds_are_read_again_and_changed_options_make_another_fold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "results.jsonl"
    for fold in REPORT[:2]:
        Results(path).add(fold, result(fold, right=3))
    results = Results(path)
    assert results.get(REPORT[0]) == json.loads(path.read_text().splitlines()[0])
    assert list(comparable(REPORT, results)) == [(0, 0)]
    monkeypatch.setattr("benchmarks.recipes.VARIANTS", {fold.variant: {"batchnorm": True, "l1": 1.0} for fold in REPORT})
    assert Results(path).get(REPORT[0]) is None
    assert not comparable(REPORT, results)


def test_half_the_size() -> None:
    full = np.arange(2 * 80 * 80, dtype=np.float32).reshape(2, 80, 80)
    halved = half_size.log_mels(full)
    assert halved.shape[1:] == half_size.SPEC.shape == (40, 40)
    assert halved[1, 3, 7] == np.mean([full[1, 6, 14], full[1, 6, 15], full[1, 7, 14], full[1, 7, 15]])
    masked = half_size.augmentation(Augmentation(masks=SpecMasks(), mixup=0.3, random_crop=16))
    assert masked == Augmentation(masks=SpecMasks(max_bands=13), mixup=0.3, random_crop=8)
    options = TrainOptions(batchnorm=True, dropout=0.5)
    model = half_size.shallow(options, shape=(40, 40), n_genres=10, standardization=None, synchronized=False)
    assert model.get_layer("branches").output.shape == (None, 5120)
    assert model.get_layer("dropout").rate == 0.5
    assert model(halved[..., np.newaxis]).shape == (2, 10)
