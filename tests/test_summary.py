"""Several runs in one summary: statistics, tables, page, and which runs are refused."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_model import summary
from keras_model.evaluation.intervals import wilson_interval
from keras_model.reports.comparison import of_summary, summary_text
from keras_model.reports.published import PUBLISHED
from keras_model.reports.report import write_summary
from keras_model.reports.run_statistics import Groups, check_comparable, kind_of, summarise
from tests.html_page import Page
from tests.run_metrics import by_number, metrics_of, truth, validated
from tests.tiny_dataset import GENRES, TinyDataset
from tfrecords.errors import UsageError

ACCURACIES = ("raw", "maximum", "majority")
NUMBERS = st.floats(0, 1)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyDataset:
    return TinyDataset(tmp_path_factory.mktemp("tiny") / "dataset", tracks_per_genre=12)


@pytest.fixture(scope="module")
def groups(tiny: TinyDataset) -> Groups:
    """Three runs of one network and two of another, which has batch normalisation."""
    plain = [metrics_of(tiny, guess=guess, seed=seed) for seed, guess in enumerate((by_number, truth, by_number))]
    normalised = [metrics_of(tiny, guess=by_number, seed=seed, model="shallow_batchnorm", batchnorm=True) for seed in (0, 1)]
    return {"shallow": plain, "shallow with batch norm": normalised}


@pytest.fixture(scope="module")
def folds(tmp_path_factory: pytest.TempPathFactory) -> Groups:
    """Three folds, of other tracks each; fewer in the last one."""
    runs = []
    for number, n_tracks in ((1, 12), (2, 12), (3, 6)):
        tiny = TinyDataset(tmp_path_factory.mktemp("fold") / "dataset", tracks_per_genre=n_tracks)
        run = metrics_of(tiny, guess=truth if number == 3 else by_number, seed=5, split_scheme=f"kfold-{number}/3")
        run["options"]["output"] = f"runs/fold-{number}"
        run["dataset"]["fingerprint"] = f"{number}" * 64
        run["final"]["tracks"] = {f"{number}-{track_id}": track for track_id, track in run["final"]["tracks"].items()}
        runs.append(run)
    return {"shallow": runs}


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_statistics_are_those_of_numpy_in_any_order(groups: Groups, values: list[tuple[float, ...]], random: Any) -> None:
    runs = []
    for seed, of_run in enumerate(values):
        run: Any = copy.deepcopy(groups["shallow"][0])
        run["options"]["seed"] = seed
        run["final"] |= dict(zip(ACCURACIES, of_run, strict=True))
        run["final"]["per_genre"]["jazz"] = dict(zip(ACCURACIES, of_run, strict=True))
        run["epochs"] = [dict(zip((f"test_{key}" for key in ACCURACIES), of_run, strict=True))] * 120
        run["kept_epoch"] = 120
        runs.append(run)
    random.shuffle(runs)
    network = summarise({"shallow": runs})["networks"]["shallow"]
    assert network["n"] == len(values)
    assert [at["epoch"] for at in network["epochs"]] == [100, 120]
    for column, key in enumerate(ACCURACIES):
        expected = np.array([of_run[column] for of_run in values])
        for estimate in (*(at[key] for at in network["epochs"]), network["per_genre"]["jazz"][key]):
            assert estimate["mean"] == pytest.approx(expected.mean())
            assert estimate["std"] == (pytest.approx(expected.std(ddof=1)) if len(values) > 1 else None)
            assert (estimate["min"], estimate["max"]) == (expected.min(), expected.max())
        curve = network["curves"][key]
        np.testing.assert_allclose(curve["mean"], np.full(120, expected.mean()))
        if len(values) > 1:
            np.testing.assert_allclose(curve["std"], np.full(120, expected.std(ddof=1)), atol=1e-12)


def test_runs_that_kept_other_epochs_are_summed_up_by_what_they_kept(tiny: TinyDataset) -> None:
    runs = [
        validated(metrics_of(tiny, guess=guess, seed=seed), kept_epoch=seed + 1) for seed, guess in enumerate((by_number, truth))
    ]
    runs[1]["epochs"] = runs[1]["epochs"][:2]
    network = summarise({"shallow": runs})["networks"]["shallow"]
    assert [at["epoch"] for at in network["epochs"]] == [2]
    assert network["epochs"][0]["maximum"]["values"] == [run["final"]["maximum"] for run in runs]
    assert network["curves"] == {}
    text = summary_text(summarise({"shallow": runs}))
    assert "shallow, mean of 2 runs" in text


def test_folds_are_pooled_over_all_tracks_too(folds: Groups) -> None:
    network = summarise(folds)["networks"]["shallow"]
    finals = [run["final"] for run in folds["shallow"]]
    pooled = network["pooled"]
    assert (pooled["n_tracks"], pooled["n_chunks"]) == (12 + 12 + 6, 3 * (12 + 12 + 6))
    weighted = np.average([final["maximum"] for final in finals], weights=[final["n_tracks"] for final in finals])
    assert pooled["maximum"] == pytest.approx(weighted)
    assert network["epochs"][0]["maximum"]["mean"] == pytest.approx(np.mean([final["maximum"] for final in finals]))
    assert pooled["maximum"] != pytest.approx(network["epochs"][0]["maximum"]["mean"])
    np.testing.assert_array_equal(pooled["raw_confusion"], np.sum([final["raw_confusion"] for final in finals], axis=0))
    table = of_summary(summarise(folds))["without_batch_normalisation"]
    assert [row.label for row in table.rows] == ["shallow, mean of 3 folds", "shallow, 30 tracks pooled"]
    assert table.rows[1].accuracies["maximum"].mean == pytest.approx(100 * weighted)


def test_intervals_count_each_track_once_and_folds_share_a_baseline(groups: Groups, folds: Groups) -> None:
    (network,) = summarise({"shallow": groups["shallow"]})["networks"].values()
    maximum = network["epochs"][0]["maximum"]
    assert maximum["interval"] == wilson_interval(maximum["mean"], 12), "three runs on the same 12 tracks"
    assert network["epochs"][0]["raw"]["interval"] is None
    assert network["per_genre"]["jazz"]["majority"]["interval"] == wilson_interval(
        network["per_genre"]["jazz"]["majority"]["mean"], 4
    )
    of_folds: Any = copy.deepcopy(folds["shallow"])
    for run, accuracy, n_tracks in zip(of_folds, (0.5, 0.75, 1.0), (12, 12, 6), strict=True):
        run["baseline"] |= {"accuracy": accuracy, "n_tracks": n_tracks}
    summary_of_folds = summarise({"shallow": of_folds})
    assert summary_of_folds["baseline"] == {"accuracy": 0.7, "interval": wilson_interval(0.7, 30), "n_tracks": 30}
    row = of_summary(summary_of_folds)["without_batch_normalisation"].rows[1]
    low, high = wilson_interval(summary_of_folds["networks"]["shallow"]["pooled"]["maximum"], 30)
    assert row.accuracies["maximum"].interval == pytest.approx((100 * low, 100 * high))


def test_runs_of_before_there_was_a_baseline_are_summed_up(groups: Groups, tmp_path: Path) -> None:
    old: Any = copy.deepcopy(groups["shallow"])
    for run in old:
        del run["baseline"], run["model"]["pretrained"], run["final"]["intervals"], run["final"]["chance"]
    summary_of_old = summarise({"shallow": old})
    assert summary_of_old["baseline"] is None
    page = Page(write_summary(summary_of_old, folder=tmp_path))
    assert "chance level" in page.text
    assert "logistic regression" not in page.text
    assert "logistic regression" in Page(write_summary(summarise(groups), folder=tmp_path / "new")).text


def test_a_pretrained_network_is_named_in_the_notes(groups: Groups) -> None:
    heard: Any = copy.deepcopy(groups["shallow"])
    for run in heard:
        run["model"]["pretrained"] = True
    assert "probe: Its pre-trained part may have heard" in summary_text(summarise({"probe": heard}))


def test_tables_have_the_published_rows_of_their_kind(groups: Groups) -> None:
    text = summary_text(summarise(groups))
    without, with_norm = text.split("With batch normalisation")
    for result in PUBLISHED:
        part = with_norm if result.batchnorm else without
        for value in (result.raw, result.maximum, result.majority):
            assert f"{value:.2f}" in part
    assert "shallow, mean of 3 runs" in without
    assert "shallow with batch norm, mean of 2 runs" in with_norm
    mean = np.mean([run["final"]["maximum"] for run in groups["shallow"]])
    std = np.std([run["final"]["maximum"] for run in groups["shallow"]], ddof=1)
    (row,) = [line for line in without.splitlines() if "mean of 3 runs" in line]
    assert f"{100 * mean:.2f} ± {100 * std:.2f}" in row
    for part in (without, with_norm):
        assert "Here, on tiny (SYNTHETIC)" in part
        assert "Not comparable: other data." in part
    rows = [line for line in without.splitlines() if " 100 " in line or " 200 " in line or "mean of" in line]
    assert len({len(line) for line in rows}) == 1, "aligned"


def test_only_tables_with_rows_of_ones_own_are_made(groups: Groups) -> None:
    assert list(of_summary(summarise({"x": groups["shallow"]}))) == ["without_batch_normalisation"]
    (row,) = of_summary(summarise({"x": groups["shallow"][:1]}))["without_batch_normalisation"].rows
    assert row.label == "x, one run"
    assert "±" not in row.accuracies["raw"].text()


@pytest.mark.parametrize("kind", ["runs", "folds"])
def test_the_page_stands_alone(kind: Any, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    runs: Groups = request.getfixturevalue("groups" if kind == "runs" else "folds")
    runs = {f"{name} <i>/../": of_network for name, of_network in runs.items()}
    page = Page(write_summary(summarise(runs), folder=tmp_path / "sum"))
    assert page.loads == []
    assert page.links == []
    assert "i" not in page.tags
    figures = sorted(path.name for path in (tmp_path / "sum" / "figures").iterdir())
    assert len(figures) == 4 * len(runs)
    assert set(page.pictures.values()) == {(tmp_path / "sum" / "figures" / name).read_bytes() for name in figures}
    assert all(set(name) <= set("0123456789abcdefghijklmnopqrstuvwxyz_.") for name in figures)
    assert sorted(path.name for path in (tmp_path / "sum").iterdir()) == ["figures", "report.html", "summary.json"]
    written = json.loads((tmp_path / "sum" / "summary.json").read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(summarise(runs)))
    assert "Synthetic audio." in page.text
    for genre in GENRES:
        assert genre in page.text


def changed(**changes: Any) -> Callable[[list[dict[str, Any]]], None]:
    """Changes the last of some runs."""

    def change(runs: list[dict[str, Any]]) -> None:
        for part, values in changes.items():
            runs[-1][part] = {**runs[-1][part], **values} if isinstance(values, dict) else values

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed(interrupted=True), "runs/2 is no finished run: its training was interrupted"),
        (changed(corpus={"name": "other"}), "runs/2 has another corpus than runs/0: {'name': 'other', .*} instead of"),
        (
            changed(dataset={"fingerprint": "f" * 64}),
            r"runs/2 is of another dataset \(fingerprint f{16}\) than runs/0 \(\w{16}\)",
        ),
        (changed(dataset={"genres": ["x"]}), r"runs/2 has another genres than runs/0: \['x'\] instead of"),
        (changed(options={"seed": 1}), "runs/2 and runs/1 have the same seed, 1"),
        (changed(options={"learning_rate": 0.1}), "runs/2 has another learning_rate than runs/0: 0.1 instead of None"),
        (changed(options={"epochs": 7}), "runs/2 has another epochs than runs/0: 7 instead of 3"),
        (changed(model={"name": "deep"}), "runs/2 has another network than runs/0: 'deep' instead of 'shallow'"),
    ],
)
def test_runs_that_do_not_belong_together_are_refused(groups: Groups, change: Callable[[Any], None], message: str) -> None:
    runs = copy.deepcopy(list(groups["shallow"]))
    change(runs)
    with pytest.raises(UsageError, match=message):
        check_comparable({"shallow": runs})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (list.pop, r"shallow has no run of fold 3 of 3 \(kfold\): a cross-validation needs each"),
        (changed(dataset={"split_scheme": "kfold-2/3"}), "runs/fold-3 and runs/fold-2 are both of fold 2"),
        (changed(dataset={"split_scheme": "kfold-3/4"}), "several cross-validations: kfold-1/3, kfold-2/3, kfold-3/4"),
        (changed(dataset={"split_scheme": "artist-3"}), "several cross-validations: kfold-1/3, kfold-2/3, artist-3"),
        (
            changed(final={"tracks": {"1-blues.00002": {}}}),
            "folds 1 and 3 both test track '1-blues.00002': they are of different --seed",
        ),
    ],
)
def test_folds_of_no_whole_cross_validation_are_refused(folds: Groups, change: Callable[[Any], None], message: str) -> None:
    runs = copy.deepcopy(list(folds["shallow"]))
    change(runs)
    with pytest.raises(UsageError, match=message):
        check_comparable({"shallow": runs})


def test_networks_must_share_the_folds(folds: Groups) -> None:
    others = copy.deepcopy(list(folds["shallow"]))
    check_comparable({"shallow": folds["shallow"], "deep": others})
    others[1]["dataset"]["fingerprint"] = "e" * 64
    with pytest.raises(UsageError, match="is of another dataset"):
        check_comparable({"shallow": folds["shallow"], "deep": others})


def write_runs(folder: Path, groups: Groups) -> list[str]:
    names: list[str] = []
    for runs in groups.values():
        for run in runs:
            path = folder / f"run-{len(names)}"
            path.mkdir(parents=True)
            (path / "metrics.json").write_text(json.dumps(run), encoding="utf-8")
            names.append(str(path))
    return names


def test_the_command_groups_runs_by_network(groups: Groups, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = write_runs(tmp_path, groups)
    assert summary.main([*runs, "--output", str(tmp_path / "sum")]) == 0
    screen = capsys.readouterr().out
    assert "shallow, mean of 3 runs" in screen
    assert "shallow with batch norm, mean of 2 runs" in screen
    assert f"Report   {tmp_path / 'sum' / 'report.html'}" in screen
    written = json.loads((tmp_path / "sum" / "summary.json").read_text(encoding="utf-8"))
    assert written["kind"] == "runs"
    assert written["networks"]["shallow"]["folders"] == runs[:3]


def test_the_command_keeps_recipes_of_one_network_apart(
    groups: Groups, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tuned: Any = copy.deepcopy(groups["shallow"])
    for run in tuned:
        run["options"] |= {"recipe": "tuned", "mixup": 0.3}
    runs = write_runs(tmp_path, {"paper": groups["shallow"], "tuned": tuned})
    assert summary.main([*runs, "--output", str(tmp_path / "sum")]) == 0
    screen = capsys.readouterr().out
    assert "shallow, mean of 3 runs" in screen
    assert "shallow, recipe tuned, mean of 3 runs" in screen
    assert list(json.loads((tmp_path / "sum" / "summary.json").read_text(encoding="utf-8"))["networks"]) == [
        "shallow",
        "shallow, recipe tuned",
    ]


def test_the_command_knows_folds(folds: Groups, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert kind_of(folds) == "folds"
    assert kind_of({"shallow": folds["shallow"][:1]}) == "runs"
    assert summary.main([*write_runs(tmp_path, folds), "--output", str(tmp_path / "sum")]) == 0
    assert "shallow, 30 tracks pooled" in capsys.readouterr().out


def test_the_command_refuses_in_one_line(groups: Groups, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = write_runs(tmp_path, groups)
    (tmp_path / "empty").mkdir()
    for name, text in (("damaged", "{"), ("list", "[]"), ("older", '{"final": {}}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_text(text)
    other: Any = copy.deepcopy(groups["shallow"][0])
    other["options"]["seed"], other["dataset"]["fingerprint"] = 9, "f" * 64
    other_run = write_runs(tmp_path / "others", {"shallow": [other]})[0]
    cases = (
        ([*runs, str(tmp_path / "empty")], "empty is no finished run: it has no metrics.json"),
        ([*runs, str(tmp_path / "none")], "none is no finished run: it has no metrics.json"),
        ([*runs, str(tmp_path / "damaged")], "metrics.json is damaged: "),
        ([*runs, str(tmp_path / "list")], "metrics.json is damaged, or of another version: it lacks corpus, final"),
        ([*runs, str(tmp_path / "older")], "it lacks corpus, epochs"),
        ([*runs, other_run], f"{other_run} is of another dataset (fingerprint ffffffffffffffff) than {runs[0]}"),
        ([*runs, runs[0]], f"{runs[0]} and {runs[0]} have the same seed, 0"),
    )
    for arguments, message in cases:
        assert summary.main([*arguments, "--output", str(tmp_path / "sum")]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("summary: ")
        assert message in line
        assert not (tmp_path / "sum").exists()
    assert summary.main([*runs, "--output", str(tmp_path)]) == 2
    assert f"the output {tmp_path} exists; choose another --output" in capsys.readouterr().err
