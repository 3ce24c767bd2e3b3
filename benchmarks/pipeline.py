"""The pipeline's command, start to exit: beside the plain script that a user would write, its own floor, and an empty Beam job.

python -m benchmarks.pipeline --tracks 100 1000 4000 10000 --output pipeline.png
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from beam_pipeline.corpora.demo import TRACK_SECONDS
from benchmarks.corpus import link_tracks, write_tracks
from benchmarks.processes import Measured, measure
from tfrecords.audio import decode_audio
from tfrecords.front_end.log_mel import cut_chunks, log_mel
from tfrecords.front_end.log_mel_spec import PRESETS

_PLAIN_TRACKS = 1000
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
# The same runner and nothing to do.
_EMPTY_JOB = """
import apache_beam as beam
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from beam_pipeline.runners.local import run_watched
pipeline = beam.Pipeline(runner=FnApiRunner())
pipeline | beam.Create(range(100)) | beam.Reshuffle() | beam.Map(lambda number: (number % 2, number)) | beam.GroupByKey()
run_watched(pipeline)
"""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of the pipeline.

    Attributes:
        n_tracks: Tracks.
        workers: Worker processes.
        measured: Time and memory of its processes.
    """

    n_tracks: int
    workers: int
    measured: Measured


def floor_seconds(paths: Sequence[Path], *, workers: int) -> float:
    """Time of the bare work: read, decode, cut, FFT and mel in a loop in each process, without the processes' start."""
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(_bare_work, [paths[:5]] * workers))
        started = time.perf_counter()
        list(pool.map(_bare_work, [paths[number::workers] for number in range(workers)]))
        return time.perf_counter() - started


def _bare_work(paths: Sequence[Path]) -> None:
    spec = PRESETS["paper"]
    for path in paths:
        waveform = decode_audio(path.read_bytes(), sample_rate=spec.sample_rate).waveform
        starts = np.linspace(0, spec.n_candidate_chunks(len(waveform)) - 1, 15).astype(int) * spec.chunk_step
        log_mel(cut_chunks(waveform, starts, spec=spec), spec=spec)


def run_pipeline(corpus: Path, output: Path, *, n_tracks: int, workers: int) -> Run:
    """Runs the command in processes of its own."""
    words = ["run_pipeline.py", "--runner", "DirectRunner", "--input", corpus, "--output", output, "--workers", workers]
    files = ".beam-pipeline-staging/*/beam-pipeline-*/progress/*"
    return Run(n_tracks=n_tracks, workers=workers, measured=measure([sys.executable, *map(str, words)], progress=(output, files)))


def print_comparison(runs: Sequence[Run], *, plain: Measured, floor: float, empty: float) -> None:
    """Prints the aims' figures for runs of growing corpora with the same number of workers.

    Args:
        runs: In the order of their numbers of tracks.
        plain: The plain script, over _PLAIN_TRACKS tracks.
        floor: Seconds that the bare work takes for each track.
        empty: Seconds that an empty Beam job takes.
    """
    first = next(run for run in runs if run.n_tracks == _PLAIN_TRACKS)
    print(f"plain script         {plain.seconds:6.1f} s, {plain.peak_mib:.0f} MiB")
    print(f"pipeline             {first.measured.seconds:6.1f} s: ×{plain.seconds / first.measured.seconds:.1f} as fast")
    print(f"the bare work        {1e3 * floor:6.2f} ms a track")
    for run in (run for run in runs if run.n_tracks > first.n_tracks):
        further = (run.measured.seconds - first.measured.seconds) / (run.n_tracks - first.n_tracks)
        print(
            f"a further track      {1e3 * further:6.2f} ms from {first.n_tracks} to {run.n_tracks} tracks, ×{further / floor:.2f}"
        )
    print(f"an empty Beam job    {empty:6.1f} s; before its first track the pipeline takes {first.measured.first_seconds:.1f} s")


def draw(runs: Sequence[Run], path: Path) -> None:
    """Draws time per track and peak memory over the number of tracks."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    cost, memory = figure.subplots(1, 2)
    for workers in sorted({run.workers for run in runs}):
        of_workers = [run for run in runs if run.workers == workers]
        sizes = [run.n_tracks for run in of_workers]
        label = f"{workers} worker process(es)"
        cost.plot(sizes, [1e3 * run.measured.seconds / run.n_tracks for run in of_workers], marker="o", label=label)
        memory.plot(sizes, [run.measured.peak_mib for run in of_workers], marker="o", label=label)
    cost.set_ylabel("command to exit, ms a track")
    memory.set_ylabel("peak of all processes together, MiB")
    for axes in (cost, memory):
        axes.set_xscale("log")
        axes.set_ylim(bottom=0)
        axes.set_xlabel("tracks")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=150)


def _settle(paths: Sequence[Path]) -> None:
    """Lets the disk finish what earlier runs wrote, and reads the tracks, so that each run finds them in memory."""
    os.sync()
    for path in paths:
        path.read_bytes()


def main() -> None:
    """Prints the table and draws the curve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, nargs="+", default=[100, 1000, 4000, 10_000], help="sizes of the corpus")
    parser.add_argument("--seconds", type=float, default=TRACK_SECONDS, help="length of a track")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="worker processes")
    parser.add_argument("--output", type=Path, help="PNG of time per track and memory")
    options = parser.parse_args()
    sizes = sorted({*options.tracks, _PLAIN_TRACKS})
    # One thread a process: what a library would do beside it is another process' time.
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        paths = write_tracks(work / "all", sizes[-1], workers=options.workers, seconds=options.seconds)
        corpora = {n_tracks: link_tracks(paths[:n_tracks], work / f"corpus-{n_tracks}") for n_tracks in sizes}
        print(f"preset paper, {os.cpu_count()} cores, {options.workers} worker process(es), command to exit", flush=True)
        runs = []
        for n_tracks, corpus in corpora.items():
            _settle(paths[:n_tracks])
            run = run_pipeline(corpus, work / "output", n_tracks=n_tracks, workers=options.workers)
            shutil.rmtree(work / "output")
            runs.append(run)
            print(
                f"  {n_tracks:6} tracks {run.measured.seconds:7.1f} s {n_tracks / run.measured.seconds:7.1f} tracks/s "
                f"{run.measured.peak_mib:6.0f} MiB",
                flush=True,
            )
        floor = floor_seconds(paths[:_PLAIN_TRACKS], workers=options.workers) / _PLAIN_TRACKS
        empty = measure([sys.executable, "-c", _EMPTY_JOB]).seconds
        _settle(paths[:_PLAIN_TRACKS])
        plain = measure([sys.executable, "-c", _PLAIN_SCRIPT, str(corpora[_PLAIN_TRACKS]), str(work / "plain")])
        print_comparison(runs, plain=plain, floor=floor, empty=empty)
    if options.output:
        draw(runs, options.output)
        print(f"picture              {options.output}")


if __name__ == "__main__":
    main()
