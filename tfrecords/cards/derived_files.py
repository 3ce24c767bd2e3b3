"""The derived files of a dataset, and how each tells which dataset it describes.

They have the same names in every dataset, and are replaced one by one before `dataset.json` is. So each states the digest of the
`dataset.json` that it was derived from.
"""

import hashlib
import re

from tfrecords.cards.croissant import croissant
from tfrecords.cards.dataset_card import dataset_card
from tfrecords.cards.tfds import dataset_info
from tfrecords.cards.track_tally import TrackTally
from tfrecords.dataset.manifest import DERIVED_FILES, MANIFEST_FILE, Manifest

_STATED = re.compile(rf"{re.escape(MANIFEST_FILE)} sha256:([0-9a-f]{{64}})".encode())


def digest_of(manifest: Manifest) -> str:
    """SHA-256 of `dataset.json`, versions and all."""
    return hashlib.sha256(manifest.to_json().encode()).hexdigest()


def stated_digest(data: bytes) -> str | None:
    """The digest of the `dataset.json` that a derived file, or its beginning, describes; None for a file that is not ours."""
    match = _STATED.search(data)
    return match.group(1).decode() if match else None


def derived_files(manifest: Manifest, tally: TrackTally) -> dict[str, bytes]:
    """The derived files' contents by their names: the same bytes for the same dataset, whenever and wherever.

    Args:
        manifest: Of the dataset.
        tally: Of all tracks on its list.
    """
    digest = digest_of(manifest)
    marker = f"{MANIFEST_FILE} sha256:{digest}"
    texts = (
        dataset_card(manifest, tally, marker=marker),
        croissant(manifest, tally, digest=digest, marker=marker),
        dataset_info(manifest, marker=marker),
    )
    return {name: text.encode() for name, text in zip(DERIVED_FILES, texts, strict=True)}
