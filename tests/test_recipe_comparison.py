"""The comparison of recipes: what it trains, what it keeps, and its table."""

import json
from pathlib import Path

import pytest

from benchmarks.recipes import STAGES, Fold, Results, all_folds, comparable, main

EPOCHS = 2
REPORT = all_folds("report", "paper", STAGES["report"].variants, epochs=EPOCHS)


def result(fold: Fold, *, right: int) -> dict[str, object]:
    """Of ten tracks, as many right as asked for."""
    of_tracks = [1] * right + [0] * (10 - right)
    tracks = [f"fold{fold.fold}.{number}" for number in range(10)]
    return {"raw": right / 10, "seconds": 60, "tracks": tracks, "maximum": of_tracks, "majority": of_tracks}


def test_no_fold_is_both_chosen_on_and_reported_on() -> None:
    assert not set(STAGES["choose"].seeds) & set(STAGES["report"].seeds)


def test_the_table_has_the_folds_that_every_variant_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "results.jsonl"
    results = Results(path)
    for fold in REPORT[:11]:  # both variants on the five first folds, and the first variant on the sixth
        results.add(fold, result(fold, right=(5 if fold.variant != "tuned" else 6 + fold.seed)))
    main(["report", "--results", str(path), "--epochs", str(EPOCHS)])
    screen = capsys.readouterr().out
    assert "paper: 5 of 12 folds: seed 0 fold 1, seed 0 fold 2, seed 0 fold 3, seed 0 fold 4, seed 1 fold 1\n" in screen
    paper, tuned = (line.split() for line in screen.splitlines()[-2:])
    assert paper[3:6] == ["50.0"] * 3
    assert tuned[1:4] == ["62.0", "61.3", "61.3"], "each track counts once, however often it was tested"
    assert "+10.0 +20.0; 60 s a fold" in " ".join(tuned), "the difference of each seed"


def test_finished_folds_are_read_again_and_changed_options_make_another_fold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "results.jsonl"
    for fold in REPORT[:2]:
        Results(path).add(fold, result(fold, right=3))
    results = Results(path)
    assert results.get(REPORT[0]) == json.loads(path.read_text().splitlines()[0])
    assert list(comparable(REPORT, results)) == [(0, 1)]
    monkeypatch.setattr("benchmarks.recipes.VARIANTS", {fold.variant: {"batchnorm": True, "l1": 1.0} for fold in REPORT})
    assert Results(path).get(REPORT[0]) is None
    assert not comparable(REPORT, results)
