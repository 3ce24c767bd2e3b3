"""What `metrics.json` holds, made without training a network."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_model.evaluation.accuracies import Evaluation
from keras_model.reports.occlusion import parts_of
from tests.tiny_dataset import TinyDataset
from tfrecords.records.reading import read_split
from tfrecords.records.schema import Record

# What the network takes a chunk for: a label, by the chunk and the number of genres.
Guess = Callable[[Record, int], int]


def truth(record: Record, n_genres: int) -> int:
    return record.label


def by_number(record: Record, n_genres: int) -> int:
    """Of four test tracks of a genre two are right, one has every third chunk right, and one has none."""
    number = int(record.track_id.rsplit(".", 1)[1]) // 3 % 4
    is_right = number < 2 or (number == 2 and record.chunk_index % 3 == 0)
    return record.label if is_right else (record.label + 1) % n_genres


class ByParts:
    """Stands for a network that goes by one part of the log-mel alone for each genre: for the first genre by the first part."""

    def predict(self, log_mels: NDArray[np.float32], **options: Any) -> NDArray[np.float32]:
        """Probabilities of three genres, (n, 3): the softmax of the means of their parts of (n, n_mels, n_frames, 1)."""
        parts = parts_of(log_mels.shape[1:3])[:3]
        logits = np.exp(np.stack([log_mels[:, bands, frames].mean(axis=(1, 2, 3)) for bands, frames in parts], axis=1))
        return logits / logits.sum(axis=1, keepdims=True)


def metrics_of(tiny: TinyDataset, *, guess: Guess, seed: int = 0, n_epochs: int = 3, **changes: Any) -> dict[str, Any]:
    """The metrics of a run on the test split of a small dataset.

    Args:
        tiny: The dataset.
        guess: What the network takes each chunk for.
        seed: Of its sureness, and of what the epochs before the last one have measured.
        n_epochs: Number of epochs.
        changes: Other values of `options`, and of `model` and `split_scheme`.

    Its baseline has two thirds of the tracks right.
    """
    manifest = tiny.manifest
    records = list(read_split(tiny.folder, manifest, "test"))
    rng = np.random.default_rng(seed)
    probabilities = rng.uniform(0.0, 0.2, (len(records), len(manifest.genres)))
    for row, record in enumerate(records):
        probabilities[row, guess(record, len(manifest.genres))] += 1.0
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    evaluation = Evaluation(
        probabilities=probabilities,
        labels=np.array([record.label for record in records]),
        track_ids=[record.track_id for record in records],
        chunk_indices=np.array([record.chunk_index for record in records]),
        places=np.arange(len(records)),
        genres=manifest.genres,
    )
    return {
        "corpus": {"name": manifest.corpus.name, "synthetic": manifest.corpus.synthetic},
        "final": evaluation.to_dict(),
        "epochs": epochs_of(rng, n_epochs),
        "kept_epoch": n_epochs,
        "steps_per_epoch": 120,
        "steps": [],
        "interrupted": False,
        "options": {"data": "data", "output": f"runs/{seed}", "seed": seed, "epochs": n_epochs, "batchnorm": False}
        | {name: value for name, value in changes.items() if name not in ("model", "split_scheme")},
        "baseline": {"accuracy": 2 / 3, "interval": (0.3, 0.9), "n_tracks": 12, "n_train_tracks": 12, "n_train_records": 108},
        "level": {"-12": {"maximum": 0.25, "changed": 0.5}, "6": {"maximum": 0.75, "changed": 0.125}},
        "model": {"name": changes.get("model", "shallow"), "parameters": 2_060_642, "pretrained": False},
        "dataset": {
            "fingerprint": manifest.fingerprint,
            "preset": manifest.preset,
            "tested_on": ["test"],
            "split_scheme": changes.get("split_scheme", manifest.split_scheme),
            "genres": list(manifest.genres),
            "splits": {name: {"tracks": s.n_tracks, "records": s.n_records} for name, s in manifest.splits.items()},
        },
        "training_seconds": 12.3,
        "devices": ["CPU:0"],
        "versions": {"python": "3.11"},
    }


def validated(metrics: dict[str, Any], *, kept_epoch: int) -> dict[str, Any]:
    """The metrics of a run that was validated after each epoch, and kept one of them."""
    names = {"test_raw": "val_accuracy", "test_maximum": "val_maximum", "test_majority": "val_majority"}
    names |= {"test_cross_entropy": "val_cross_entropy"}
    epochs = [{names.get(name, name): value for name, value in logs.items()} | {"val_loss": 1.0} for logs in metrics["epochs"]]
    options = metrics["options"] | {"keep": "best", "early_stopping": 2}
    return metrics | {"epochs": epochs, "kept_epoch": kept_epoch, "options": options}


def epochs_of(rng: np.random.Generator, n_epochs: int) -> list[dict[str, float]]:
    names = ("loss", "accuracy", "cross_entropy", "test_raw", "test_maximum", "test_majority", "test_cross_entropy")
    return [dict(zip(names, rng.uniform(0.3, 0.9, len(names)).tolist(), strict=True)) for _ in range(n_epochs)]
