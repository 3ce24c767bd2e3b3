"""Decoding: what comes out of each format, and what is said of files that cannot be used."""

import io
import struct

import numpy as np
import pytest
import soundfile

from tests.conftest import SAMPLE_RATE, tone
from tfrecords.audio import UnusableAudioError, decode_audio
from tfrecords.audio.formats import undecodable_format


def encoded(samples: np.ndarray, *, sample_rate: int = SAMPLE_RATE, container: str = "WAV", subtype: str | None = None) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, sample_rate, format=container, subtype=subtype)
    return buffer.getvalue()


def lying_flac() -> bytes:
    """A FLAC whose header claims 2³⁶ − 1 samples."""
    data = bytearray(encoded(tone(440.0, seconds=0.1), container="FLAC"))
    data[21] |= 0x0F
    data[22:26] = b"\xff\xff\xff\xff"
    return bytes(data)


@pytest.mark.parametrize(
    ("container", "subtype", "tolerance"),
    [
        ("WAV", "PCM_U8", 8e-3),
        ("WAV", "PCM_16", 3.1e-5),
        ("WAV", "PCM_24", 1.2e-7),
        ("WAV", "PCM_32", 1e-9),
        ("WAV", "FLOAT", 0.0),
        ("WAV", "DOUBLE", 0.0),
        ("WAVEX", "PCM_16", 3.1e-5),
        ("WAVEX", "PCM_24", 1.2e-7),
        ("WAVEX", "FLOAT", 0.0),
        ("AU", "PCM_16", 3.1e-5),
        ("AU", "ULAW", 2e-2),
        ("FLAC", "PCM_16", 3.1e-5),
        ("FLAC", "PCM_24", 1.2e-7),
        ("AIFF", "PCM_16", 3.1e-5),
        ("CAF", "PCM_16", 3.1e-5),
    ],
)
def test_lossless_formats(container: str, subtype: str, tolerance: float) -> None:
    samples = tone(440.0, seconds=0.5)
    waveform = decode_audio(encoded(samples, container=container, subtype=subtype), sample_rate=SAMPLE_RATE).waveform
    assert waveform.dtype == np.float32
    np.testing.assert_allclose(waveform, samples, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("container", "subtype", "file_rate"), [("OGG", "VORBIS", 22050), ("OGG", "OPUS", 48000), ("MP3", "MPEG_LAYER_III", 22050)]
)
def test_lossy_formats(container: str, subtype: str, file_rate: int) -> None:
    samples = tone(440.0, seconds=1.0, sample_rate=file_rate)
    data = encoded(samples, sample_rate=file_rate, container=container, subtype=subtype)
    waveform = decode_audio(data, sample_rate=SAMPLE_RATE).waveform
    spectrum = np.abs(np.fft.rfft(waveform))
    assert spectrum.argmax() * SAMPLE_RATE / len(waveform) == pytest.approx(440.0, abs=2.0)


def test_sixteen_bit_samples_are_exact() -> None:
    samples = np.array([-32768, -1, 0, 1, 32767], dtype=np.int16)
    waveform = decode_audio(encoded(samples, subtype="PCM_16"), sample_rate=SAMPLE_RATE).waveform
    np.testing.assert_array_equal(waveform * 32768, samples)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000])
def test_a_streamed_wav_is_read_to_its_end(size: int) -> None:
    """A program that writes WAV to a pipe cannot go back to fill in the sizes."""
    data = encoded(tone(440.0, seconds=0.5), subtype="PCM_16")
    streamed = data[:4] + struct.pack("<I", size) + data[8:40] + struct.pack("<I", size) + data[44:]
    np.testing.assert_array_equal(
        decode_audio(streamed, sample_rate=SAMPLE_RATE).waveform, decode_audio(data, sample_rate=SAMPLE_RATE).waveform
    )


def test_content_is_the_same_in_every_lossless_file_and_for_one_sample_more_another() -> None:
    samples = np.round(tone(440.0, seconds=0.5) * 32768) / 32768
    stereo = np.stack([samples, samples], axis=1)
    files = [
        encoded(samples, subtype="PCM_16"),
        encoded(samples, container="AU", subtype="PCM_16"),
        encoded(samples, container="FLAC", subtype="PCM_24"),
        encoded(samples, subtype="FLOAT"),
        encoded(stereo, container="FLAC", subtype="PCM_16"),
    ]
    sums = {decode_audio(data, sample_rate=SAMPLE_RATE).blake3 for data in files}
    assert len(sums) == 1
    longer = encoded(np.append(samples, 0.0), subtype="PCM_16")
    assert decode_audio(longer, sample_rate=SAMPLE_RATE).blake3 not in sums


