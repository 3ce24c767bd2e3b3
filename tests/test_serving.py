"""The signatures of the SavedModel: the pipeline's and the network's answers, and clear words for items that have none."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_model.evaluation.votes import vote
from keras_model.networks.classifiers import load_model
from keras_model.prediction.runtimes import load_saved_model
from keras_model.run_folder import FrontEnd
from keras_model.serving.served_model import ServedModel
from tests.conftest import GENRES, SAMPLE_RATE, synthetic_track, tone
from tests.served import by_pipeline, front_end_of, rows, version_of, wav
from tfrecords.front_end.log_mel import cut_chunks, log_mel
from tfrecords.records.schema import Record, encode

SILENT = "is silent: no sample reaches half a step of 16 bits"


@pytest.fixture(scope="module")
def signatures(run: Path) -> Any:
    return load_saved_model(version_of(run)).signatures


@pytest.fixture(scope="module")
def tracks() -> list[np.ndarray]:
    """Three tracks of different lengths, of 4, 2 and 6 chunks."""
    lengths = (2.5, 1.6, 3.3)
    return [synthetic_track(genre, 40, seconds=seconds) for genre, seconds in zip(GENRES, lengths, strict=True)]


def test_shapes_and_types_are_those_documented(signatures: Any) -> None:
    inputs = {name: signatures[name].structured_input_signature[1] for name in signatures}
    shapes = {
        name: {key: (spec.dtype.name, spec.shape.as_list()) for key, spec in specs.items()} for name, specs in inputs.items()
    }
    assert shapes == {
        "serving_default": {"log_mel": ("float32", [None, 80, 80])},
        "classify_waveform": {
            "waveform": ("float32", [None, None]),
            "n_samples": ("int32", [None]),
            "sample_rate": ("int32", [None]),
        },
        "classify_audio": {"audio": ("string", [None])},
        "classify_examples": {"inputs": ("string", [None])},
    }
    outputs = {name: set(signatures[name].structured_outputs) for name in signatures}
    of_log_mel = {"probabilities", "genres", "genre", "genre_index", "error"}
    of_track = {"genre_majority", "genre_majority_index", "votes", "n_chunks", "chunk_probabilities", "chunk_start_seconds"}
    assert outputs["serving_default"] == of_log_mel
    assert outputs["classify_audio"] == of_log_mel | of_track
    assert outputs["classify_waveform"] == of_log_mel | of_track | {"front_end"}
    assert outputs["classify_examples"] == {"classes", "scores"}


def test_log_mels_get_the_probabilities_of_the_network(run: Path, signatures: Any, tracks: list[np.ndarray]) -> None:
    spec = front_end_of(run).spec
    features = np.concatenate([log_mel(cut_chunks(track, np.array([0, 3000]), spec=spec), spec=spec) for track in tracks])
    expected = np.asarray(load_model(run / "model.keras")(features[..., np.newaxis], training=False))
    answer = signatures["serving_default"](log_mel=tf.constant(features))
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)
    for row, probabilities in zip(rows(answer), expected, strict=True):
        assert row["genres"] == list(GENRES)
        assert row["genre_index"] == probabilities.argmax()
        assert row["genre"] == GENRES[probabilities.argmax()]
        assert row["error"] == ""


def test_a_log_mel_that_is_no_number_gets_an_error(signatures: Any) -> None:
    log_mels = np.full((4, 80, 80), 11.0, np.float32)
    log_mels[1, 5, 5], log_mels[2, 0, 0] = np.nan, np.inf
    log_mels[3] = 3e38  # a number, but the network's sums overflow
    answer = signatures["serving_default"](log_mel=tf.constant(log_mels))
    alone = signatures["serving_default"](log_mel=tf.constant(log_mels[:1]))
    found = rows(answer)
    np.testing.assert_allclose(answer["probabilities"][0], alone["probabilities"][0], atol=1e-6)
    assert [row["error"] for row in found] == ["", *["holds values that are NaN or infinite, or too large"] * 3]
    assert [row["genre_index"] for row in found[1:]] == [-1, -1, -1]
    assert not answer["probabilities"][1:].numpy().any()


def test_files_get_the_answer_of_the_pipeline(run: Path, signatures: Any, tracks: list[np.ndarray]) -> None:
    files = [wav(track) for track in tracks]
    for row, file in zip(rows(signatures["classify_audio"](audio=tf.constant(files))), files, strict=True):
        expected = by_pipeline(run, file)
        np.testing.assert_allclose(row["probabilities"], expected.probabilities, atol=1e-4)
        np.testing.assert_allclose(row["chunk_probabilities"][: expected.n_chunks], expected.chunk_probabilities, atol=1e-4)
        assert not np.any(row["chunk_probabilities"][expected.n_chunks :])
        np.testing.assert_allclose(row["chunk_start_seconds"][: expected.n_chunks], expected.chunk_start_seconds, rtol=1e-6)
        assert set(row["chunk_start_seconds"][expected.n_chunks :]) <= {-1.0}
        assert (row["genre"], row["genre_majority"], row["n_chunks"]) == (
            expected.genre,
            expected.genre_majority,
            expected.n_chunks,
        )
        assert row["votes"] == expected.votes.tolist()
        assert (row["genre_index"], row["genre_majority_index"]) == (
            GENRES.index(row["genre"]),
            GENRES.index(row["genre_majority"]),
        )


def test_30_seconds_have_63_chunks_and_many_blocks_are_one_answer(run: Path, signatures: Any) -> None:
    """66 chunks and more pass through the network in two blocks."""
    track = np.concatenate([synthetic_track(genre, 7, seconds=11.0) for genre in GENRES])
    (row,) = rows(signatures["classify_audio"](audio=tf.constant([wav(track)])))
    expected = by_pipeline(run, wav(track))
    assert row["n_chunks"] == expected.n_chunks == 69
    np.testing.assert_allclose(row["chunk_probabilities"], expected.chunk_probabilities, atol=1e-4)
    (row,) = rows(signatures["classify_audio"](audio=tf.constant([wav(track[: 30 * SAMPLE_RATE])])))
    assert row["n_chunks"] == 63


@pytest.mark.parametrize("rate", [44100, 48000, 16000])
def test_files_of_another_rate_are_resampled(run: Path, signatures: Any, rate: int) -> None:
    """Two channels of noise and a tone: the same decision, and probabilities within the bound that the export is held to."""
    rng = np.random.default_rng(rate)
    mono = 0.05 * rng.standard_normal(3 * rate) + tone(200.0, seconds=3.0, sample_rate=rate)
    file = wav(np.stack([mono, 0.5 * mono], axis=1), rate, subtype="PCM_24")
    (row,) = rows(signatures["classify_audio"](audio=tf.constant([file])))
    expected = by_pipeline(run, file)
    assert (row["genre"], row["n_chunks"]) == (expected.genre, expected.n_chunks)
    np.testing.assert_allclose(row["probabilities"], expected.probabilities, atol=0.05)


def test_waveforms_get_the_answer_of_files(run: Path, signatures: Any, tracks: list[np.ndarray]) -> None:
    """Padded to the longest with what must not be looked at."""
    rounded = [np.rint(track * 32767) / 32768 for track in tracks]
    padded = np.full((3, max(map(len, tracks))), np.nan, np.float32)
    for row, track in zip(padded, rounded, strict=True):
        row[: len(track)] = track
    answer = signatures["classify_waveform"](
        waveform=tf.constant(padded),
        n_samples=tf.constant([len(track) for track in tracks]),
        sample_rate=tf.constant([SAMPLE_RATE] * 3),
    )
    files = signatures["classify_audio"](audio=tf.constant([wav(track, subtype="FLOAT") for track in rounded]))
    answers = rows(answer)
    assert [FrontEnd.from_json(answer.pop("front_end")) for answer in answers] == [front_end_of(run)] * 3
    assert answers == rows(files)


def test_a_part_of_a_track_may_be_silent(signatures: Any) -> None:
    """Whoever sends a track in parts must get the silent ones classified, as `predict` classifies their chunks."""
    waveform = np.zeros((1, 30000), np.float32)
    (row,) = rows(
        signatures["classify_waveform"](
            waveform=tf.constant(waveform), n_samples=tf.constant([30000]), sample_rate=tf.constant([SAMPLE_RATE])
        )
    )
    assert (row["error"], row["n_chunks"]) == ("", 1)
    assert row["genre"] in GENRES


def test_items_without_an_answer_say_why_and_leave_their_neighbours_alone(signatures: Any, tracks: list[np.ndarray]) -> None:
    good = wav(tracks[0])
    cases = {
        b"": "the file is empty",
        b"This is no audio at all, but long enough to be taken for a header of one." * 9: "WAV",
        wav(tracks[0][:9000]): "too short: 0.41 s, need 0.93 s",
        wav(np.zeros(30000)): SILENT,
        wav(np.zeros(0)): "holds no samples",
        wav(np.full(30000, np.nan), subtype="FLOAT"): "holds samples that are NaN or infinite",
        wav(np.full(30000, 2e6), subtype="FLOAT"): "holds samples beyond ±1e+06",
        wav(tracks[0], 500): "has a sample rate of 500 Hz, expected 1000 to 768000",
    }
    (alone,) = rows(signatures["classify_audio"](audio=tf.constant([good])))
    answer = signatures["classify_audio"](audio=tf.constant([*cases, good]))
    assert all(np.isfinite(tensor.numpy()).all() for tensor in answer.values() if tensor.dtype.is_floating)
    *bad, last = rows(answer)
    assert last == alone
    for row, message in zip(bad, cases.values(), strict=True):
        assert message in row["error"]
        assert (row["genre"], row["genre_index"], row["genre_majority"], row["genre_majority_index"]) == ("", -1, "", -1)
        assert row["n_chunks"] == 0
        assert not any(row["probabilities"])
        assert not any(row["votes"])


def test_waveforms_whose_numbers_do_not_fit_get_an_error(signatures: Any) -> None:
    answer = signatures["classify_waveform"](
        waveform=tf.constant(np.tile(tone(220.0, seconds=1.0), (4, 1))),
        n_samples=tf.constant([22051, -1, 22050, 22050]),
        sample_rate=tf.constant([22050, 22050, 0, -5]),
    )
    assert [row["error"] for row in rows(answer)] == [
        "n_samples must be 0 to 22050, the length of waveform, got 22051",
        "n_samples must be 0 to 22050, the length of waveform, got -1",
        "has a sample rate of 0 Hz, expected 1000 to 768000",
        "has a sample rate of -5 Hz, expected 1000 to 768000",
    ]


@pytest.mark.parametrize(
    ("n_samples", "sample_rate", "message"),
    [
        (600 * 1000 + 1, 1000, "is too long: 601 s, expected 600 at most"),
        (10_000_000, 1000, "is too long: 10000 s, expected 600 at most"),
        (2**25 + 1, 96000, "is too long: 33554433 samples, expected 33554432 at most"),
    ],
)
def test_longer_items_than_the_documented_ones_get_an_error(
    signatures: Any, n_samples: int, sample_rate: int, message: str
) -> None:
    """At 1000 Hz, 20 MB would become 900 MB of samples."""
    header = wav(np.zeros(1), sample_rate).partition(b"data")[0]
    files = [header + b"data" + (2 * n_samples).to_bytes(4, "little") + bytes(2 * n_samples)]
    (row,) = rows(signatures["classify_audio"](audio=tf.constant(files)))
    assert (row["error"], row["genre"]) == (message, "")
    (row,) = rows(
        signatures["classify_waveform"](
            waveform=tf.zeros((1, n_samples)), n_samples=tf.constant([n_samples]), sample_rate=tf.constant([sample_rate])
        )
    )
    assert (row["error"], row["genre"]) == (message, "")


def test_an_empty_batch_is_answered(signatures: Any) -> None:
    none = tf.zeros(0, tf.int32)
    assert rows(signatures["classify_audio"](audio=tf.constant([], tf.string))) == []
    assert rows(signatures["classify_waveform"](waveform=tf.zeros((0, 9)), n_samples=none, sample_rate=none)) == []
    assert rows(signatures["serving_default"](log_mel=tf.zeros((0, 80, 80)))) == []
    assert signatures["classify_examples"](inputs=tf.constant([], tf.string))["scores"].shape == (0, 3)


def test_records_are_classified(run: Path, signatures: Any, tracks: list[np.ndarray]) -> None:
    spec = front_end_of(run).spec
    features = log_mel(cut_chunks(tracks[2], np.array([0, 9000]), spec=spec), spec=spec)
    records = [
        encode(Record(log_mel=feature, label=2, genre="ticks", track_id="a", chunk_index=0, start_sample=0))
        for feature in features
    ]
    without = tf.train.Example().SerializeToString()
    short = tf.train.Example()
    short.features.feature["log_mel"].float_list.value.extend([1.0, 2.0])
    answer = signatures["classify_examples"](inputs=tf.constant([records[0], without, short.SerializeToString(), records[1]]))
    expected = signatures["serving_default"](log_mel=tf.constant(features))["probabilities"]
    np.testing.assert_allclose(answer["scores"].numpy()[[0, 3]], expected, atol=1e-6)
    classes = [genre.encode() for genre in GENRES]
    assert answer["classes"].numpy().tolist() == [classes, [b""] * 3, [b""] * 3, classes]
    assert not answer["scores"].numpy()[[1, 2]].any()


def test_a_served_tie_goes_to_the_higher_sum(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two chunks for the first genre, two for the second, whose probabilities are higher by less than float32 adds to a vote."""
    table = np.array([[0.6, 0.4, 0.0], [0.6, 0.4, 0.0], [0.4, 0.6000001, 0.0], [0.4, 0.6000001, 0.0]], np.float32)
    front_end = front_end_of(run)
    served = ServedModel(load_model(run / "model.keras"), front_end)
    monkeypatch.setattr(served, "_network", lambda log_mel: tf.constant(table))
    spec = front_end.spec
    samples = tone(300.0, seconds=(spec.chunk_samples + 3 * spec.chunk_step) / SAMPLE_RATE)
    (row,) = rows(served.classify_audio(tf.constant([wav(samples)])))
    votes = vote(table, ["x"] * 4)
    assert GENRES[votes.majority[0]] == row["genre_majority"] == GENRES[1]
    assert row["votes"] == [2, 2, 0]


def test_a_network_that_gives_no_numbers_is_an_error(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served = ServedModel(load_model(run / "model.keras"), front_end_of(run))
    monkeypatch.setattr(served, "_network", lambda log_mel: tf.fill((tf.shape(log_mel)[0], 3), np.float32(np.nan)))
    (row,) = rows(served.classify_audio(tf.constant([wav(tone(300.0, seconds=2.0))])))
    assert (row["error"], row["genre"], row["n_chunks"]) == ("the network gave no numbers", "", 0)
    assert row["probabilities"] == [0.0, 0.0, 0.0]


def test_real_recordings_get_the_answer_of_the_pipeline(run: Path, signatures: Any, shared: Path) -> None:
    files = [path.read_bytes() for path in sorted((shared / "real_audio").rglob("*.wav"))[::8]]
    for row, file in zip(rows(signatures["classify_audio"](audio=tf.constant(files))), files, strict=True):
        expected = by_pipeline(run, file)
        np.testing.assert_allclose(row["chunk_probabilities"], expected.chunk_probabilities, atol=1e-4)
        assert (row["genre"], row["genre_majority"], row["n_chunks"]) == (expected.genre, expected.genre_majority, 63)
