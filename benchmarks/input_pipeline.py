"""What the input pipeline delivers: batches from memory and from shards, without and with every augmentation.

python -m benchmarks.input_pipeline
"""

import tempfile
from pathlib import Path

import numpy as np

from keras_model.quiet import load_tensorflow

_BATCH_SIZE = 64
_N_RECORDS = 4096
_N_SHARDS = 4


def main() -> None:
    """Prints samples per second; random log-mels of preset paper's shape."""
    load_tensorflow()
    from benchmarks.timing import median_seconds
    from keras_model.augmentation import Augmentation, SpecMasks
    from keras_model.data.split_data import Augment, SplitData
    from keras_model.training.batch_augmentation import augmenter
    from tfrecords.dataset.manifest import Shard
    from tfrecords.front_end.log_mel_spec import PRESETS
    from tfrecords.records.framing import frame
    from tfrecords.records.schema import Record, encode
    from tfrecords.records.shard_records import ShardRecords

    spec = PRESETS["paper"]
    rng = np.random.default_rng(0)
    log_mels = rng.normal(11.5, 1.5, (_N_RECORDS, *spec.shape)).astype(np.float32)
    labels = rng.integers(0, 10, _N_RECORDS)
    track_ids = [f"track.{number // 15:05d}" for number in range(_N_RECORDS)]
    cached = SplitData.from_arrays(log_mels, labels, track_ids, np.arange(_N_RECORDS) % 15)
    with tempfile.TemporaryDirectory() as folder:
        names = [f"train-{shard:05d}" for shard in range(_N_SHARDS)]
        for shard, name in enumerate(names):
            records = (
                Record(
                    log_mel=log_mels[row],
                    label=int(labels[row]),
                    genre="any",
                    track_id=track_ids[row],
                    chunk_index=row % 15,
                    start_sample=0,
                )
                for row in range(shard, _N_RECORDS, _N_SHARDS)
            )
            (Path(folder) / name).write_bytes(b"".join(frame(encode(record)) for record in records))
        shards = [Shard(name=name, split="train", n_records=0, n_bytes=0, sha256="") for name in names]
        empty = np.empty(0, dtype=np.int64)
        streamed = SplitData(
            shape=spec.shape,
            records=ShardRecords(Path(folder), shards),
            n_records=_N_RECORDS,
            labels=empty,
            track_ids=[],
            chunk_indices=empty,
            places=empty,
            cached=None,
        )
        every = Augmentation(masks=SpecMasks(), mixup=0.2, random_crop=4)
        augmented = augmenter(every, seed=0, spec=spec, fill=11.5)
        print(f"Samples per second, batch {_BATCH_SIZE}")
        for name, split in (("from memory", cached), ("from shards", streamed)):
            for described, augment in (("", None), (", all augmentations", augmented)):

                def consume(split: SplitData = split, augment: Augment | None = augment) -> None:
                    for _ in split.training_batches(
                        batch_size=_BATCH_SIZE, n_genres=10, seed=0, first_epoch=1, n_epochs=2, augment=augment
                    ):
                        pass

                print(f"  {name + described:34}{_N_RECORDS / median_seconds(consume, runs=3):9.0f}", flush=True)


if __name__ == "__main__":
    main()
