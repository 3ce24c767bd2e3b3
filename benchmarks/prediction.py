"""Prediction: one warm track beside a plain script of librosa and stock Keras layers, many tracks, and a cold start.

Everything is measured in one run on the same cores, on synthesised tracks of 30 s at 22050 Hz and an untrained network. What is
compared takes turns, so that a slow minute of the machine is everyone's.

    python -m benchmarks.prediction
"""

import argparse
import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile

from benchmarks.corpus import write_tracks
from benchmarks.processes import measure
from keras_model.prediction.blocks import log_mel_blocks
from keras_model.prediction.model import Predictor
from keras_model.quiet import load_tensorflow
from tfrecords.front_end.log_mel_spec import PRESETS

_SPEC = PRESETS["paper"]
_GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")


def export_untrained(folder: Path) -> None:
    """Exports an untrained shallow network with batch normalisation, as train.py does, and as an ONNX file."""
    from keras_model.export import export_model
    from keras_model.networks.classifiers import build_classifier
    from keras_model.networks.fused import implement
    from keras_model.run_folder import FrontEnd
    from keras_model.serving.portable_formats import export_portable
    from tfrecords.dataset.corpus import CorpusInfo

    model = build_classifier("shallow", _SPEC.shape, n_genres=len(_GENRES), batchnorm=True)
    front_end = FrontEnd(spec=_SPEC, genres=_GENRES, corpus=CorpusInfo(name="benchmark"), fingerprint="0" * 64)
    export_portable(model, front_end, "onnx", folder=folder, name="genres")
    export_model(implement(model), front_end, folder=folder)


def _plain_log_mels(data: bytes) -> np.ndarray:
    """Log-mels of all candidate chunks, (n_chunks, n_mels, n_frames, 1), as a user would write it with librosa."""
    import librosa

    waveform = soundfile.read(io.BytesIO(data), dtype="float32")[0] * np.float32(_SPEC.amplitude_scale)
    log_mels = []
    for number in range(_SPEC.n_candidate_chunks(len(waveform))):
        chunk = waveform[number * _SPEC.chunk_step :][: _SPEC.chunk_samples]
        mel = librosa.feature.melspectrogram(
            y=chunk,
            sr=_SPEC.sample_rate,
            n_fft=_SPEC.n_fft,
            win_length=_SPEC.win_length,
            hop_length=_SPEC.hop_length,
            n_mels=_SPEC.n_mels,
            power=_SPEC.power,
            htk=True,
            norm=None,
            pad_mode="constant",
        )
        padding = ((0, 0), (0, _SPEC.n_frames - mel.shape[1]))
        log_mels.append(np.pad(np.log(mel + _SPEC.log_offset), padding, mode="edge"))
    return np.stack(log_mels)[..., np.newaxis].astype(np.float32)


def _contestants(folder: Path, data: bytes) -> dict[str, Callable[[], Any]]:
    """From bytes to a genre, by name; this project first, and the parts of its work that it does on all cores at once."""
    from benchmarks.stock_network import pooled_before_activation

    predictor, of_file = Predictor.load(folder), Predictor.load(folder / "genres.onnx")
    block = next(log_mel_blocks(_file(data), spec=_SPEC))
    log_mels = block.log_mels
    stock = pooled_before_activation(batchnorm=True)

    def one_at_a_time() -> int:
        # Keras' fastest call for a batch that is at hand: without the data set and the callbacks of `predict`.
        rows = [stock.predict_on_batch(chunk[np.newaxis]) for chunk in _plain_log_mels(data)]
        return int(np.concatenate(rows).mean(axis=0).argmax())

    return {
        "this project": lambda: predictor.predict(data).genre,
        "  decoding": lambda: [len(part.waveform) for part in log_mel_blocks(_file(data), spec=_SPEC)],
        "  log-mels of all chunks, one core": lambda: block.log_mels,
        "  network on all chunks": lambda: predictor.probabilities(log_mels),
        "this project, ONNX file": lambda: of_file.predict(data).genre,
        "librosa + stock Keras, a chunk at a time": one_at_a_time,
        "librosa + stock Keras, all chunks at once": lambda: stock.predict_on_batch(_plain_log_mels(data)).mean(axis=0).argmax(),
    }


def _file(data: bytes) -> BinaryIO:
    """An open file, which decoders read by its descriptor."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as it is referred to
    file.write(data)
    file.flush()
    return file


def _print_one_track(folder: Path, track: Path, rounds: int) -> None:
    contestants = _contestants(folder, track.read_bytes())
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, classify in contestants.items():
            # The first call warms up: what came before may have left the caches full, a core asleep, or threads of a BLAS that
            # wait for more work with a core each, some 20 ms long.
            classify()
            started = time.perf_counter()
            classify()
            seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"\nOne track, 63 chunks, from bytes to genre, warm; median of {rounds}")
    for name, median in medians.items():
        print(f"  {name:44}{1e3 * median:9.0f} ms{median / medians['this project']:8.2f}×", flush=True)


def _print_processes(folder: Path, tracks: list[Path], rounds: int) -> None:
    predict = [sys.executable, "-m", "keras_model.predict"]
    models = {"the SavedModel": folder / "genres", "the ONNX file": folder / "genres.onnx"}
    print(f"\nThe command on {len(tracks)} tracks, the whole process")
    for name, model in models.items():
        many = measure([*predict, str(model), "--csv", *map(str, tracks)])
        rate = len(tracks) / many.seconds
        print(f"  {name:16} {many.seconds:.1f} s, {rate:.1f} tracks/s, at most {many.peak_mib:.0f} MiB", flush=True)
    commands = {
        'python -c "import tensorflow"': [sys.executable, "-c", "import tensorflow"],
        **{f"the command on one track, {name}": [*predict, str(model), str(tracks[0])] for name, model in models.items()},
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            seconds[name].append(measure(command).seconds)
    print(f"\nA cold start; median of {rounds}")
    for name, values in seconds.items():
        print(f"  {name:44}{statistics.median(values):9.2f} s", flush=True)


def main() -> None:
    """Prints the three tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=200, help="tracks for the throughput (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="turns of what is compared (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Before TensorFlow is loaded: its threads do not survive the fork.
        tracks = write_tracks(folder / "tracks", options.tracks, workers=os.cpu_count() or 1)
        load_tensorflow()
        export_untrained(folder / "export")
        print(f"Preset paper, shallow network with batch normalisation, {os.cpu_count()} cores", flush=True)
        _print_one_track(folder / "export", tracks[0], options.rounds)
        _print_processes(folder / "export", tracks, max(3, options.rounds // 2))


if __name__ == "__main__":
    main()
