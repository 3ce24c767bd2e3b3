"""How many decisions of trained networks change when a track is softer, louder, or comes as an MP3 or AAC.

Each run is asked about the tracks that it was tested on, so that with the runs of a cross-validation every track counts once.

    python -m benchmarks.robustness AUDIO RUN…      # needs ffmpeg

AUDIO is the folder of the dataset's tracks: GENRE/TRACK.wav.
"""

import argparse
import io
import json
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from keras_model.prediction.model import Predictor
from keras_model.prediction.runtimes import of_tensorflow
from keras_model.quiet import load_tensorflow
from keras_model.run_folder import FRONT_END_FILE, METRICS_FILE, MODEL_FILE, FrontEnd
from tfrecords.display.text_table import columns

Change = Callable[[Path], bytes]


def at_level(decibels: float, *, subtype: str = "FLOAT") -> Change:
    """Amplified or attenuated; in 16 bits, what is too loud is cut off."""

    def change(path: Path) -> bytes:
        samples, rate = soundfile.read(path, dtype="float64")
        file = io.BytesIO()
        soundfile.write(file, samples * 10 ** (decibels / 20), rate, format="WAV", subtype=subtype)
        return file.getvalue()

    return change


def encoded(codec: str, bit_rate: str, suffix: str) -> Change:
    """Encoded and decoded again by ffmpeg."""

    def change(path: Path) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            small, back = Path(folder, f"x{suffix}"), Path(folder, "x.wav")
            for command in (["-i", str(path), "-c:a", codec, "-b:a", bit_rate, str(small)], ["-i", str(small), str(back)]):
                subprocess.run(["ffmpeg", "-v", "error", *command], check=True)  # noqa: S607 (fixed words and our own files)
            return back.read_bytes()

    return change


CHANGES: Mapping[str, Change] = {
    "-12 dB": at_level(-12),
    "+6 dB": at_level(6),
    "+6 dB, clipped": at_level(6, subtype="PCM_16"),
    "MP3, 128 kbit/s": encoded("libmp3lame", "128k", ".mp3"),
    "AAC, 96 kbit/s": encoded("aac", "96k", ".m4a"),
}


def load_run(run: Path) -> tuple[Predictor, Mapping[str, str]]:
    """The network of a run, and the genre of each track that it was tested on."""
    import tensorflow as tf

    from keras_model.networks.classifiers import load_model

    front_end = FrontEnd.from_json((run / FRONT_END_FILE).read_text(encoding="utf-8"))
    model = load_model(run / MODEL_FILE)
    metrics = json.loads((run / METRICS_FILE).read_text(encoding="utf-8"))
    genres = {track_id: track["genre"] for track_id, track in metrics["final"]["tracks"].items()}
    signature = [tf.TensorSpec((None, *front_end.spec.shape), tf.float32)]
    network = tf.function(lambda log_mels: model(log_mels[..., tf.newaxis], training=False), input_signature=signature)
    return Predictor(of_tensorflow(network), front_end), genres


def decisions(audio: Path, runs: Sequence[Path], changes: Mapping[str, Change]) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """What each track is taken for as it is and after each change, (n_tracks, 1 + n_changes), and what it is, (n_tracks,)."""
    rows, truth = [], []
    for run in runs:
        predictor, genres = load_run(run)
        for track_id, genre in genres.items():
            path = audio / genre / f"{track_id}.wav"
            rows.append(
                [predictor.predict(data).genre for data in (path.read_bytes(), *(make(path) for make in changes.values()))]
            )
            truth.append(genre)
    return np.asarray(rows), np.asarray(truth)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audio", type=Path)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    options = parser.parse_args(arguments)
    load_tensorflow()
    found, truth = decisions(options.audio, options.runs, CHANGES)
    print(f"{len(truth)} tracks, maximum probability over all chunks")
    right = (found == truth[:, np.newaxis]).mean(axis=0)
    changed = (found != found[:, :1]).mean(axis=0)
    rows = [["", "tracks right", "decisions changed"], ["as it is", f"{right[0]:.1%}", ""]]
    rows += [[name, f"{right[i]:.1%}", f"{changed[i]:.1%}"] for i, name in enumerate(CHANGES, 1)]
    print("\n".join(columns(rows)))


if __name__ == "__main__":
    main()
