"""What other programs load with one line: a dataset as tf.data, the log-mels of a file."""

from pathlib import Path
from typing import TYPE_CHECKING

from tfrecords.command_line.extras import extras_named
from tfrecords.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf
    from numpy.typing import NDArray

    from tfrecords.audio import AudioSource
    from tfrecords.places import RemotePath


@extras_named()
def load_dataset(
    folder: "str | Path | RemotePath", split: str, *, as_supervised: bool = False, cache_dir: str | Path | None = None
) -> "tf.data.Dataset":
    """A split of a dataset that the pipeline wrote, in the order of its shards.

    It is not shuffled: neighbours are chunks of different tracks already.

    Args:
        folder: Path of the dataset, or its URL (`s3://`, `gs://`).
        split: "train", "test" or, where the dataset has it, "validation".
        as_supervised: Whether the elements are pairs of log_mel and label alone.
        cache_dir: For a URL, a folder on this machine that keeps copies of the shards; where none is given they are streamed.

    Returns:
        A dataset that knows its length. An element has log_mel (n_mels, n_frames) float32; label, chunk_index and start_sample,
        int64; genre, track_id and deformation, strings. The deformation of a track as it is is empty.

    Raises:
        DatasetError: If there is no such dataset or split, or a shard of it is missing.
        UsageError: If the URL or the cache cannot be used, or TensorFlow is not installed.
        OSError: If a shard cannot be copied. Iterating raises tf.errors.OpError for one that is damaged or cannot be read.
    """
    # The pipeline's workers import this package and have no TensorFlow; other programs load nothing that they do not need.
    import tensorflow as tf

    from tfrecords.dataset.folder import check_shards, read_manifest
    from tfrecords.places import place_of
    from tfrecords.records import schema
    from tfrecords.records.shard_records import ShardRecords

    place = place_of(folder, cache_dir=None if cache_dir is None else Path(cache_dir))
    manifest = read_manifest(place)
    shards = manifest.shards_of(split)
    check_shards(place, shards)

    records = ShardRecords(place, shards).parsed(manifest.spec.shape)
    if as_supervised:
        records = records.map(lambda record: (record[schema.LOG_MEL], record[schema.LABEL]))
    return records.unbatch().apply(tf.data.experimental.assert_cardinality(manifest.splits[split].n_records))


def log_mels(audio: "AudioSource", *, preset: str = "paper") -> "NDArray[np.float32]":
    """Log-mels of every chunk of an audio file that the pipeline may draw, as its records hold them: not standardised.

    Args:
        audio: Path of the file, the open file, its bytes, or a pair of samples, (n_samples,) or (n_samples, n_channels), float in
            ±1, int16 or int32, and their rate in Hz.
        preset: The front end: paper, schindler, full80 or musicnn.

    Returns:
        (n_chunks, n_mels, n_frames) float32, in the order of time. Chunk i begins at sample i · chunk_step of the preset.

    Raises:
        UnusableAudioError: If it does not decode or is shorter than one chunk.
        UsageError: If there is no such preset, or samples or their rate are none.
        OSError: If the file cannot be read.
    """
    import numpy as np

    from tfrecords.audio import UnusableAudioError, as_file, decode_audio
    from tfrecords.front_end.log_mel import cut_chunks, log_mel
    from tfrecords.front_end.log_mel_spec import PRESETS

    if preset not in PRESETS:
        raise UsageError(f"there is no preset {preset!r}; choose from {', '.join(PRESETS)}")
    spec = PRESETS[preset]
    with as_file(audio) as file:
        waveform = decode_audio(file, sample_rate=spec.sample_rate).waveform
        if not (n_chunks := spec.n_candidate_chunks(len(waveform))):
            seconds = len(waveform) / spec.sample_rate
            raise UnusableAudioError("too short", f"too short: {seconds:.2f} s, need {spec.min_seconds(1):.2f} s")
        return log_mel(cut_chunks(waveform, spec.chunk_step * np.arange(n_chunks), spec=spec), spec=spec)
