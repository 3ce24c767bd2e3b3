"""An exported model, found, loaded and asked for the genres of files."""

import glob
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from keras_model.prediction.files import AudioFile, find_audio_files
from keras_model.prediction.track import SILENCE, Prediction, chosen_chunks
from keras_model.run_folder import FRONT_END_FILE, METRICS_FILE, FrontEnd
from tfrecords.audio import AudioSource, UnusableAudioError, announced_samples, as_file, waveform_blocks
from tfrecords.audio.formats import AUDIO_SUFFIXES
from tfrecords.errors import UsageError, quoted
from tfrecords.log_mel_spec import LogMelSpec
from tfrecords.programs import program

Outcome = Prediction | UnusableAudioError | OSError
SHIPPED = (
    "the network that ships: the tagger MSD_musicnn with a genre layer made for the ten genres of GTZAN, music of before 2002"
)
_SAVED_MODEL = "saved_model.pb"
_MOST_THREADS = 4  # each holds a block of a file, and what the network makes of it


class Predictor:
    """A network and its front end; `front_end` tells spec, genres and corpus of what it was trained on.

    Args:
        network: From log-mels, a tensor (n_chunks, n_mels, n_frames) float32, to the softmax of each, (n_chunks, n_genres).
        front_end: Of the network.
    """

    def __init__(self, network: Callable[[Any], Any], front_end: FrontEnd) -> None:
        self._network = network
        self.front_end = front_end

    @classmethod
    def shipped(cls) -> Self:
        """The network that ships, for which nothing was trained here.

        Raises:
            UsageError: If its weights are not on this machine, with the command that fetches them.
        """
        import tensorflow as tf

        from keras_model.networks.shipped import load_shipped

        model, front_end = load_shipped()
        signature = [tf.TensorSpec((None, *front_end.spec.shape), tf.float32)]
        return cls(tf.function(lambda log_mels: model(log_mels[..., tf.newaxis]), input_signature=signature), front_end)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Loads the model that `find_saved_model` finds.

        Raises:
            UsageError: If there is none, or it is not one that train.py exported.
        """
        import tensorflow as tf  # heavy; a command line looks at its arguments first

        saved_model = find_saved_model(path)
        try:
            front_end = FrontEnd.from_json((saved_model / "assets" / FRONT_END_FILE).read_text(encoding="utf-8"))
            return cls.of_saved_model(load_saved_model(saved_model), front_end)
        except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise UsageError(f"{saved_model} is no whole model that train.py exported: {reason}") from error

    @classmethod
    def of_saved_model(cls, saved_model: Any, front_end: FrontEnd) -> Self:
        """A SavedModel that was loaded, by its signature for log-mels."""
        signature = saved_model.signatures["serving_default"]
        return cls(lambda log_mels: signature(log_mel=log_mels)["probabilities"], front_end)

    def __repr__(self) -> str:
        n_genres, corpus = len(self.front_end.genres), self.front_end.corpus.title
        return f"<Predictor: {self.front_end.spec.shape} log-mels to {n_genres} genres, trained on {corpus}>"

    def predict(self, audio: AudioSource, *, n_chunks: int | None = None) -> Prediction:
        """Classifies audio by its candidate chunks, or by `n_chunks`, spread evenly.

        Args:
            audio: A file of any format that the pipeline reads: its path, the open file or its bytes; or a pair of samples,
                (n_samples,) or (n_samples, n_channels), and their rate in Hz.
            n_chunks: None for all.

        Raises:
            UnusableAudioError: If it does not decode, is shorter than one chunk or silent, or the network is damaged; with the
                path, where one is given.
            UsageError: If samples or their rate are none.
            OSError: If the file cannot be read.
        """
        with as_file(audio) as file:
            return classify(file, lambda block: self.probabilities(block.log_mels), front_end=self.front_end, n_chunks=n_chunks)

    def probabilities(self, log_mels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Log-mels (n_chunks, n_mels, n_frames) float32 to the softmax of each chunk, (n_chunks, n_genres) float32."""
        import tensorflow as tf

        probabilities: NDArray[np.float32] = self._network(tf.constant(log_mels)).numpy()
        return probabilities

    def predict_files(self, files: Sequence[AudioFile], *, n_chunks: int | None = None) -> Iterator[Outcome]:
        """Classifies files, some at a time.

        Yields:
            For each file in turn, as soon as it and those before it are done, its genre, or the error why there is none.
        """

        def outcome(file: AudioFile) -> Outcome:
            try:
                with file.opened() as opened:
                    return self.predict(opened, n_chunks=n_chunks)
            except (UnusableAudioError, OSError) as error:
                return error

        # Its threads are daemons: one that waits for standard input does not keep the program from ending.
        with ThreadPool(min(len(files), _MOST_THREADS, os.cpu_count() or 1)) as threads:
            yield from threads.imap(outcome, files)


