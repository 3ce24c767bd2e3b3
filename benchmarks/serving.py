"""Serving: twenty clients at one server for minutes, beside what each of them gets alone, and a file of hours.

The server is that of the tests, on loopback, in a process of its own: it runs an export by the files that the export ships, with
TensorFlow Serving's rules, but in Python. Every second client speaks REST, the others gRPC.

    python -m benchmarks.serving --minutes 10
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import psutil
import soundfile
from numpy.typing import NDArray

from benchmarks.corpus import write_tracks
from benchmarks.prediction import export_untrained
from benchmarks.processes import measure
from keras_model.client import connect
from keras_model.quiet import load_tensorflow
from keras_model.serving_client.protocol import Address
from keras_model.serving_client.remote_predictor import RemotePredictor

_RATES_HZ = (22050, 44100, 48000)


@dataclass
class Tally:
    """What the clients of one protocol have seen so far."""

    seconds: list[float] = field(default_factory=list)  # of each track
    largest_difference: float = 0.0  # of a chunk's probabilities, from those that a client got alone
    errors: list[str] = field(default_factory=list)


def _write_files(folder: Path, tracks: list[Path]) -> list[Path]:
    """Tracks of 3 to 30 s, at three sample rates."""
    files = []
    for number, track in enumerate(tracks):
        samples = soundfile.read(track)[0][: 66150 * (1 + number % 10)]
        files.append(folder / track.name)
        soundfile.write(files[-1], samples, _RATES_HZ[number % 3])
    return files


def _serve(folder: Path, pipe: Connection) -> None:
    """Serves until something is sent; a process of its own."""
    load_tensorflow()
    from tests.shipped import served_as_shipped

    with served_as_shipped(folder) as server:
        pipe.send((server.rest_url, server.grpc_url))
        pipe.recv()


@contextmanager
def _server(folder: Path) -> Iterator[tuple[psutil.Process, tuple[str, str]]]:
    """The server's process and its addresses."""
    ours, its = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(folder, its))
    process.start()
    try:
        yield psutil.Process(process.pid), ours.recv()
    finally:
        ours.send(None)
        process.join()


def _answer(predictor: RemotePredictor, path: Path) -> NDArray[np.float32]:
    with path.open("rb") as file:
        return predictor.predict(file).chunk_probabilities


def _ask_until(end: float, url: str, first: int, alone: dict[Path, NDArray[np.float32]], tally: Tally) -> None:
    """One client: asks for one file after the other."""
    predictor = RemotePredictor(connect(Address(url=url)), n_retries=0)
    paths = list(alone)
    for turn in count(first):
        if time.monotonic() >= end:
            return
        path = paths[turn % len(paths)]
        started = time.monotonic()
        try:
            difference = float(np.abs(_answer(predictor, path) - alone[path]).max())
        except Exception as error:
            tally.errors.append(repr(error))
            continue
        tally.seconds.append(time.monotonic() - started)
        tally.largest_difference = max(tally.largest_difference, difference)


def _crowd(process: psutil.Process, urls: tuple[str, str], paths: list[Path], *, n_clients: int, minutes: float) -> None:
    predictor = RemotePredictor(connect(Address(url=urls[1])), n_retries=0)
    alone = {path: _answer(predictor, path) for path in paths}
    tallies = [Tally(), Tally()]
    start = time.monotonic()
    end = start + 60 * minutes
    clients = [
        threading.Thread(target=_ask_until, args=(end, urls[number % 2], number, alone, tallies[number % 2]))
        for number in range(n_clients)
    ]
    for client in clients:
        client.start()
    mib: dict[int, float] = {}  # the most in each minute
    while any(client.is_alive() for client in clients):
        minute = int(time.monotonic() - start) // 60
        mib[minute] = max(mib.get(minute, 0.0), process.memory_info().rss / 2**20)
        time.sleep(1.0)
    print(f"\n{n_clients} clients for {minutes:g} minutes, tracks of 3 to 30 s at {', '.join(map(str, _RATES_HZ))} Hz")
    print(f"  {'':6}{'tracks':>8}{'p50':>8}{'p95':>8}{'p99':>8} s   largest difference from a client alone   errors")
    for name, tally in zip(("REST", "gRPC"), tallies, strict=True):
        quantiles = "".join(f"{value:8.2f}" for value in np.quantile(tally.seconds, (0.5, 0.95, 0.99)))
        print(f"  {name:6}{len(tally.seconds):8}{quantiles}     {tally.largest_difference:.1e}{len(tally.errors):40}")
        for error in sorted(set(tally.errors)):
            print(f"    {error}")
    print(f"  the server's memory, the most in each minute: {', '.join(f'{most:.0f}' for most in mib.values())} MiB", flush=True)


def _hours(urls: tuple[str, str], folder: Path, track: Path, *, hours: float) -> None:
    samples, rate = soundfile.read(track, dtype="int16")
    path = folder / "hours.wav"
    with soundfile.SoundFile(path, "w", rate, 1, subtype="PCM_16") as file:
        for _ in range(round(3600 * hours * rate / len(samples))):
            file.write(samples)
    print(f"\nA file of {hours:g} hours, the client's whole process")
    for name, url in zip(("REST", "gRPC"), urls, strict=True):
        measured = measure([sys.executable, "-m", "keras_model.client", str(path), "--url", url])
        print(f"  {name:6}{measured.seconds:8.1f} s, at most {measured.peak_mib:.0f} MiB", flush=True)


def main() -> None:
    """Prints the two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="of the crowd (default: %(default)g)")
    parser.add_argument("--clients", type=int, default=20, help="in the crowd (default: %(default)s)")
    parser.add_argument("--hours", type=float, default=2.0, help="of the long file (default: %(default)g)")
    options = parser.parse_args()
    os.environ["no_proxy"] = "127.0.0.1"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tracks = write_tracks(folder / "tracks", 30, workers=1)
        files = _write_files(folder, tracks)
        load_tensorflow()
        export_untrained(folder / "export")
        print(f"Preset paper, shallow network with batch normalisation, {os.cpu_count()} cores", flush=True)
        with _server(folder / "export") as (process, urls):
            _hours(urls, folder, tracks[0], hours=options.hours)
            _crowd(process, urls, files, n_clients=options.clients, minutes=options.minutes)


if __name__ == "__main__":
    main()
