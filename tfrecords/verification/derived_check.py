"""Whether the files that other tools read say what `dataset.json` and the list of tracks say."""

from collections.abc import Iterator

from tfrecords.cards import derived_files, digest_of, stated_digest
from tfrecords.dataset.manifest import DERIVED_FILES, MANIFEST_FILE, Manifest
from tfrecords.places import Place
from tfrecords.verification.problem import Problem
from tfrecords.verification.track_claims import TrackClaims

# More than what the files begin with, in which they say which dataset they describe.
_BEGINNING_BYTES = 2**16


def derived_file_problems(folder: Place, manifest: Manifest, tracks: TrackClaims) -> Iterator[Problem]:
    """Names the derived files that are not what they must be.

    Datasets of earlier versions have none. A file that describes another dataset is passed over: a run that was cut off while its
    dataset took this one's place has left it. Where the list of tracks is damaged itself, nothing can be compared with it.

    Args:
        folder: The dataset's.
        manifest: What its `dataset.json` holds.
        tracks: Its list of tracks, read.
    """
    digest, expected = digest_of(manifest), dict[str, bytes]()
    for name in DERIVED_FILES:
        path = folder / name
        try:
            if not path.is_file():
                continue
            with path.open("rb") as file:
                beginning = file.read(_BEGINNING_BYTES)
                stated = stated_digest(beginning)
                if stated is None:
                    yield Problem(file=name, reason=f"does not say which {MANIFEST_FILE} it describes")
                elif stated == digest and tracks.is_whole:
                    expected = expected or derived_files(manifest, tracks.tally)
                    if beginning + file.read(len(expected[name])) != expected[name]:
                        yield Problem(file=name, reason=f"was altered: it is not what {MANIFEST_FILE} gives")
        except OSError as error:
            yield Problem(file=name, reason=f"cannot be read: {error.strerror}")
