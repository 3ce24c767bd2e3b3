"""Stored features: the next run decodes only what changed, and writes what a full run would."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from beam_pipeline.extract.features import Features, FeatureStore
from tests.conftest import SAMPLE_RATE, synthetic_track
from tests.helpers import WriteCorpus, build, digests
from tfrecords.front_end.log_mel_spec import PRESETS


def counts(result: object) -> tuple[int, int]:
    counters = getattr(result, "counters")  # noqa: B009
    return counters.get("tracks_decoded", 0), counters.get("tracks_reused", 0)


def write_track(path: Path, genre: str, number: int) -> None:
    soundfile.write(path, synthetic_track(genre, number, seconds=3.0), SAMPLE_RATE, subtype="PCM_16")


@pytest.mark.parametrize("workers", [1, 2])
def test_added_changed_and_removed_tracks(write_corpus: WriteCorpus, tmp_path: Path, workers: int) -> None:
    corpus, output = write_corpus(n_tracks=5), tmp_path / "out"
    assert counts(build(corpus, output, workers=workers)) == (15, 0)
    assert counts(build(corpus, output, workers=workers, overwrite=True)) == (0, 15)
    noise = corpus / "genres" / "noise"
    write_track(noise / "noise.00009.wav", "noise", 9)
    write_track(noise / "noise.00001.wav", "noise", 77)
    (noise / "noise.00002.wav").unlink()
    incremental = build(corpus, output, workers=workers, overwrite=True)
    assert counts(incremental) == (2, 13)
    assert counts(build(corpus, tmp_path / "full")) == (15, 0)
    assert digests(output) == digests(tmp_path / "full")
    assert incremental.manifest.fingerprint in (tmp_path / "full" / "dataset.json").read_text()


def test_a_change_that_leaves_size_and_time_is_seen(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus, output = write_corpus(), tmp_path / "out"
    build(corpus, output)
    path = corpus / "genres" / "hum" / "hum.00000.wav"
    before = path.stat()
    write_track(path, "hum", 50)
    assert path.stat().st_size == before.st_size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert counts(build(corpus, output, overwrite=True)) == (1, 11)


def test_other_splits_and_folds_decode_nothing(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus, features = write_corpus(), str(tmp_path / "features")
    for fold in (1, 2):
        result = build(corpus, tmp_path / f"fold-{fold}", split=f"kfold-{fold}/2", features=features)
        assert counts(result) == ((12, 0) if fold == 1 else (0, 12))
    result = build(corpus, tmp_path / "validated", validation_fraction=0.3, features=features, num_shards=3)
    assert counts(result) == (0, 12)
    build(corpus, tmp_path / "full", validation_fraction=0.3, num_shards=3, keep_features=False)
    assert digests(tmp_path / "validated") == digests(tmp_path / "full")


@pytest.mark.parametrize("options", [{"seed": 1}, {"preset": "full80"}, {"chunks_per_track": 3}])
def test_another_draw_or_front_end_is_computed_anew(
    write_corpus: WriteCorpus, tmp_path: Path, options: dict[str, object]
) -> None:
    corpus, features = write_corpus(), str(tmp_path / "features")
    build(corpus, tmp_path / "one", features=features)
    assert counts(build(corpus, tmp_path / "other", features=features, **options)) == (12, 0)
    assert counts(build(corpus, tmp_path / "again", features=features)) == (0, 12)


def test_damaged_features_are_computed_anew(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus, output = write_corpus(), tmp_path / "out"
    build(corpus, output)
    before = digests(output)
    flipped, cut, emptied = sorted((output / "features").rglob("*.features"))[:3]
    data = bytearray(flipped.read_bytes())
    data[5000] ^= 1
    flipped.write_bytes(data)
    cut.write_bytes(cut.read_bytes()[:-1000])
    emptied.write_bytes(b"")
    assert counts(build(corpus, output, overwrite=True)) == (3, 9)
    assert digests(output) == before


def test_features_of_a_run_that_failed_serve_the_next(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus, output = write_corpus(), tmp_path / "out"
    build(corpus, output)
    for path in output.iterdir():
        if path.name != "features":
            path.unlink()
    assert counts(build(corpus, output)) == (0, 12)


def test_a_dataset_keeps_its_own_features_alone_and_shared_ones_are_never_removed(
    write_corpus: WriteCorpus, tmp_path: Path
) -> None:
    corpus, shared = write_corpus(), tmp_path / "features"
    for folder, options in ((tmp_path / "out" / "features", {}), (shared, {"features": str(shared)})):
        for seed in (0, 1):
            build(corpus, tmp_path / "out", seed=seed, overwrite=True, **options)
        assert len(list(folder.rglob("*.features"))) == (24 if folder == shared else 12)


def test_no_features_are_kept_where_none_are_wanted(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus = write_corpus()
    build(corpus, tmp_path / "with")
    build(corpus, tmp_path / "without", keep_features=False, workers=2)
    assert not (tmp_path / "without" / "features").exists()
    shutil.rmtree(tmp_path / "with" / "features")
    assert digests(tmp_path / "with") == digests(tmp_path / "without")


def test_what_is_stored_is_what_comes_back(tmp_path: Path) -> None:
    """Preset `paper` has 41 frames and repeats the last one: the store leaves the others out."""
    spec = PRESETS["paper"]
    log_mels = np.random.default_rng(0).standard_normal((3, *spec.shape)).astype(np.float32)
    log_mels[..., spec.n_kept_frames :] = log_mels[..., spec.n_kept_frames - 1 : spec.n_kept_frames]
    store = FeatureStore(str(tmp_path), spec=spec, seed=0, n_chunks=3)
    store.put("ab" * 32, Features(n_samples=70000, audio_blake3="cd" * 32, candidates={"": [0, 2, 5]}, log_mels=log_mels))
    stored = store.get("ab" * 32)
    assert stored is not None
    assert (stored.n_samples, stored.audio_blake3, stored.candidates) == (70000, "cd" * 32, {"": [0, 2, 5]})
    np.testing.assert_array_equal(stored.log_mels, log_mels)
    for position in range(3):
        np.testing.assert_array_equal(store.log_mel("ab" * 32, position - 3), log_mels[position])
    (path,) = tmp_path.rglob("*.features")
    assert path.stat().st_size < 4 * 3 * spec.n_mels * (spec.n_kept_frames + 1)
    assert store.get("ef" * 32) is None