@dataclass(frozen=True, kw_only=True, eq=False)
class LogMelBlock:
    """Neighbouring chunks of a file; there may be none."""

    spec: LogMelSpec
    waveform: NDArray[np.float32]  # (n,), the stretch of the file that they lie in
    first: int  # where in the file it begins, in samples
    starts: NDArray[np.int64]  # (n_chunks,), where the chunks begin in the file, in samples
    n_samples: int  # length of the file as far as it is decoded

    @property
    def log_mels(self) -> NDArray[np.float32]:
        """(n_chunks, n_mels, n_frames), computed each time."""
        from tfrecords.log_mel import cut_chunks, log_mel  # SciPy, which a server's clients do without

        if not len(self.starts):
            return np.empty((0, *self.spec.shape), np.float32)
        return log_mel(cut_chunks(self.waveform, self.starts - self.first, spec=self.spec), spec=self.spec)


def classify(
    file: BinaryIO,
    probabilities: Callable[[LogMelBlock], NDArray[np.float32]],
    *,
    front_end: FrontEnd,
    n_chunks: int | None = None,
) -> Prediction:
    """Classifies a file by its candidate chunks, or by `n_chunks`, spread evenly; wherever the network is.

    Args:
        file: Open for reading, with a descriptor.
        probabilities: The softmax of a block's chunks, (n_chunks, n_genres).
        front_end: What the network was trained on.
        n_chunks: None for all.

    Raises:
        UnusableAudioError: As `Predictor.predict`.
    """
    spec = front_end.spec
    # Which chunks are spread evenly over a file depends on its length. Its header is believed, until the end turns out to be
    # elsewhere: then the file is read again.
    n_samples = (announced_samples(file, sample_rate=spec.sample_rate) or 0) if n_chunks else 0
    while True:
        n_candidates = spec.n_candidate_chunks(n_samples)
        wanted = chosen_chunks(n_candidates, n_chunks) if n_chunks else None
        starts, rows = [], []
        for block in log_mel_blocks(file, spec=spec, wanted=wanted):
            n_samples = block.n_samples
            if len(block.starts):
                starts.append(block.starts)
                rows.append(probabilities(block))
        if wanted is None or spec.n_candidate_chunks(n_samples) == n_candidates:
            break
    chunk_probabilities = np.concatenate(rows)
    if not np.isfinite(chunk_probabilities).all():
        raise UnusableAudioError("no numbers", "the network gave no numbers")
    return Prediction(
        genres=front_end.genres,
        chunk_probabilities=chunk_probabilities,
        chunk_start_seconds=np.concatenate(starts) / spec.sample_rate,
        seconds=n_samples / spec.sample_rate,
    )


