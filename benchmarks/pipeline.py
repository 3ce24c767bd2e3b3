"""The pipeline's command, start to exit, beside the plain script that a user would write.

python -m benchmarks.pipeline --tracks 200
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from beam_pipeline.demo_corpus import SAMPLE_RATE, STYLES, synthesise

# librosa's loader and mel spectrogram chunk by chunk, TensorFlow's writer: one process, no checks, no split.
_PLAIN_SCRIPT = """
import sys, glob, random
import librosa, numpy as np, tensorflow as tf
with tf.io.TFRecordWriter(sys.argv[2]) as writer:
    for path in sorted(glob.glob(sys.argv[1] + "/genres/*/*.wav")):
        samples, _ = librosa.load(path, sr=22050)
        for start in random.sample(range(0, len(samples) - 20505, 10252), 15):
            mel = librosa.feature.melspectrogram(y=samples[start:start + 20505], sr=22050, n_fft=2048, win_length=1024,
                                                 hop_length=512, n_mels=80, power=1.0, htk=True, norm=None, pad_mode="constant")
            values = np.pad(np.log(mel + 1e-6), ((0, 0), (0, 39)), mode="edge").ravel()
            feature = {"log_mel": tf.train.Feature(float_list=tf.train.FloatList(value=values))}
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
"""


def _write_corpus(folder: Path, n_tracks: int) -> None:
    """Tracks that differ: each a rotation of one of ten synthetic ones."""
    sources = [synthesise(genre, rng=np.random.default_rng(0)) for genre in sorted(STYLES)]
    for number in range(n_tracks):
        genre = sorted(STYLES)[number % len(STYLES)]
        path = folder / "genres" / genre / f"{genre}.{number:05d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.roll(sources[number % len(STYLES)], 7919 * number), SAMPLE_RATE, subtype="PCM_16")


def _seconds_and_peak(command: list[str]) -> tuple[float, float]:
    """Time from start to exit in seconds, and the largest process' peak memory in MiB."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        raise RuntimeError(f"{' '.join(command[:3])} … ended with status {os.waitstatus_to_exitcode(status)}")
    return seconds, usage.ru_maxrss / 1024


def main() -> None:
    """Prints seconds, tracks per second, the ratio to the plain script, and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=200, help="tracks of 30 s")
    n_tracks = parser.parse_args().tracks
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        _write_corpus(work / "corpus", n_tracks)
        rows = {"plain script": _seconds_and_peak([sys.executable, "-c", _PLAIN_SCRIPT, f"{work}/corpus", f"{work}/plain"])}
        for workers in (1, 2):
            command = [sys.executable, "run_pipeline.py", "--runner", "DirectRunner", "--input", f"{work}/corpus"]
            rows[f"pipeline, --workers {workers}"] = _seconds_and_peak(
                [*command, "--output", f"{work}/{workers}", "--workers", str(workers)]
            )
    print(f"{n_tracks} tracks of 30 s, preset paper, command to exit, {os.cpu_count()} cores")
    for title, (seconds, peak) in rows.items():
        ratio = rows["plain script"][0] / seconds
        print(f"  {title:24} {seconds:6.1f} s  {n_tracks / seconds:6.1f} tracks/s  ×{ratio:.1f}  {peak:5.0f} MiB")


if __name__ == "__main__":
    main()
