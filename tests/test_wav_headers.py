"""Odd, streamed and damaged WAV headers: which samples the served decoder finds, and what it says where it finds none."""

import struct

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import tone
from tests.wav_files import (
    AMBISONIC,
    PCM,
    RAMP,
    RATE,
    by_the_pipeline,
    chunk,
    decoded,
    ds64,
    extensible,
    fmt,
    wav,
    written,
)

DATA = chunk(b"data", PCM)
LIST = chunk(b"LIST", b"INFOISFT\x04\0\0\0abcd")
UNKNOWN = 0xFFFFFFFF
TWENTY_FOUR = np.random.default_rng(3).integers(-(2**22), 2**22, 3000).astype("<i4")


def packed(samples: NDArray[np.int32]) -> bytes:
    return samples.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(wav(fmt(), DATA), RAMP, id="plain"),
        pytest.param(wav(chunk(b"JUNK", bytes(28)), chunk(b"bext", bytes(602)), fmt(), LIST, DATA), RAMP, id="chunks before"),
        pytest.param(wav(fmt(), chunk(b"fact", b"1234"), chunk(b"id3 ", b"x" * 80), chunk(b"abcd"), DATA), RAMP, id="others"),
        pytest.param(wav(fmt(), chunk(b"LIST", b"INFOISFT\3\0\0\0abc"), DATA), RAMP, id="odd LIST"),
        pytest.param(wav(fmt(), chunk(b"JUNK", b"123"), DATA), RAMP, id="odd chunk"),
        pytest.param(wav(fmt(), DATA, LIST), RAMP, id="chunk after"),
        pytest.param(wav(fmt(), chunk(b"data", PCM[:5]), LIST), RAMP[:2], id="odd data, chunk after"),
        pytest.param(wav(fmt(bits=8), chunk(b"data", b"\x81\0\xff"), LIST), [1 / 128, -1, 127 / 128], id="odd 8 bit"),
        pytest.param(wav(fmt(), DATA) + b"\1\2\3garbage" * 5, RAMP, id="garbage after"),
        pytest.param(wav(fmt(), DATA) + b"TAG" + b"x" * 125, RAMP, id="ID3v1 after"),
        pytest.param(wav(fmt(), DATA, size=60), RAMP, id="RIFF size too small"),
        pytest.param(wav(fmt(), chunk(b"data", PCM, size=UNKNOWN), size=UNKNOWN), RAMP, id="FFmpeg to a pipe"),
        pytest.param(wav(fmt(), chunk(b"data", PCM, size=0x7FFFF000), size=0x7FFFF024), RAMP, id="SoX to a pipe"),
        pytest.param(wav(fmt(), chunk(b"data", PCM, size=999))[:-3], RAMP[:48], id="cut within a sample"),
        pytest.param(wav(fmt(channels=2), DATA)[:-2], (RAMP[0:48:2] + RAMP[1:48:2]) / 2, id="cut within a frame"),
        pytest.param(wav(fmt(extra=b"\0\0"), DATA), RAMP, id="fmt of 18 bytes"),
        pytest.param(wav(fmt(extra=b"\0"), DATA), RAMP, id="fmt of 17 bytes"),
        pytest.param(wav(fmt(bits=12), DATA), RAMP, id="12 bit"),
        pytest.param(wav(fmt(bits=20), chunk(b"data", packed(TWENTY_FOUR))), TWENTY_FOUR / 2**23, id="20 bit"),
        pytest.param(wav(extensible(), DATA), RAMP, id="extensible"),
        pytest.param(wav(extensible(guid=AMBISONIC), DATA), RAMP, id="ambisonic"),
        pytest.param(wav(ds64(100), fmt(), chunk(b"data", PCM, size=UNKNOWN), LIST, form=b"RF64"), RAMP, id="RF64"),
        pytest.param(wav(ds64(2**62), fmt(), chunk(b"data", PCM, size=UNKNOWN), form=b"RF64"), RAMP, id="RF64, cut"),
        pytest.param(wav(fmt(), DATA, LIST, form=b"RF64"), RAMP, id="RF64 without ds64"),
    ],
)
def test_odd_headers_are_read_as_in_the_pipeline(data: bytes, expected: NDArray[np.float32]) -> None:
    waveform, rate, error = decoded(data)
    assert (error, rate) == ("", RATE)
    by_pipeline = by_the_pipeline(data)
    assert by_pipeline is not None
    np.testing.assert_array_equal(waveform, by_pipeline)
    np.testing.assert_array_equal(waveform, np.asarray(expected, np.float32))


def floats(*samples: float, bits: int = 32) -> bytes:
    return wav(fmt(tag=3, bits=bits), chunk(b"data", np.array(samples, f"<f{bits // 8}").tobytes()))


