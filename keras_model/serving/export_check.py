"""Whether a written SavedModel computes what pipeline and network compute."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import soundfile
import tensorflow as tf
from numpy.typing import NDArray

from keras_model.chunk_choice import chosen_chunks
from keras_model.front_end import FrontEnd
from keras_model.run_folder import ExportError
from keras_model.serving.check_signals import check_signals, check_tracks, wav_bytes
from keras_model.serving.saved_model import load_saved_model
from keras_model.track_prediction import Prediction
from tfrecords.audio import decode_audio
from tfrecords.errors import quoted
from tfrecords.log_mel import cut_chunks, log_mel
from tfrecords.schema import Record, encode

FEATURE_TOLERANCE = 1e-4
PROBABILITY_TOLERANCE = 1e-5
# What log-mels within FEATURE_TOLERANCE may move a track's probabilities by.
TRACK_TOLERANCE = 1e-3
# Resampling is soxr's in the pipeline and the graph's own here: alike but for the uppermost bands.
RESAMPLED_TOLERANCE = 0.05
_OTHER_RATES_HZ = (44100, 48000)
# An item that stands alone passes through the same operations, in the same blocks.
NEIGHBOUR_TOLERANCE = 1e-6

Answer = Mapping[str, tf.Tensor]


def check_export(saved: Path, model: keras.Model, front_end: FrontEnd, *, n_wanted: int | None = None) -> dict[str, Any]:
    """Reloads a SavedModel and compares it.

    Args:
        saved: Its folder.
        model: The network that was exported.
        front_end: Its front end.
        n_wanted: How many chunks of a track it classifies; None for all.

    Returns:
        For each comparison the largest difference and what it may be.

    Raises:
        ExportError: If one of them is larger than it may be.
    """
    reloaded = load_saved_model(saved)
    spec = front_end.spec
    chunks = check_signals(spec)
    features = log_mel(chunks, spec=spec)
    results = {}

    def compare(name: str, title: str, served: Any, expected: Any, tolerance: float) -> None:
        # NaN compares as larger than everything.
        difference = float(np.abs(np.asarray(served, np.float64) - np.asarray(expected, np.float64)).max())
        if not difference <= tolerance:
            raise ExportError(f"the served {title} by {difference:.2g}, more than {tolerance:.0e}")
        results[name] = {"difference": difference, "tolerance": tolerance}

    compare("log_mel", "log-mels differ from the pipeline's", reloaded.log_mel(tf.constant(chunks)), features, FEATURE_TOLERANCE)
    # As a graph, with the fusions of the served one.
    probabilities = model.predict(features[..., np.newaxis], verbose=0)
    signatures = reloaded.signatures
    served = signatures["serving_default"](log_mel=tf.constant(features))["probabilities"]
    compare("probabilities", "probabilities differ from the network's", served, probabilities, PROBABILITY_TOLERANCE)
    scores = signatures["classify_examples"](inputs=tf.constant(_records(features)))["scores"]
    compare("examples", "scores of records differ from the network's", scores, probabilities, PROBABILITY_TOLERANCE)

    classify_audio = signatures["classify_audio"]
    for rate in (spec.sample_rate, *(rate for rate in _OTHER_RATES_HZ if rate != spec.sample_rate)):
        waveforms = check_tracks(spec, sample_rate=rate)
        files = [wav_bytes(waveform, rate) for waveform in waveforms]
        expected = [_by_pipeline(file, model, front_end, n_wanted) for file in files]
        answer = classify_audio(audio=tf.constant(files))
        same = rate == spec.sample_rate
        tolerance = TRACK_TOLERANCE if same else RESAMPLED_TOLERANCE
        title = f"probabilities of tracks of {rate} Hz differ from the pipeline's"
        compare(f"tracks_{rate}_hz", title, answer["probabilities"], [one.probabilities for one in expected], tolerance)
        check_decisions(answer, expected, tolerance, rate)
        if same:
            _check_waveforms(signatures, files, answer, compare)
            _check_neighbours(
                classify_audio, [*files, b"", b"no audio", wav_bytes(waveforms[0] * 0, rate), files[0][:1000]], compare
            )
    return results


def _records(features: NDArray[np.float32]) -> list[bytes]:
    return [
        encode(Record(log_mel=feature, label=0, genre="", track_id="check", chunk_index=index, start_sample=0))
        for index, feature in enumerate(features)
    ]


def _by_pipeline(file: bytes, model: keras.Model, front_end: FrontEnd, n_wanted: int | None) -> Prediction:
    spec = front_end.spec
    waveform = decode_audio(file, sample_rate=spec.sample_rate).waveform
    starts = chosen_chunks(spec.n_candidate_chunks(len(waveform)), n_wanted) * spec.chunk_step
    features = log_mel(cut_chunks(waveform, starts, spec=spec), spec=spec)
    return Prediction.from_chunks(
        front_end.genres,
        model.predict(features[..., np.newaxis], verbose=0),
        starts / spec.sample_rate,
        len(waveform) / spec.sample_rate,
    )


def check_decisions(answer: Answer, expected: Sequence[Prediction], tolerance: float, rate: int) -> None:
    """Decisions must be the same, but where what decides is nearer to a tie than the probabilities need be to each other."""
    served = {name: answer[name].numpy() for name in ("genre", "genre_majority", "n_chunks", "votes")}
    for row, one in enumerate(expected):
        if served["n_chunks"][row] != one.n_chunks:
            raise ExportError(f"a track of {rate} Hz is served by {served['n_chunks'][row]} chunks, it has {one.n_chunks}")
        unsure = [_lead(chunk) <= 2 * tolerance for chunk in one.chunk_probabilities]
        if np.abs(served["votes"][row] - one.votes).sum() > 2 * sum(unsure):
            raise ExportError(f"the chunks of a track of {rate} Hz are taken for others than by the pipeline's front end")
        decisions = (
            ("genre", one.genre, _lead(one.probabilities) <= 2 * tolerance),
            ("genre_majority", one.genre_majority, any(unsure)),
        )
        for name, genre, may_differ in decisions:
            if served[name][row].decode() != genre and not may_differ:
                found = quoted(served[name][row].decode())
                raise ExportError(f"a track of {rate} Hz is served as {found}, by the pipeline's front end it is {quoted(genre)}")


def _lead(probabilities: NDArray[np.floating]) -> float:
    """By how much the most probable genre is more so than the next, where there is one."""
    ranked = np.sort(probabilities)[::-1]
    return float(ranked[0] - ranked[1]) if len(ranked) > 1 else 1.0


def _check_waveforms(signatures: Any, files: Sequence[bytes], answer: Answer, compare: Any) -> None:
    decoded = [soundfile.read(io.BytesIO(file), dtype="float32") for file in files]
    served = signatures["classify_waveform"](
        waveform=tf.constant(np.stack([waveform for waveform, _ in decoded])),
        n_samples=tf.constant([len(waveform) for waveform, _ in decoded], tf.int32),
        sample_rate=tf.constant([rate for _, rate in decoded], tf.int32),
    )
    compare("waveforms", "probabilities of waveforms differ from those of files", *_both(served, answer), NEIGHBOUR_TOLERANCE)


def _both(one: Answer, other: Answer) -> tuple[Any, Any]:
    return one["chunk_probabilities"].numpy(), other["chunk_probabilities"].numpy()


def _check_neighbours(classify_audio: Any, files: Sequence[bytes], compare: Any) -> None:
    """What an item gets must not depend on the others, faulty ones among them."""
    together = classify_audio(audio=tf.constant(files))
    alone = [classify_audio(audio=tf.constant([file])) for file in files]
    for key in ("genre", "genre_majority", "n_chunks", "error"):
        if together[key].numpy().tolist() != [one[key].numpy()[0] for one in alone]:
            raise ExportError(f"the served {key} of an item depends on its neighbours")
    compare(
        "neighbours",
        "probabilities of an item depend on its neighbours,",
        together["probabilities"],
        np.concatenate([one["probabilities"].numpy() for one in alone]),
        NEIGHBOUR_TOLERANCE,
    )
