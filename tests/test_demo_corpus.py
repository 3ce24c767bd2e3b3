"""The demo corpus, as a user meets it."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

from beam_pipeline.corpora.demo import N_DEMO_TRACKS, STYLES, synthesise, write_demo_track
from tests.conftest import REPOSITORY, SAMPLE_RATE
from tfrecords.dataset.folder import read_manifest


def test_without_input_it_uses_the_demo_corpus_and_says_so(tmp_path: Path) -> None:
    """As a user types it, in an empty folder: quiet but for progress and summary, and marked as synthetic."""
    command: list[str | Path] = [sys.executable, REPOSITORY / "run_pipeline.py", "--runner", "DirectRunner"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "No --input and no data/gtzan: using the demo corpus in data/demo, ten synthetic genres, not music." in done.stdout
    assert "(SYNTHETIC)" in done.stdout
    assert "100/100" in done.stderr
    noise = [line for line in done.stderr.replace("\r", "\n").splitlines() if line and "track/s" not in line]
    assert noise == []
    manifest = read_manifest(tmp_path / "data" / "tfrecords")
    assert manifest.corpus.synthetic
    assert manifest.genres == tuple(sorted(STYLES))
    assert {split: one.n_tracks for split, one in manifest.splits.items()} == {"train": 70, "test": 30}
    tracks = sorted((tmp_path / "data" / "demo" / "genres").rglob("*.wav"))
    assert len({hashlib.sha256(path.read_bytes()).hexdigest() for path in tracks}) == N_DEMO_TRACKS == 100
    info = soundfile.info(tracks[0])
    assert (info.samplerate, info.channels, info.subtype, info.frames) == (SAMPLE_RATE, 1, "PCM_16", 30 * SAMPLE_RATE)
    # Made by another process, in another order: a track depends on seed, genre and number alone.
    write_demo_track(seed=0, genre="march", number=7, path=tmp_path / "again.wav")
    assert (tmp_path / "again.wav").read_bytes() == tracks[[path.name for path in tracks].index("march.00007.wav")].read_bytes()
    write_demo_track(seed=1, genre="march", number=7, path=tmp_path / "again.wav")
    assert (tmp_path / "again.wav").read_bytes() not in {path.read_bytes() for path in tracks}


def test_demo_tracks_are_audible_and_do_not_clip() -> None:
    for genre in STYLES:
        waveform = synthesise(genre, rng=np.random.default_rng(0), seconds=4.0)
        assert waveform.shape == (4 * SAMPLE_RATE,)
        assert 0.03 < np.sqrt(np.mean(waveform.astype(np.float64) ** 2)) < 0.2
        assert np.mean(np.abs(waveform) == 1.0) < 1e-3
