"""Whether finished runs belong into one summary: runs on one split, or the folds of a cross-validation."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from tfrecords.errors import UsageError, quoted

SummaryKind = Literal["runs", "folds"]
Metrics = Mapping[str, Any]
Groups = Mapping[str, Sequence[Metrics]]

# Splits that divide all tracks among them: kfold-1/4 to kfold-4/4, and the three published folds that keep artists apart.
_FOLD = re.compile(r"(?P<family>kfold|artist)-(?P<number>\d+)(?:/(?P<n_folds>\d+))?")
_N_ARTIST_FOLDS = 3
# What does not change what a run is a sample of.
_MAY_DIFFER = frozenset({"data", "output", "export", "seed", "verbose", "cache_gib", "fold", "checkpoint_seconds"})


def kind_of(groups: Groups) -> SummaryKind:
    """Folds where runs are of different folds, else runs on one split."""
    schemes = {run["dataset"]["split_scheme"] for runs in groups.values() for run in runs}
    return "folds" if len(schemes) > 1 and all(map(_FOLD.fullmatch, schemes)) else "runs"


def split_title(groups: Groups) -> str:
    """The split scheme of runs, or what the folds have in common."""
    schemes = sorted({run["dataset"]["split_scheme"] for runs in groups.values() for run in runs})
    return schemes[0] if len(schemes) == 1 else f"{schemes[0]} to {schemes[-1]}"


def check_comparable(groups: Groups, *, kind: SummaryKind) -> None:
    """Refuses runs of which mean and standard deviation would say nothing.

    Args:
        groups: What `metrics.json` holds of each run, by network.
        kind: "runs" must share one dataset and differ in their seeds; "folds" must be every fold of one cross-validation once.

    Raises:
        UsageError: Naming the run and what is wrong with it.
    """
    if not groups or not all(groups.values()):
        raise UsageError("a summary needs at least one finished run of each network")
    first = next(iter(groups.values()))[0]
    for runs in groups.values():
        for run in runs:
            if run["interrupted"]:
                raise UsageError(f"{_name(run)} is no finished run: its training was interrupted")
            _check_same(run, first, _data)
            _check_same(run, runs[0], _settings)
            if not run["options"].get("early_stopping") and len(run["epochs"]) != len(runs[0]["epochs"]):
                raise UsageError(f"{_name(run)} has {len(run['epochs'])} epochs, {_name(runs[0])} has {len(runs[0]['epochs'])}")
        if kind == "folds":
            _check_folds(runs)
        else:
            _check_seeds(runs)
    fingerprint_of: dict[Any, Metrics] = {}
    for run in (run for runs in groups.values() for run in runs):
        other = fingerprint_of.setdefault(run["dataset"]["split_scheme"] if kind == "folds" else None, run)
        if run["dataset"]["fingerprint"] != other["dataset"]["fingerprint"]:
            raise UsageError(
                f"{_name(run)} is of another dataset (fingerprint {run['dataset']['fingerprint'][:16]}) than {_name(other)} "
                f"({other['dataset']['fingerprint'][:16]})"
            )


def _check_seeds(runs: Sequence[Metrics]) -> None:
    by_seed: dict[int, Metrics] = {}
    for run in runs:
        other = by_seed.setdefault(run["options"]["seed"], run)
        if other is not run:
            raise UsageError(f"{_name(run)} and {_name(other)} have the same seed, {run['options']['seed']}")


def _check_folds(runs: Sequence[Metrics]) -> None:
    numbers: dict[int, Metrics] = {}
    families = set()
    for run in runs:
        fold = _FOLD.fullmatch(run["dataset"]["split_scheme"])
        if not fold:
            raise UsageError(f"{_name(run)} is of split {run['dataset']['split_scheme']}, which is no fold")
        families.add((fold["family"], int(fold["n_folds"] or _N_ARTIST_FOLDS)))
        other = numbers.setdefault(int(fold["number"]), run)
        if other is not run:
            raise UsageError(f"{_name(run)} and {_name(other)} are both of fold {fold['number']}")
    if len(families) > 1:
        schemes = ", ".join(run["dataset"]["split_scheme"] for run in runs)
        raise UsageError(f"the runs are of several cross-validations: {schemes}")
    ((family, n_folds),) = families
    if missing := sorted({*range(1, n_folds + 1)} - numbers.keys()):
        raise UsageError(
            f"{runs[0]['model']['name']} has no run of fold {', '.join(map(str, missing))} of {n_folds} ({family}): a "
            "cross-validation needs each"
        )
    fold_of: dict[str, int] = {}
    for number, run in sorted(numbers.items()):
        for track_id in run["final"]["tracks"]:
            other_number = fold_of.setdefault(track_id, number)
            if other_number != number:
                raise UsageError(
                    f"folds {other_number} and {number} both test track {quoted(track_id)}: they are of different --seed"
                )


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
