"""Tracks of hours: memory and time that a worker takes for one. `python -m benchmarks.long_tracks`: half an hour, 2 GB."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

_BLOCK_SECONDS = 600
# Name, container, subtype, sample rate in Hz, channels, hours.
_TRACKS = (
    ("song.flac", "FLAC", "PCM_16", 22050, 1, 10),
    ("stereo.flac", "FLAC", "PCM_16", 44100, 2, 2),
    ("song.mp3", "MP3", "MPEG_LAYER_III", 22050, 1, 10),
)
_WORKER = """
import sys, time
from beam_pipeline.extract.extracted import Extracted
from beam_pipeline.extract.extractor import TrackDeformer, TrackExtractor
from beam_pipeline.plan import Plan
from beam_pipeline.track import Track

def memory(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name)) // 1024

plan = Plan(output=sys.argv[3], genres=("a", "b"), augment=sys.argv[2] or None)
extract, deform = TrackExtractor(plan), TrackDeformer(plan) if plan.augment else None
for path in (sys.argv[4], sys.argv[1]):
    before, started = memory("VmRSS"), time.perf_counter()
    track = Track("a.song", path, "a", split="train")
    done = deform(Extracted(track)) if deform else extract(track)
    seconds = time.perf_counter() - started
assert done.extracted.refusal is None, done.extracted.refusal
print(f"{memory('VmHWM') - before:5} MiB above {before}, {seconds:6.1f} s")
"""


def main() -> None:
    """Writes the tracks and prints a line for each."""
    with tempfile.TemporaryDirectory() as folder:
        warm = Path(folder, "warm.wav")
        soundfile.write(warm, np.random.default_rng(0).uniform(-0.3, 0.3, 22050 * 30), 22050)
        for name, container, subtype, sample_rate, n_channels, hours in _TRACKS:
            path = Path(folder, name)
            _write(path, container, subtype, sample_rate, n_channels, hours)
            for augment in ("", "stretch-pitch"):
                command = [sys.executable, "-c", _WORKER, *map(str, (path, augment, folder, warm))]
                line = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
                size = f"{hours:2} h, {path.stat().st_size / 2**20:5.0f} MiB"
                print(f"{size}  {name:12} {augment or 'as it is':14} {line}", flush=True)
            path.unlink()


def _write(path: Path, container: str, subtype: str, sample_rate: int, n_channels: int, hours: int) -> None:
    rng = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", sample_rate, n_channels, subtype, format=container) as file:
        block = rng.uniform(-0.3, 0.3, (_BLOCK_SECONDS * sample_rate, n_channels)).astype(np.float32)
        for _ in range(hours * 3600 // _BLOCK_SECONDS):
            file.write(block)


if __name__ == "__main__":
    main()
