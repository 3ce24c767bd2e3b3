"""What several runs have in common: means, standard deviations and pooled counts. Pure functions of their metrics."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from keras_model.reports.comparable_runs import Groups, Metrics, SummaryKind, check_comparable, split_title
from keras_model.reports.comparison import reported_epochs
from keras_model.reports.published import ACCURACIES, is_gtzan, notes

_CONFUSIONS = {key: f"{key}_confusion" for key in ACCURACIES}


def summarise(groups: Groups, *, kind: SummaryKind) -> dict[str, Any]:
    """Summarises finished runs.

    Args:
        groups: What `metrics.json` holds of each run, by the name of the network that tables give.
        kind: "runs" with several seeds on one split, or "folds" of a cross-validation.

    Returns:
        What `summary.json` holds. Accuracies in 0..1; `std` is the sample standard deviation (n − 1), None for one run. For each
        network: `epochs` (the publications' epochs and the last one), `per_genre` (at the last epoch), `curves` (the mean and
        std after each epoch) and `pooled` (the last epoch's counts of all runs added up, and the accuracies from them).

    Raises:
        UsageError: If the runs do not belong together.
    """
    check_comparable(groups, kind=kind)
    every_run = [run for runs in groups.values() for run in runs]
    first = next((run for run in every_run if not is_gtzan(run)), every_run[0])
    split = split_title(groups)
    return {
        "kind": kind,
        "corpus": first["corpus"],
        "is_gtzan": is_gtzan(first),
        "preset": first["dataset"]["preset"],
        "genres": list(first["dataset"]["genres"]),
        "split": split,
        "fingerprints": {run["dataset"]["split_scheme"]: run["dataset"]["fingerprint"] for run in every_run},
        "notes": notes(first, split=split),
        "networks": {name: _summary_of(runs) for name, runs in groups.items()},
    }


def _summary_of(runs: Sequence[Metrics]) -> dict[str, Any]:
    """The summary of one network's runs."""
    chosen = _is_chosen(runs)
    tested = [] if chosen else [logs for logs in runs[0]["epochs"] if "test_raw" in logs]
    curves = {key: np.array([[epoch[f"test_{key}"] for epoch in run["epochs"]] for run in runs]) for key in ACCURACIES if tested}
    return {
        "n": len(runs),
        "model": runs[0]["model"]["name"],
        "batchnorm": runs[0]["options"]["batchnorm"],
        "seeds": [run["options"]["seed"] for run in runs],
        "folders": [run["options"]["output"] for run in runs],
        "epochs": [
            {"epoch": epoch} | {key: _estimate(_values_at(runs, key, epoch)) for key in ACCURACIES}
            for epoch in ([max(len(run["epochs"]) for run in runs)] if chosen else reported_epochs(runs[0]))
        ],
        "per_genre": {
            genre: {key: _estimate([run["final"]["per_genre"][genre][key] for run in runs]) for key in ACCURACIES}
            for genre in runs[0]["dataset"]["genres"]
        },
        "curves": {key: {"mean": values.mean(axis=0).tolist(), "std": _std(values)} for key, values in curves.items()},
        "pooled": _pooled(runs),
    }


def _is_chosen(runs: Sequence[Metrics]) -> bool:
    """Whether a validation split has decided which epoch of each run is kept."""
    return any(run["options"].get("keep") == "best" or run["options"].get("early_stopping") for run in runs)


def _values_at(runs: Sequence[Metrics], key: str, epoch: int) -> list[float]:
    if _is_chosen(runs):
        return [run["final"][key] for run in runs]
    return [run["final"][key] if epoch == run["kept_epoch"] else run["epochs"][epoch - 1][f"test_{key}"] for run in runs]


def _pooled(runs: Sequence[Metrics]) -> dict[str, Any]:
    """Counts of all runs added up: for folds each track counts once."""
    confusions = {key: np.sum([run["final"][name] for run in runs], axis=0) for key, name in _CONFUSIONS.items()}
    accuracies = {key: float(np.trace(counts) / counts.sum()) for key, counts in confusions.items()}
    counted = {
        "n_chunks": sum(run["final"]["n_chunks"] for run in runs),
        "n_tracks": sum(run["final"]["n_tracks"] for run in runs),
    }
    return accuracies | counted | {_CONFUSIONS[key]: counts.tolist() for key, counts in confusions.items()}


def _estimate(values: Sequence[float]) -> dict[str, Any]:
    return {
        "mean": float(np.mean(values)),
        "std": _std(np.asarray(values)),
        "min": float(np.min(values)),
        "max": float(np.max(values)),
        "values": list(values),
    }


def _std(values: ArrayLike) -> Any:
    """Sample standard deviation over the first axis; None for a single sample."""
    array = np.asarray(values)
    return np.std(array, axis=0, ddof=1).tolist() if len(array) > 1 else None