def log_mel_blocks(file: BinaryIO, *, spec: LogMelSpec, wanted: NDArray[np.int64] | None = None) -> Iterator[LogMelBlock]:
    """Decodes a file to log-mels of all candidate chunks, or of those whose rising indices are `wanted`.

    Yields:
        Blocks in the order of time; the last one tells the file's length.

    Raises:
        UnusableAudioError: Where `decode_audio` would, or if the file is silent, or shorter than one chunk. Some of its blocks
            may have come by then.
    """
    held = np.empty(0, np.float32)  # what chunks to come need, (n_samples,)
    held_from = n_seen = 0  # samples of the file before it; candidate chunks so far
    loudest = np.float32(0.0)
    for block in waveform_blocks(file, sample_rate=spec.sample_rate):
        loudest = np.abs(block).max(initial=loudest)
        held = np.concatenate([held, block])
        n_samples = held_from + len(held)
        n_candidates = spec.n_candidate_chunks(n_samples)
        indices = np.arange(n_seen, n_candidates) if wanted is None else wanted[(wanted >= n_seen) & (wanted < n_candidates)]
        starts = indices * spec.chunk_step
        yield LogMelBlock(spec=spec, waveform=held, first=held_from, starts=starts, n_samples=n_samples)
        n_seen = n_candidates
        n_done = min(n_seen * spec.chunk_step - held_from, len(held))
        held, held_from = held[n_done:], held_from + n_done
    if loudest < SILENCE:
        raise UnusableAudioError("silent", "is silent: no sample reaches half a step of 16 bits")
    if not n_seen:
        seconds = n_samples / spec.sample_rate
        raise UnusableAudioError("too short", f"too short: {seconds:.2f} s, need {spec.min_seconds(1):.2f} s")


def load_saved_model(path: Path) -> Any:
    """Loads a SavedModel from a folder of any name: TensorFlow takes some for patterns, with brackets and stars in them."""
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / "model"
        link.symlink_to(path.resolve())
        return tf.saved_model.load(str(link))


def find_saved_model(path: Path) -> Path:
    """The SavedModel that a path means: a run's folder, an export folder, a folder of versions, or a version itself.

    An export folder holds a folder per model's name, which holds the versions; the newest one is taken. A run's `metrics.json`
    names the folder that it was exported to.

    Raises:
        UsageError: If there is none, or an export folder holds several models.
    """
    if os.path.isfile(path / _SAVED_MODEL):  # Path.is_file raises for a name that is too long
        return path
    for folder in (path / "export", path, *_export_option(path)):
        if version := newest_version(folder):
            return version
        named = {name: version for name in glob.glob("*", root_dir=folder) if (version := newest_version(folder / name))}
        if len(named) > 1:
            raise UsageError(f"{folder} holds several models, {', '.join(sorted(named))}: give the folder of one")
        if named:
            return next(iter(named.values()))
    exports = f"{program('train')} --export"
    raise UsageError(f"there is no exported model in {path}; give a run's folder or one that {exports} wrote to")


def find_model_and_files(paths: Sequence[str]) -> tuple[Path | None, list[AudioFile]]:
    """What a command line names: a model's folder, if one comes first, and audio files.

    Returns:
        The SavedModel, None for the network that ships; and the files.

    Raises:
        UsageError: If the first is a folder of neither, no file is named, or the files' names cannot be read.
    """
    first = paths[0]
    is_folder = os.path.isdir(first)
    is_song = os.path.exists(first) or first in ("", "-") or Path(first).suffix.lower() in AUDIO_SUFFIXES or len(paths) == 1
    if not is_folder and is_song:
        return None, find_audio_files(paths)
    try:
        model = find_saved_model(Path(first))
    except UsageError:
        if not is_folder or find_audio_files([first])[0].problem:
            raise
        return None, find_audio_files(paths)
    if len(paths) == 1:
        raise UsageError(f"no audio file is named for the model in {first}")
    return model, find_audio_files(paths[1:])


def newest_version(folder: Path) -> Path | None:
    """The SavedModel of the highest number in a model's folder; None if it has none."""
    numbers = [os.path.dirname(found) for found in glob.glob(f"*/{_SAVED_MODEL}", root_dir=folder)]
    newest = max((number for number in numbers if number.isdecimal()), key=int, default=None)
    return None if newest is None else folder / newest


def _export_option(run: Path) -> list[Path]:
    """The folder that a run was exported to, by its metrics; none if it has no metrics or was not exported."""
    try:
        folder = json.loads((run / METRICS_FILE).read_text(encoding="utf-8"))["options"]["export"]
        return [Path(folder)] if folder else []
    except OSError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{run / METRICS_FILE} is damaged: {quoted(error)}") from error
