"""Whether a written SavedModel computes what pipeline and network compute, on synthesised audio."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import soundfile
import tensorflow as tf
from numpy.typing import NDArray

from keras_model.prediction.model import Predictor
from keras_model.prediction.runtimes import load_saved_model
from keras_model.prediction.track import Prediction
from keras_model.run_folder import ExportError, FrontEnd
from tfrecords.errors import quoted
from tfrecords.front_end.log_mel import log_mel
from tfrecords.front_end.log_mel_spec import LogMelSpec
from tfrecords.records.schema import Record, encode

FEATURE_TOLERANCE = 1e-4
PROBABILITY_TOLERANCE = 1e-5
# What log-mels within FEATURE_TOLERANCE may move a track's probabilities by.
TRACK_TOLERANCE = 1e-3
# Resampling is soxr's in the pipeline and the graph's own here: alike but for the uppermost bands.
RESAMPLED_TOLERANCE = 0.05
_OTHER_RATES_HZ = (44100, 48000)
# An item that stands alone passes through the same operations, in the same blocks.
NEIGHBOUR_TOLERANCE = 1e-6
_TRACK_SECONDS = 2.5


def check_signals(spec: LogMelSpec) -> NDArray[np.float32]:
    """Chunks that show a front end's differences, (5, chunk_samples): a tone, a sweep, noise loud and faint, silence."""
    time = np.arange(spec.chunk_samples) / spec.sample_rate
    noise = np.random.default_rng(0).standard_normal(time.size)
    sweep = np.sin(2 * np.pi * (50.0 * time + 0.45 * (spec.fmax_hz - 50.0) * time**2 / time[-1]))
    signals = (0.9 * np.sin(2 * np.pi * 440.0 * time), 0.5 * sweep, 0.2 * noise, 1e-4 * noise, np.zeros_like(time))
    return np.stack(signals).astype(np.float32)


def check_tracks(spec: LogMelSpec, *, sample_rate: int) -> NDArray[np.float32]:
    """Tracks of three chunks or more, unlike each other, with sound in all bands and full scale never reached, (3, n_samples)."""
    time = np.arange(round(max(_TRACK_SECONDS, spec.min_seconds(3)) * sample_rate)) / sample_rate
    noise = np.random.default_rng(1).standard_normal(time.size)
    chord = sum(np.sin(2 * np.pi * hz * time) for hz in (220.0, 277.2, 329.6, 1760.0)) / 4
    beat = np.exp(-8.0 * (time % 0.5)) * noise
    tracks = (0.5 * chord + 0.01 * noise, 0.2 * beat + 0.005 * noise, 0.05 * noise + 0.3 * chord * (time % 1.0 < 0.5))
    return np.clip(np.stack(tracks), -0.99, 0.99).astype(np.float32)


