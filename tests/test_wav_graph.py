"""The served WAV decoder: the pipeline's waveform, sample by sample, and words instead of an exception for any other bytes."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from keras_model.serving.wav_graph import decode_wav
from tests.wav_files import PCM, RATE, by_the_pipeline, chunk, decoded, extensible, fmt, wav, written

SUBTYPES = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")


def noise(n_samples: int, n_channels: int, *, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(-1.0, 1.0, (n_samples, n_channels))


def assert_as_the_pipeline(data: bytes) -> None:
    waveform, _, error = decoded(data)
    expected = by_the_pipeline(data)
    assert expected is not None
    assert error == ""
    assert waveform.dtype == np.float32
    np.testing.assert_allclose(waveform, expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64"])
@pytest.mark.parametrize("subtype", SUBTYPES)
def test_every_format_is_decoded_as_in_the_pipeline(container: str, subtype: str) -> None:
    for n_channels, sample_rate in ((1, 22050), (2, 44100), (3, 8000), (7, 192_000)):
        samples = noise(1001, n_channels, seed=sample_rate)
        data = written(samples, container=container, subtype=subtype, sample_rate=sample_rate)
        assert data[:4] == (b"RF64" if container == "RF64" else b"RIFF")
        waveform, rate, error = decoded(data)
        assert (len(waveform), rate, error) == (1001, sample_rate, "")
        assert_as_the_pipeline(data)
        if n_channels == 1:
            np.testing.assert_array_equal(waveform, by_the_pipeline(data))


@pytest.mark.parametrize("subtype", SUBTYPES)
def test_every_byte_in_every_place_has_its_value(subtype: str) -> None:
    """The largest and smallest integers among them; floats that are finite and within ±1e6."""
    sample_bytes = {"PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}.get(subtype, 1)
    header = written(np.zeros(1), subtype=subtype).partition(b"data")[0]
    values = np.stack([np.arange(256, dtype=np.uint8)] * sample_bytes, axis=1)
    rng = np.random.default_rng(5)
    edges = np.array([[0x00] * sample_bytes, [0xFF] * sample_bytes, [0xFF] * (sample_bytes - 1) + [0x7F]], np.uint8)
    table = np.concatenate([rng.permuted(values, axis=0), values, edges])
    if subtype in ("FLOAT", "DOUBLE"):
        table = rng.uniform(-1e6, 1e6, 500).astype(f"<f{sample_bytes}").view(np.uint8)
    data = header + chunk(b"data", table.tobytes())
    np.testing.assert_array_equal(decoded(data)[0], by_the_pipeline(data))
    assert len(decoded(data)[0]) == table.size // sample_bytes


def test_many_channels_are_averaged() -> None:
    assert_as_the_pipeline(written(noise(37, 1024)))
    left, right = np.array([0.5, -0.25, 1.0]), np.array([0.25, 0.25, 1.0])
    np.testing.assert_array_equal(decoded(written(np.stack([left, right], 1), subtype="FLOAT"))[0], (left + right) / 2)


def test_real_recordings(shared: Path) -> None:
    paths = sorted((shared / "real_audio").rglob("*.wav"))
    if not paths:
        pytest.skip("there are no real recordings in the reference data")
    for path in (paths[0], paths[-1]):
        waveform, rate, error = decoded(path.read_bytes())
        expected = by_the_pipeline(path.read_bytes())
        assert expected is not None
        assert (rate, error) == (soundfile.info(path).samplerate, "")
        np.testing.assert_allclose(waveform, expected, rtol=0, atol=1e-7)


def assert_an_answer(data: bytes) -> None:
    """A waveform or one line that says why there is none."""
    waveform, rate, error = decoded(data)
    assert error == "" or not len(waveform)
    assert len(error.splitlines()) == (error != "")
    assert rate >= 0


@pytest.mark.parametrize(
    "data", [written(noise(5, 2)), written(noise(3, 1), container="RF64", subtype="PCM_24")], ids=["RIFF", "RF64"]
)
def test_a_file_may_end_anywhere(data: bytes) -> None:
    whole = decoded(data)[0]
    n_before = -1
    for end in range(len(data) + 1):
        assert_an_answer(data[:end])
        waveform = decoded(data[:end])[0]
        np.testing.assert_array_equal(waveform, whole[: len(waveform)])
        assert len(waveform) >= n_before
        n_before = len(waveform)
    assert n_before == len(whole)


VALID = [written(noise(9, n_channels), subtype=subtype) for subtype in SUBTYPES for n_channels in (1, 2)]
VALID += [written(noise(9, 2), container="WAVEX", subtype="PCM_24"), written(noise(9, 2), container="RF64")]
VALID += [wav(fmt(bits=24, frame_bytes=4), chunk(b"data", PCM))]


@st.composite
def damaged_files(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(0, 6))):
        position = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from(("set", "number", "insert", "remove", "end")))
        if kind == "set":
            data[position : position + 1] = draw(st.binary(min_size=1, max_size=1))
        elif kind == "number":
            data[position : position + 4] = draw(st.sampled_from((bytes(4), b"\xff" * 4, b"\xff\xff\xff\x7f", b"\0\0\0\x80")))
        elif kind == "insert":
            data[position:position] = draw(st.binary(max_size=9))
        elif kind == "remove":
            del data[position : position + draw(st.integers(1, 9))]
        else:
            del data[position:]
    return bytes(data)


@settings(max_examples=600)
@given(damaged_files())
def test_no_damage_raises(data: bytes) -> None:
    assert_an_answer(data)


@settings(max_examples=200)
@given(st.binary(max_size=200), st.sampled_from((b"", b"RIFF\0\0\0\0WAVE", b"RF64\xff\xff\xff\xffWAVEds64")))
@example(b"", b"")
def test_no_bytes_raise(data: bytes, beginning: bytes) -> None:
    assert_an_answer(beginning + data)


def test_a_bad_file_changes_nothing_for_its_neighbours() -> None:
    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
    def decode_all(files: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        def padded(data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            audio = decode_wav(data)
            return tf.pad(audio.waveform, [[0, 500 - tf.size(audio.waveform)]]), audio.sample_rate, audio.error

        return tf.map_fn(padded, files, fn_output_signature=(tf.float32, tf.int32, tf.string))

    good = [written(noise(500 - row, 1 + row % 3, seed=row), subtype=SUBTYPES[row % 6]) for row in range(8)]
    bad = [b"", b"fLaC" + bytes(99), written(noise(5, 1))[:30], wav(extensible(tag=2), chunk(b"data", PCM))]
    alone = decode_all(tf.constant(good))
    mixed = decode_all(tf.constant([*bad[:2], *good, *bad[2:]]))
    for of_alone, of_mixed in zip(alone, mixed, strict=True):
        np.testing.assert_array_equal(of_alone, of_mixed[2:10])
    errors = [error.decode() for error in mixed[2].numpy()]
    assert errors[2:10] == [""] * 8
    assert all(errors[:2] + errors[10:])
    assert not np.any(mixed[0][:2])
    assert not np.any(mixed[0][10:])
    assert mixed[1].numpy().tolist()[2:10] == [RATE] * 8


def test_the_exported_graph_has_stock_operations_alone(tmp_path: Path) -> None:
    module = tf.Module()
    module.decode = tf.function(decode_wav, input_signature=[tf.TensorSpec((), tf.string)])
    tf.saved_model.save(module, str(tmp_path))
    graph = module.decode.get_concrete_function().graph.as_graph_def()
    names = {node.op for nodes in (graph.node, *(function.node_def for function in graph.library.function)) for node in nodes}
    assert {"DecodeRaw", "Substr"} <= names
    assert not {name for name in names if "PyFunc" in name or "DecodeWav" in name or name.startswith("IO>")}
    loaded = tf.saved_model.load(str(tmp_path))
    for data in (VALID[4], VALID[5], b"no audio"):
        audio, (waveform, rate, error) = loaded.decode(tf.constant(data)), decoded(data)
        np.testing.assert_array_equal(audio.waveform, waveform)
        assert (int(audio.sample_rate), audio.error.numpy().decode()) == (rate, error)
