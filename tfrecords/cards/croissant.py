"""`croissant.json`: a dataset as MLCommons' Croissant 1.0 describes it, JSON-LD.

Croissant's readers read no TFRecords. So its records are the tracks of the list, and the shards are files with digests.
"""

import json
from typing import Any

from tfrecords.cards.gtzan_facts import GTZAN_BIBTEX
from tfrecords.cards.track_tally import TrackTally
from tfrecords.dataset.manifest import FORMAT_VERSION, MANIFEST_FILE, UNKNOWN_LICENSE, Manifest

# The standard context of the specification; of another one its readers warn.
_TERMS = (
    *(
        "citeAs",
        "column",
        "equivalentProperty",
        "extract",
        "field",
        "fileProperty",
        "fileObject",
        "fileSet",
        "format",
        "includes",
    ),
    *(
        "isLiveDataset",
        "jsonPath",
        "key",
        "md5",
        "parentField",
        "path",
        "recordSet",
        "references",
        "regex",
        "repeated",
        "replace",
    ),
    *("samplingRate", "separator", "source", "subField", "transform"),
)
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in _TERMS},
}
_FIELDS = {
    "track_id": ("Text", "Its id, which its records hold"),
    "path": ("Text", "Of its file, relative to the folder of the corpus"),
    "genre": ("Text", "Name of the genre"),
    "label": ("Integer", "Index of the genre"),
    "split": ("Text", "The split that all of its records lie in"),
    "n_samples": ("Integer", "Length of its waveform, in samples at the sample rate of the front end"),
    "audio_blake3": ("Text", "BLAKE3 of the waveform, mono, rounded to 16 bits"),
    "start_samples": ("Integer", "Where its chunks start, in samples"),
}


def croissant(manifest: Manifest, tally: TrackTally, *, digest: str, marker: str) -> str:
    """The text of `croissant.json`.

    It has no date: that would be another one in each run.

    Args:
        manifest: Of the dataset.
        tally: Of its tracks.
        digest: SHA-256 of its `dataset.json`.
        marker: What tells which dataset this is of.
    """
    content = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"{manifest.corpus.title}, log-mel spectrograms",
        "description": f"{marker}: log-mel spectrograms of chunks of audio with their genres, preset {manifest.preset}",
        "version": f"{FORMAT_VERSION}.0.0",
        "license": manifest.license if manifest.license != UNKNOWN_LICENSE else "The licence of the audio is not known.",
        **({"citeAs": GTZAN_BIBTEX} if tally.is_gtzan(manifest) else {}),
        "distribution": [
            _file(MANIFEST_FILE, "application/json", digest),
            _file(manifest.tracks_file, "application/jsonlines", manifest.tracks_sha256),
            *(
                _file(shard.name, "application/x-tfrecord", shard.sha256, n_bytes=shard.n_bytes, n_records=shard.n_records)
                for shard in manifest.shards
            ),
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "tracks",
                "name": "tracks",
                "description": "The tracks that the records are made of",
                "key": {"@id": "tracks/track_id"},
                "field": [_field(manifest, name) for name in _FIELDS],
            }
        ],
    }
    return json.dumps(content, indent=1) + "\n"


def _file(name: str, encoding: str, sha256: str, *, n_bytes: int | None = None, n_records: int | None = None) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        **({"description": f"{n_records} records, tf.train.Example"} if n_records is not None else {}),
        **({"contentSize": f"{n_bytes} B"} if n_bytes is not None else {}),
        "contentUrl": name,
        "encodingFormat": encoding,
        "sha256": sha256,
    }


def _field(manifest: Manifest, name: str) -> dict[str, Any]:
    kind, description = _FIELDS[name]
    return {
        "@type": "cr:Field",
        "@id": f"tracks/{name}",
        "name": name,
        "description": description,
        "dataType": f"sc:{kind}",
        **({"repeated": True} if name == "start_samples" else {}),
        "source": {"fileObject": {"@id": manifest.tracks_file}, "extract": {"column": name}},
    }