def wav_bytes(waveform: NDArray[np.float32], sample_rate: int) -> bytes:
    """A waveform (n_samples,) in ±1 as a WAV file of 16 bits."""
    file = io.BytesIO()
    soundfile.write(file, waveform, sample_rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def check_export(saved: Path, model: keras.Model, front_end: FrontEnd, *, n_wanted: int | None = None) -> dict[str, Any]:
    """Reloads a SavedModel and compares it with the network that was exported, and with its front end in the pipeline.

    Returns:
        For each comparison the largest difference and what it may be.

    Raises:
        ExportError: If one of them is larger than it may be.
    """
    reloaded = load_saved_model(saved)
    signatures = reloaded.signatures
    spec = front_end.spec
    # The pipeline's front end, and the network, which is compared before.
    predictor = Predictor.of_saved_model(reloaded, front_end)
    results = {}

    def compare(name: str, title: str, served: Any, expected: Any, tolerance: float) -> None:
        # NaN compares as larger than everything.
        difference = float(np.abs(np.asarray(served, np.float64) - np.asarray(expected, np.float64)).max())
        if not difference <= tolerance:
            raise ExportError(f"the served {title} by {difference:.2g}, more than {tolerance:.0e}")
        results[name] = {"difference": difference, "tolerance": tolerance}

    chunks = check_signals(spec)
    features = log_mel(chunks, spec=spec)
    compare("log_mel", "log-mels differ from the pipeline's", reloaded.log_mel(tf.constant(chunks)), features, FEATURE_TOLERANCE)
    # As a graph, with the fusions of the served one.
    probabilities = model.predict(features[..., np.newaxis], verbose=0)
    served = signatures["serving_default"](log_mel=tf.constant(features))["probabilities"]
    compare("probabilities", "probabilities differ from the network's", served, probabilities, PROBABILITY_TOLERANCE)
    records = [
        encode(Record(log_mel=feature, label=0, genre="", track_id="check", chunk_index=index, start_sample=0))
        for index, feature in enumerate(features)
    ]
    scores = signatures["classify_examples"](inputs=tf.constant(records))["scores"]
    compare("examples", "scores of records differ from the network's", scores, probabilities, PROBABILITY_TOLERANCE)

    classify_audio = signatures["classify_audio"]
    for rate in (spec.sample_rate, *(rate for rate in _OTHER_RATES_HZ if rate != spec.sample_rate)):
        tolerance = TRACK_TOLERANCE if rate == spec.sample_rate else RESAMPLED_TOLERANCE
        files = [wav_bytes(waveform, rate) for waveform in check_tracks(spec, sample_rate=rate)]
        expected = [predictor.predict(file, n_chunks=n_wanted) for file in files]
        answer = classify_audio(audio=tf.constant(files))
        title = f"probabilities of tracks of {rate} Hz differ from the pipeline's"
        compare(f"tracks_{rate}_hz", title, answer["probabilities"], [one.probabilities for one in expected], tolerance)
        check_decisions(answer, expected, tolerance, rate)

    files = [wav_bytes(waveform, spec.sample_rate) for waveform in check_tracks(spec, sample_rate=spec.sample_rate)]
    waveforms = np.stack([soundfile.read(io.BytesIO(file), dtype="float32")[0] for file in files])
    served = signatures["classify_waveform"](
        waveform=tf.constant(waveforms),
        n_samples=tf.fill([len(files)], waveforms.shape[1]),
        sample_rate=tf.fill([len(files)], spec.sample_rate),
    )
    of_files = classify_audio(audio=tf.constant(files))["chunk_probabilities"]
    title = "probabilities of waveforms differ from those of files"
    compare("waveforms", title, served["chunk_probabilities"], of_files, NEIGHBOUR_TOLERANCE)

    # What an item gets must not depend on the others, faulty ones among them.
    files += [b"", b"no audio", wav_bytes(waveforms[0] * 0, spec.sample_rate), files[0][:1000]]
    together = classify_audio(audio=tf.constant(files))
    alone = [classify_audio(audio=tf.constant([file])) for file in files]
    for key in ("genre", "genre_majority", "n_chunks", "error"):
        if together[key].numpy().tolist() != [one[key].numpy()[0] for one in alone]:
            raise ExportError(f"the served {key} of an item depends on its neighbours")
    title = "probabilities of an item depend on its neighbours,"
    each = [one["probabilities"][0] for one in alone]
    compare("neighbours", title, together["probabilities"], each, NEIGHBOUR_TOLERANCE)
    return results


def check_decisions(answer: Mapping[str, tf.Tensor], expected: Sequence[Prediction], tolerance: float, rate: int) -> None:
    """Decisions must be the same, but where what decides is nearer to a tie than the probabilities need be to each other."""
    served = {name: answer[name].numpy() for name in ("genre", "genre_majority", "n_chunks", "votes")}
    for row, one in enumerate(expected):
        if served["n_chunks"][row] != one.n_chunks:
            raise ExportError(f"a track of {rate} Hz is served by {served['n_chunks'][row]} chunks, it has {one.n_chunks}")
        n_unsure = sum(_lead(chunk) <= 2 * tolerance for chunk in one.chunk_probabilities)
        if np.abs(served["votes"][row] - one.votes).sum() > 2 * n_unsure:
            raise ExportError(f"the chunks of a track of {rate} Hz are taken for others than by the pipeline's front end")
        may_differ = {"genre": _lead(one.probabilities) <= 2 * tolerance, "genre_majority": n_unsure > 0}
        for name, genre in (("genre", one.genre), ("genre_majority", one.genre_majority)):
            found = served[name][row].decode()
            if found != genre and not may_differ[name]:
                raise ExportError(
                    f"a track of {rate} Hz is served as {quoted(found)}, by the pipeline's front end it is {quoted(genre)}"
                )


def _lead(probabilities: NDArray[np.floating]) -> float:
    """By how much the most probable genre is more so than the next, where there is one."""
    ranked = np.sort(probabilities)[::-1]
    return float(ranked[0] - ranked[1]) if len(ranked) > 1 else 1.0