TAKEN = "this model takes PCM of up to 32 bits and float of 32 or 64 bits"
NO_WAV = "does not decode: it is no WAV file"
NO_DATA = "does not decode: its data chunk is missing"
NO_SAMPLES = "holds no samples"
NO_FMT = "does not decode: its fmt chunk is missing"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"R", NO_WAV),
        (b"RIFF", NO_WAV),
        (b"RIFF then nothing", NO_WAV),
        (b"RIFF\0\0\0\0AVI " + bytes(50), NO_WAV),
        (bytes(1000), NO_WAV),
        (wav(), NO_FMT),
        (wav(DATA), NO_FMT),
        (wav(DATA, fmt()), NO_FMT),
        (wav(fmt(), chunk(b"data", PCM, size=0)), NO_SAMPLES),
        (written(np.zeros(0)), NO_SAMPLES),
        (wav(fmt(), chunk(b"data"), LIST), NO_SAMPLES),
        (wav(fmt(), chunk(b"data", size=100)), NO_SAMPLES),
        (wav(fmt(channels=51), DATA), NO_SAMPLES),
        (wav(fmt(rate=999), DATA), "has a sample rate of 999 Hz, expected 1000 to 768000"),
        (wav(fmt()), NO_DATA),
        (wav(fmt(), chunk(b"JUNK", b"1234", size=UNKNOWN), DATA), NO_DATA),
        (wav(fmt()[:4] + b"\xff" * 4 + fmt()[8:], DATA), NO_DATA),
        (wav(fmt(channels=0), DATA), "has 0 channels, expected 1 to 1024"),
        (wav(fmt(channels=1025), DATA), "has 1025 channels, expected 1 to 1024"),
        (wav(fmt(channels=65535), DATA), "has 65535 channels, expected 1 to 1024"),
        (wav(fmt(bits=0), DATA), f"has 0-bit samples of WAV format 1; {TAKEN}"),
        (wav(fmt(bits=33), DATA), f"has 33-bit samples of WAV format 1; {TAKEN}"),
        (wav(fmt(bits=65535), DATA), f"has 65535-bit samples of WAV format 1; {TAKEN}"),
        (wav(fmt(tag=3, bits=16), DATA), f"has 16-bit samples of WAV format 3; {TAKEN}"),
        (wav(fmt(tag=0x101, bits=8), DATA), f"has 8-bit samples of WAV format 257; {TAKEN}"),
        (wav(extensible(guid=bytes(14)), DATA), f"has 16-bit samples of WAV format 65534; {TAKEN}"),
        (wav(fmt(), chunk(b"\1\2\3\4", b"1234"), DATA), NO_DATA),
        (wav(extensible(tag=2), DATA), f"has 16-bit samples of WAV format 2; {TAKEN}"),
        (wav(fmt(tag=6, bits=8), DATA), f"has 8-bit samples of WAV format 6; {TAKEN}"),
        (wav(fmt(bits=24, frame_bytes=4), DATA), "does not decode: its header says 4 bytes a frame, expected 3"),
        (wav(fmt(frame_bytes=0), DATA), "does not decode: its header says 0 bytes a frame, expected 2"),
        (b"RIFX" + wav(fmt(), DATA)[4:], NO_WAV),
    ],
)
def test_what_is_wrong_is_said(data: bytes, message: str) -> None:
    waveform, _, error = decoded(data)
    assert (waveform.tolist(), error) == ([], message)


@pytest.mark.parametrize(
    ("container", "subtype", "name"),
    [
        ("FLAC", "PCM_16", "FLAC"),
        ("OGG", "VORBIS", "Ogg Vorbis"),
        ("MP3", "MPEG_LAYER_III", "MP3"),
        ("AIFF", "PCM_16", "AIFF"),
        ("AU", "PCM_16", "AU"),
        ("CAF", "PCM_16", "CAF"),
    ],
)
def test_another_format_is_named(container: str, subtype: str, name: str) -> None:
    data = written(tone(440.0, seconds=0.2), container=container, subtype=subtype)
    assert decoded(data)[2] == f"is {name}; this model takes WAV"


def test_compressed_wav_is_named_by_its_number() -> None:
    for subtype, bits, tag in (("IMA_ADPCM", 4, 17), ("MS_ADPCM", 4, 2), ("GSM610", 0, 49)):
        data = written(tone(440.0, seconds=0.2), subtype=subtype)
        assert decoded(data)[2] == f"has {bits}-bit samples of WAV format {tag}; {TAKEN}"


def test_loud_floats_are_left_as_they_are() -> None:
    np.testing.assert_array_equal(decoded(floats(1e6, -1e6, 1.5))[0], [1e6, -1e6, 1.5])


def test_a_file_of_chunks_alone_is_given_up() -> None:
    """A quarter of a million steps would hold a server up for a minute."""
    many = [chunk(b"JUNK")] * 250_000
    assert decoded(wav(fmt(), *many, DATA))[2] == NO_DATA
    np.testing.assert_array_equal(decoded(wav(fmt(), *many[:1000], DATA))[0], RAMP)


def test_a_size_of_half_the_address_space_is_cut_to_what_is_there() -> None:
    header = wav(ds64(2**63 - 1), fmt(channels=1024, bits=32), form=b"RF64")
    assert decoded(header + struct.pack("<4sI", b"data", UNKNOWN) + bytes(4096 + 17))[0].tolist() == [0.0]
