"""What several runs have in common, and whether they belong into one summary at all. Pure functions of their metrics."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_model.evaluation.intervals import wilson_interval
from keras_model.reports.comparison import accuracy_at, reported_epochs
from keras_model.reports.published import ACCURACIES, PRETRAINED_NOTE, is_gtzan, notes
from tfrecords.errors import UsageError, quoted

Metrics = Mapping[str, Any]
Groups = Mapping[str, Sequence[Metrics]]

# Splits that divide all tracks among them: kfold-1/4 to kfold-4/4, and the three published folds that keep artists apart.
_FOLD = re.compile(r"(?P<family>kfold|artist)-(?P<number>\d+)(?:/(?P<n_folds>\d+))?")
_N_ARTIST_FOLDS = 3
# What does not change what a run is a sample of.
_MAY_DIFFER = frozenset({"data", "output", "export", "seed", "verbose", "cache_gib", "fold"})


def kind_of(groups: Groups) -> str:
    """The kind of several runs: "folds" of a cross-validation, or "runs" with several seeds on one split."""
    schemes = {run["dataset"]["split_scheme"] for runs in groups.values() for run in runs}
    return "folds" if len(schemes) > 1 and all(map(_FOLD.fullmatch, schemes)) else "runs"


def summarise(groups: Groups) -> dict[str, Any]:
    """Summarises finished runs: what `metrics.json` holds of each, by the name of the network that tables give.

    Returns:
        What `summary.json` holds. Accuracies in 0..1; `std` is the sample standard deviation (n − 1), None for one run;
        `interval` the 95 % interval of the mean over other tracks, None for chunks; `baseline` that of all runs' tracks. For each
        network: `epochs` (the publications' epochs and the last one), `per_genre` (at the last epoch), `curves` (the mean and
        std after each epoch) and `pooled` (the last epoch's counts of all runs added up, and the accuracies from them).

    Raises:
        UsageError: If the runs do not belong together.
    """
    check_comparable(groups)
    every_run = [run for runs in groups.values() for run in runs]
    first = next((run for run in every_run if not is_gtzan(run)), every_run[0])
    schemes = sorted({run["dataset"]["split_scheme"] for run in every_run})
    split = schemes[0] if len(schemes) == 1 else f"{schemes[0]} to {schemes[-1]}"
    pretrained = [name for name, runs in groups.items() if runs[0]["model"].get("pretrained")]
    return {
        "kind": kind_of(groups),
        "corpus": first["corpus"],
        "preset": first["dataset"]["preset"],
        "genres": list(first["dataset"]["genres"]),
        "split": split,
        "fingerprints": {run["dataset"]["split_scheme"]: run["dataset"]["fingerprint"] for run in every_run},
        "notes": [*notes(first, split=split), *(f"{name}: {PRETRAINED_NOTE}" for name in pretrained)],
        "baseline": _baseline_of(next(iter(groups.values()))),
        "networks": {name: _summary_of(runs) for name, runs in groups.items()},
    }


def _baseline_of(runs: Sequence[Metrics]) -> dict[str, Any] | None:
    """The baseline of one network's runs, which is one for all that share a split; None where one of them has none."""
    of_split = {run["dataset"]["split_scheme"]: run.get("baseline") for run in runs}
    baselines = [baseline for baseline in of_split.values() if baseline is not None]
    if len(baselines) < len(of_split):
        return None
    n_tracks = [baseline["n_tracks"] for baseline in baselines]
    accuracy = float(np.average([baseline["accuracy"] for baseline in baselines], weights=n_tracks))
    return {"accuracy": accuracy, "interval": wilson_interval(accuracy, sum(n_tracks)), "n_tracks": sum(n_tracks)}


def _summary_of(runs: Sequence[Metrics]) -> dict[str, Any]:
    """The summary of one network's runs."""
    # Where a validation split has chosen the epoch, it is another one in each run.
    chosen = len({(len(run["epochs"]), run["kept_epoch"]) for run in runs}) > 1
    tested = not chosen and all("test_raw" in logs for run in runs for logs in run["epochs"])
    if chosen:
        reported = {max(run["kept_epoch"] for run in runs): {key: [run["final"][key] for run in runs] for key in ACCURACIES}}
    else:
        reported = {
            epoch: {key: [accuracy_at(run, key, epoch) for run in runs] for key in ACCURACIES}
            for epoch in reported_epochs(runs[0])
        }
    curves = {key: np.array([[logs[f"test_{key}"] for logs in run["epochs"]] for run in runs]) for key in ACCURACIES if tested}
    # Runs on one split test the same tracks: their number is no greater for it.
    genre_of = {track_id: track["genre"] for run in runs for track_id, track in run["final"]["tracks"].items()}
    n_of_genre = Counter(genre_of.values())
    confusions = {key: np.sum([run["final"][f"{key}_confusion"] for run in runs], axis=0) for key in ACCURACIES}
    return {
        "n": len(runs),
        "model": runs[0]["model"]["name"],
        "batchnorm": runs[0]["options"]["batchnorm"],
        "seeds": [run["options"]["seed"] for run in runs],
        "folders": [run["options"]["output"] for run in runs],
        "epochs": [{"epoch": epoch} | _estimates(of, n_tracks=len(genre_of)) for epoch, of in reported.items()],
        "per_genre": {
            genre: _estimates(
                {key: [run["final"]["per_genre"][genre][key] for run in runs] for key in ACCURACIES}, n_tracks=n_of_genre[genre]
            )
            for genre in runs[0]["dataset"]["genres"]
        },
        "curves": {key: {"mean": values.mean(axis=0).tolist(), "std": _std(values)} for key, values in curves.items()},
        "pooled": {key: float(np.trace(counts) / counts.sum()) for key, counts in confusions.items()}
        | {name: sum(run["final"][name] for run in runs) for name in ("n_chunks", "n_tracks")}
        | {f"{key}_confusion": counts.tolist() for key, counts in confusions.items()},
    }


def _estimates(accuracies: Mapping[str, Sequence[float]], *, n_tracks: int) -> dict[str, Any]:
    """By the keys of ACCURACIES, what several runs have in common that tested so many different tracks."""
    return {key: _estimate(values) | {"interval": _interval(key, values, n_tracks)} for key, values in accuracies.items()}


def _estimate(values: Sequence[float]) -> dict[str, Any]:
    return {"mean": float(np.mean(values)), "std": _std(values), "min": min(values), "max": max(values), "values": list(values)}


def _interval(key: str, values: Sequence[float], n_tracks: int) -> tuple[float, float] | None:
    return None if key == "raw" else wilson_interval(float(np.mean(values)), n_tracks)


def _std(values: Any) -> Any:
    """Sample standard deviation over the first axis; None for a single sample."""
    return np.std(values, axis=0, ddof=1).tolist() if len(values) > 1 else None


def check_comparable(groups: Groups) -> None:
    """Refuses runs of which mean and standard deviation would say nothing.

    Runs on one split must share its dataset and differ in their seeds; of a cross-validation there must be every fold, once.

    Raises:
        UsageError: Naming the run and what is wrong with it.
    """
    kind = kind_of(groups)
    first = next(iter(groups.values()))[0]
    run_of_data: dict[Any, Metrics] = {}
    for runs in groups.values():
        for run in runs:
            if run["interrupted"]:
                raise UsageError(f"{_name(run)} is no finished run: its training was interrupted")
            _check_same(run, first, _data)
            _check_same(run, runs[0], _settings)
        if kind == "folds":
            _check_folds(runs)
        else:
            _check_different(runs, "have the same seed,", lambda run: run["options"]["seed"])
        for run in runs:
            other = run_of_data.setdefault(run["dataset"]["split_scheme"] if kind == "folds" else None, run)
            theirs, ours = other["dataset"]["fingerprint"], run["dataset"]["fingerprint"]
            if theirs != ours:
                both = f"{_name(run)} is of another dataset (fingerprint {ours[:16]}) than {_name(other)} ({theirs[:16]})"
                raise UsageError(both)


def _check_different(runs: Sequence[Metrics], what: str, key_of: Callable[[Metrics], int]) -> dict[int, Metrics]:
    """The runs by a number that no two may share."""
    by_key: dict[int, Metrics] = {}
    for run in runs:
        other = by_key.setdefault(key_of(run), run)
        if other is not run:
            raise UsageError(f"{_name(run)} and {_name(other)} {what} {key_of(run)}")
    return by_key


def _check_folds(runs: Sequence[Metrics]) -> None:
    folds = {_name(run): fold for run in runs if (fold := _FOLD.fullmatch(run["dataset"]["split_scheme"]))}
    by_number = _check_different(runs, "are both of fold", lambda run: int(folds[_name(run)]["number"]))
    families = {(fold["family"], int(fold["n_folds"] or _N_ARTIST_FOLDS)) for fold in folds.values()}
    if len(families) > 1:
        schemes = ", ".join(run["dataset"]["split_scheme"] for run in runs)
        raise UsageError(f"the runs are of several cross-validations: {schemes}")
    ((family, n_folds),) = families
    if missing := sorted({*range(1, n_folds + 1)} - by_number.keys()):
        raise UsageError(
            f"{runs[0]['model']['name']} has no run of fold {', '.join(map(str, missing))} of {n_folds} ({family}): a "
            "cross-validation needs each"
        )
    fold_of: dict[str, int] = {}
    for number, run in sorted(by_number.items()):
        for track_id in run["final"]["tracks"]:
            other = fold_of.setdefault(track_id, number)
            if other != number:
                raise UsageError(f"folds {other} and {number} both test track {quoted(track_id)}: they are of different --seed")


def _check_same(run: Metrics, other: Metrics, values_of: Callable[[Metrics], Mapping[str, Any]]) -> None:
    values, expected = values_of(run), values_of(other)
    for key in sorted(values.keys() | expected.keys()):
        if values.get(key) != expected.get(key):
            differs = f"{quoted(values.get(key))} instead of {quoted(expected.get(key))}"
            raise UsageError(f"{_name(run)} has another {key} than {_name(other)}: {differs}")


def _data(run: Metrics) -> dict[str, Any]:
    """What the runs of all networks must share."""
    return {"corpus": run["corpus"], "genres": list(run["dataset"]["genres"]), "preset": run["dataset"]["preset"]}


def _settings(run: Metrics) -> dict[str, Any]:
    """What the runs of one network must share."""
    options = {name: value for name, value in run["options"].items() if name not in _MAY_DIFFER}
    return {"network": run["model"]["name"]} | options


def _name(run: Metrics) -> str:
    return str(run["options"]["output"])
