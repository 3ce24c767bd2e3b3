"""`README.md` of a dataset: a card in the form of the Hugging Face Hub, YAML on top, then Markdown.

Names that come from users stand in YAML as JSON strings, which are YAML too.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

from tfrecords.cards.gtzan_facts import GTZAN_FAULTS
from tfrecords.cards.markdown import markdown, visible
from tfrecords.cards.track_tally import TrackTally
from tfrecords.dataset.manifest import UNKNOWN_LICENSE, Manifest

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")
_SIZES = ("K", "M", "B", "T")

_LOADING = """\
```python
import tensorflow_datasets as tfds

dataset = tfds.builder_from_directory("DIR").as_dataset("train", as_supervised=True)
```

```python
import json
import pathlib

import tensorflow as tf


def parse(serialized):
    return tf.io.parse_single_example(
        serialized,
        {{
            "log_mel": tf.io.FixedLenFeature({shape}, tf.float32),
            "label": tf.io.FixedLenFeature((), tf.int64),
            "track_id": tf.io.FixedLenFeature((), tf.string),
        }},
    )


folder = pathlib.Path("DIR")
shards = json.loads((folder / "dataset.json").read_text())["shards"]
files = [str(folder / shard["name"]) for shard in shards if shard["split"] == "train"]
dataset = tf.data.TFRecordDataset(files).map(parse)
```

`python train.py --data DIR` trains on it, and `python -m tfrecords.verify DIR` checks all that `dataset.json` says."""


def dataset_card(manifest: Manifest, tally: TrackTally, *, marker: str) -> str:
    """The text of `README.md`.

    Args:
        manifest: Of the dataset.
        tally: Of its tracks.
        marker: What tells which dataset this is of.
    """
    lines = (
        *_front_matter(manifest),
        f"<!-- {marker}; the next run of the pipeline writes this file anew -->",
        "",
        f"# {markdown(manifest.corpus.title)}: log-mel spectrograms",
        "",
        f"TFRecords of log-mel spectrograms ({manifest.spec.n_mels} mel bands × {manifest.spec.n_frames} frames, float32) of "
        "chunks of audio, each with its genre, its track and its place there. `dataset.json` has every number that made them.",
        *_section("Splits", _splits(manifest, tally)),
        *_section("How it was made", _making(manifest)),
        *_section("What was left out", _left_out(manifest)),
        *_section("Known faults", _faults(manifest, tally)),
        *_section("Licence of the audio", _licence(manifest)),
        *_section("How to load it", [_LOADING.format(shape=manifest.spec.shape)]),
    )
    return "\n".join(lines) + "\n"


def _front_matter(manifest: Manifest) -> Iterator[str]:
    values: dict[str, str | list[str]] = {
        # The Hub knows identifiers in lower case alone.
        "license": manifest.license.lower() if _IDENTIFIER.fullmatch(manifest.license) else "other",
        "task_categories": ["audio-classification"],
        "tags": ["synthetic" if manifest.corpus.synthetic else "music", "audio", "log-mel-spectrogram", "tfrecord"],
        "pretty_name": f"{manifest.corpus.title}, log-mel spectrograms",
        "size_categories": [_size(sum(split.n_records for split in manifest.splits.values()))],
    }
    yield "---"
    yield from (f"{name}: {_yaml(value)}" for name, value in values.items())
    yield "---"


def _yaml(value: str | list[str]) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    return json.dumps(visible(value), ensure_ascii=False)


def _size(n_records: int) -> str:
    """The Hub's name for an order of magnitude."""
    if n_records < 1000:
        return "n<1K"
    if n_records >= 10**12:
        return "n>1T"
    power = len(str(n_records)) - 1
    bounds = [f"{10 ** (exponent % 3)}{_SIZES[exponent // 3 - 1]}" for exponent in (power, power + 1)]
    return f"{bounds[0]}<n<{bounds[1]}"


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield from ("", f"## {title}", "", *lines)


def _table(header: Sequence[str], rows: Iterable[Sequence[object]], *, n_left: int = 1) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'|'.join(['---'] * n_left + ['---:'] * (len(header) - n_left))}|"
    yield from (f"| {' | '.join(map(markdown, row))} |" for row in rows)


def _splits(manifest: Manifest, tally: TrackTally) -> Iterator[str]:
    header = ["genre", *(f"{markdown(split)}: {what}" for split in manifest.splits for what in ("tracks", "records"))]
    rows: list[list[object]] = []
    for genre in manifest.genres:
        places = [(split, genre) for split in manifest.splits]
        rows.append([genre, *(number for place in places for number in (tally.n_tracks[place], tally.n_records[place]))])
    rows.append(["all", *(number for one in manifest.splits.values() for number in (one.n_tracks, one.n_records))])
    yield from _table(header, rows)


def _making(manifest: Manifest) -> Iterator[str]:
    augmentation = manifest.augmentation
    rows: list[tuple[str, object]] = [
        ("split scheme", f"{manifest.split_scheme}, by track"),
        (
            "share of tracks for the test split",
            "as the scheme says" if manifest.test_fraction is None else manifest.test_fraction,
        ),
        ("share of the others for a validation split", manifest.validation_fraction or "none"),
        ("seed of split, draw and order", manifest.seed),
        ("chunks drawn of each track", manifest.chunks_drawn),
        ("deformed chunks of each train track", f"{augmentation.n_chunks}, {augmentation.name}" if augmentation else "none"),
        ("preset", manifest.preset),
        *asdict(manifest.spec).items(),
        ("this project", manifest.code_version),
        *manifest.libraries.items(),
    ]
    yield from _table(("", ""), rows, n_left=2)


def _left_out(manifest: Manifest) -> Iterator[str]:
    if not manifest.left_out:
        yield "Nothing."
    for kind, tracks in manifest.left_out.items():
        more = tracks.n_tracks - len(tracks.first)
        names = ", ".join(map(markdown, tracks.first)) + (f" and {more} more" if more > 0 else "")
        yield f"- {tracks.n_tracks} × {markdown(kind)}: {names}"


def _faults(manifest: Manifest, tally: TrackTally) -> Sequence[str]:
    if manifest.corpus.synthetic:
        return ["**The audio is SYNTHETIC, not music.** Accuracies on it show that the programs work, and nothing about music."]
    if tally.is_gtzan(manifest):
        return GTZAN_FAULTS
    return ["None are known to the program that wrote this; nobody listened to the tracks, and their labels are as they came."]


def _licence(manifest: Manifest) -> Iterator[str]:
    if manifest.license == UNKNOWN_LICENSE:
        yield "Unknown. Whoever passes the spectrograms on must find out."
    else:
        yield f"Licence: {markdown(manifest.license)}, as given by whoever ran the pipeline."
