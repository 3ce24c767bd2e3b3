"""What a run trains on and what it is tested on: the dataset's own splits, or a fold of all its tracks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_model.data.split_data import SplitData, load_split
from keras_model.options import TrainOptions
from keras_model.robust import heard
from tfrecords.dataset.folds import fold_of_tracks
from tfrecords.dataset.manifest import Manifest
from tfrecords.dataset.tracks import TrackLine, read_tracks
from tfrecords.errors import UsageError
from tfrecords.front_end.log_mel_spec import LogMelSpec
from tfrecords.front_end.statistics import LogMelStatistics, band_standardization

VALIDATION = "validation"
_BLOCK = 256


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainAndTest:
    """The data of one run.

    Attributes:
        train: What to train on.
        validation: What to validate on; None where the dataset has no such split.
        test: What to test on.
        standardization: `mean` and `std` of what is trained on; None for none.
        mean: What masks are filled with, (n_mels, 1) or (n_mels, n_frames).
        seen: The tracks that decide what the network is: those trained on, and those validated on.
        described: What `metrics.json` says of the split: scheme, numbers of tracks and records, and which splits of the dataset
            the tested records lie in.
    """

    train: SplitData
    validation: SplitData | None
    test: SplitData
    standardization: Mapping[str, Any] | None
    mean: NDArray[np.float32]
    seen: Sequence[TrackLine]
    described: Mapping[str, Any]


def load_train_and_test(options: TrainOptions, manifest: Manifest) -> TrainAndTest:
    """Opens what a run needs.

    Raises:
        UsageError: If the dataset cannot be dealt to folds.
    """
    if options.folds:
        return _load_fold(options, manifest)
    cache_bytes = options.cache_gib * 2**30
    statistics = manifest.splits["train"].statistics
    train = load_split(options.dataset, manifest, "train", cache_bytes=cache_bytes, for_training=not options.on_tagger)
    standardization = _standardization(options, train, manifest.spec, (manifest.standardization, statistics))
    validation = None
    if VALIDATION in manifest.splits:
        validation = load_split(options.dataset, manifest, VALIDATION, cache_bytes=cache_bytes)
    return TrainAndTest(
        train=train,
        validation=validation,
        test=load_split(options.dataset, manifest, "test", cache_bytes=cache_bytes),
        standardization=standardization,
        mean=train_mean(None if options.robust else standardization, statistics),
        seen=[track for track in read_tracks(options.dataset) if track["split"] in ("train", VALIDATION)],
        described={
            "split_scheme": manifest.split_scheme,
            "splits": {name: {"tracks": s.n_tracks, "records": s.n_records} for name, s in manifest.splits.items()},
            "tested_on": ["test"],
        },
    )


def _load_fold(options: TrainOptions, manifest: Manifest) -> TrainAndTest:
    """All of the dataset's records, dealt anew: those of the fold's tracks are tested on, the others trained on."""
    if manifest.augmentation is not None:
        raise UsageError(
            f"--folds needs a dataset without --augment: {options.data} has deformed chunks of its train tracks alone"
        )
    splits = list(manifest.splits)
    n_bytes = sum(4 * manifest.splits[split].n_records for split in splits) * int(np.prod(manifest.spec.shape))
    if n_bytes > options.cache_gib * 2**30:
        raise UsageError(f"--folds keeps all log-mels in memory: {options.data} needs --cache-gib {n_bytes / 2**30:.1f}")
    tracks = list(read_tracks(options.dataset))
    fold_of = fold_of_tracks(tracks, n_folds=options.folds, seed=options.seed)
    parts = [load_split(options.dataset, manifest, split, cache_bytes=np.inf) for split in splits]
    log_mels = np.concatenate([part.cached[..., 0] for part in parts if part.cached is not None])
    labels = np.concatenate([part.labels for part in parts])
    track_ids = np.asarray([track_id for part in parts for track_id in part.track_ids])
    chunk_indices = np.concatenate([part.chunk_indices for part in parts])
    is_tested = np.asarray([fold_of[track_id] == options.fold - 1 for track_id in track_ids.tolist()])

    def chosen(mask: NDArray[np.bool_]) -> SplitData:
        (places,) = np.nonzero(mask)
        return SplitData.from_arrays(
            log_mels[places], labels[places], track_ids[places].tolist(), chunk_indices[places], places=places
        )

    train = chosen(~is_tested)
    statistics = _statistics(train, manifest.spec, robust=False)
    summary = statistics.summary()
    standardization = _standardization(options, train, manifest.spec, (statistics.standardization(), summary))
    counts = {
        name: {"tracks": len(set(track_ids[mask].tolist())), "records": int(mask.sum())}
        for name, mask in (("train", ~is_tested), ("test", is_tested))
    }
    return TrainAndTest(
        train=train,
        validation=None,
        test=chosen(is_tested),
        standardization=standardization,
        mean=train_mean(None if options.robust else standardization, summary),
        seen=[track for track in tracks if fold_of[track["track_id"]] != options.fold - 1],
        described={"split_scheme": f"kfold-{options.fold}/{options.folds}", "splits": counts, "tested_on": splits},
    )


def _standardization(
    options: TrainOptions,
    train: SplitData,
    spec: LogMelSpec,
    of_log_mels: tuple[Mapping[str, Any] | None, Mapping[str, Any]],
) -> Mapping[str, Any] | None:
    """What the network standardises by: of the log-mels, or of what a robust network hears of them, which a pass gathers.

    `of_log_mels`: the standardisation that the preset has, and the statistics.
    """
    of_preset, summary = of_log_mels
    if options.robust:
        statistics = _statistics(train, spec, robust=True)
        of_preset, summary = statistics.standardization(), statistics.summary()
    return band_standardization(summary) if options.standardize == "per_band" else of_preset


def _statistics(split: SplitData, spec: LogMelSpec, *, robust: bool) -> LogMelStatistics:
    statistics = LogMelStatistics(spec)
    for log_mels in split.ordered_batches(batch_size=_BLOCK):
        statistics.add((heard(log_mels, spec=spec) if robust else log_mels).numpy()[..., 0])
    return statistics


def train_mean(standardization: Mapping[str, Any] | None, statistics: Mapping[str, Any]) -> NDArray[np.float32]:
    """The mean log-mel of what is trained on, which masks are filled with.

    Args:
        standardization: What the model standardizes with; None for nothing.
        statistics: Of what is trained on, as `dataset.json` has them.

    Returns:
        Where the model standardizes, what it subtracts, so that masks are 0 to the network: (n_mels, 1) or (n_mels, n_frames);
        else the mean of each band, (n_mels, 1).
    """
    if standardization is not None:
        return np.asarray(standardization["mean"], dtype=np.float32)
    return np.asarray(statistics["band_mean"], dtype=np.float32)[:, np.newaxis]