def test_content_beyond_full_scale_does_not_wrap_round() -> None:
    loud, clipped = np.array([1.5, -1.5, 0.25], np.float32), np.array([32767 / 32768, -1.0, 0.25], np.float32)
    one, other = (decode_audio(encoded(samples, subtype="FLOAT"), sample_rate=SAMPLE_RATE) for samples in (loud, clipped))
    assert one.blake3 == other.blake3


def test_a_format_that_no_library_knows_is_named() -> None:
    with pytest.raises(
        UnusableAudioError, match=r"is Monkey's Audio, which this machine cannot decode \(libsndfile \d"
    ) as caught:
        decode_audio(b"MAC " + bytes(50), sample_rate=SAMPLE_RATE)
    assert caught.value.kind == "format"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (bytes(4) + b"ftypM4A " + bytes(50), "MP4 or M4A (AAC or ALAC)"),
        (b"\xff\xf1" + bytes(50), "AAC"),
        (b"\x1a\x45\xdf\xa3" + bytes(50), "Matroska or WebM"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11" + bytes(50), "WMA"),
        (b"wvpk" + bytes(50), "WavPack"),
    ],
)
def test_without_pyav_the_message_says_what_to_install(data: bytes, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfrecords.audio.formats.has_pyav", lambda: False)
    with pytest.raises(UnusableAudioError) as caught:
        decode_audio(data, sample_rate=SAMPLE_RATE)
    assert str(caught.value) == f"is {name}, which this machine cannot decode (it needs PyAV: pip install av)"
    assert caught.value.kind == "format"


def test_a_format_that_this_libsndfile_was_built_without_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soundfile, "available_formats", lambda: {"WAV": "WAV"})
    library = f"libsndfile {soundfile.__libsndfile_version__}"
    assert undecodable_format(encoded(tone(440.0, seconds=0.1), container="MP3")) == ("MP3", library)
    assert undecodable_format(encoded(tone(440.0, seconds=0.1), container="OGG")) == ("Ogg Vorbis", library)
    assert undecodable_format(encoded(tone(440.0, seconds=0.1))) is None


def test_channels_are_averaged() -> None:
    left, right = tone(300.0, seconds=0.2), tone(700.0, seconds=0.2)
    waveform = decode_audio(encoded(np.stack([left, right], axis=1), subtype="FLOAT"), sample_rate=SAMPLE_RATE).waveform
    np.testing.assert_allclose(waveform, (left + right) / 2, atol=1e-7)


@pytest.mark.parametrize("file_rate", [8000, 44100, 48000])
def test_other_sample_rates_are_resampled(file_rate: int) -> None:
    data = encoded(tone(1000.0, seconds=1.5, sample_rate=file_rate), sample_rate=file_rate, subtype="FLOAT")
    waveform = decode_audio(data, sample_rate=SAMPLE_RATE).waveform
    assert len(waveform) == pytest.approx(1.5 * SAMPLE_RATE, abs=1)
    middle = slice(3000, -3000)  # the filter rings at both ends
    np.testing.assert_allclose(waveform[middle], tone(1000.0, seconds=1.5)[: len(waveform)][middle], atol=2e-3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"RIFF then nothing", "does not decode"),
        (b"ID3" + bytes(500), "does not decode"),
        (encoded(np.zeros(0, np.float32)), "holds no samples"),
        (encoded(np.array([0.0, np.nan, 0.0], np.float32), subtype="FLOAT"), "NaN or infinite"),
        (encoded(np.array([0.0, np.inf], np.float32), subtype="FLOAT"), "NaN or infinite"),
        (encoded(np.array([0.0, 1e30], np.float32), subtype="FLOAT"), "holds samples beyond ±1e\\+06"),
        (encoded(np.zeros(50, np.float32), sample_rate=1), "has a sample rate of 1 Hz, expected 1000 to 768000"),
        (lying_flac(), "is too long: 865.7 hours, expected 24 at most"),
    ],
)
def test_unusable_audio_is_named(data: bytes, message: str) -> None:
    with pytest.raises(UnusableAudioError, match=message):
        decode_audio(data, sample_rate=SAMPLE_RATE)
