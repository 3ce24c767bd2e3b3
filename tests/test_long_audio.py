"""Tracks that are too long for the memory: what is cut out of them, their digest, and what a worker takes for an hour."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.conftest import REPOSITORY, SAMPLE_RATE
from tests.helpers import WriteCorpus, build, digests, tracks_of
from tests.odd_audio import id3_tag
from tests.test_audio import encoded
from tests.test_audio_stream import flac_of_unknown_length, noise, without_length
from tfrecords.audio import LongAudio, UnusableAudioError, as_file, decode_audio, read_audio

FIRSTS = np.array([-90_000, -3000, 0, 1, 29_999, 30_000, 41_234, 88_200, 5])


@pytest.fixture
def nothing_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfrecords.audio.long.MOST_FRAMES", 1000)
    monkeypatch.setattr("tfrecords.audio.stream._BLOCK_SECONDS", 1)


@contextmanager
def long_audio(data: bytes) -> Iterator[LongAudio]:
    with as_file(data) as file:
        audio = read_audio(file, sample_rate=SAMPLE_RATE)
        assert isinstance(audio, LongAudio)
        yield audio


def of_format(container: str, subtype: str, file_rate: int, n_channels: int) -> bytes:
    return encoded(noise(4 * file_rate + 71, n_channels), sample_rate=file_rate, container=container, subtype=subtype)


@pytest.mark.usefixtures("nothing_is_short")
@pytest.mark.parametrize(
    ("data", "tolerance"),
    [
        pytest.param(of_format("WAV", "PCM_16", 22050, 1), 0, id="WAV"),
        pytest.param(of_format("WAV", "PCM_24", 22050, 6), 0, id="six channels"),
        pytest.param(of_format("AU", "ULAW", 8000, 1), 1e-6, id="AU, 8 kHz"),
        pytest.param(of_format("AIFF", "PCM_16", 48000, 2), 1e-6, id="AIFF, 48 kHz"),
        pytest.param(of_format("FLAC", "PCM_16", 22050, 2), 0, id="FLAC"),
        pytest.param(of_format("FLAC", "PCM_24", 44100, 2), 1e-6, id="FLAC, 44.1 kHz"),
        pytest.param(of_format("WAV", "FLOAT", 96000, 1), 1e-6, id="96 kHz"),
        pytest.param(of_format("WAV", "PCM_16", 1000, 1), 1e-6, id="1 kHz"),
        pytest.param(of_format("WAV", "PCM_16", 22051, 1), 2e-6, id="no common divisor"),
        pytest.param(id3_tag(3000) + of_format("WAV", "PCM_16", 22050, 1), 0, id="tag before"),
        pytest.param(of_format("FLAC", "PCM_16", 22050, 1) + b"\0", 0, id="byte after"),
        pytest.param(flac_of_unknown_length(noise(90_000, 1)), 0, id="unknown length"),
        pytest.param(of_format("WAV", "IMA_ADPCM", 22050, 1), 0, id="ADPCM"),
        pytest.param(of_format("CAF", "ALAC_16", 22050, 1), 0, id="ALAC"),
        pytest.param(of_format("MP3", "MPEG_LAYER_III", 44100, 2), 0, id="MP3"),
        pytest.param(of_format("OGG", "VORBIS", 44100, 2), 0, id="Vorbis"),
        pytest.param(of_format("OGG", "OPUS", 48000, 1), 0, id="Opus"),
        pytest.param(of_format("WAV", "PCM_16", 22050, 1)[:-30_001], 0, id="cut off"),
    ],
)
def test_segments_length_and_digest_are_those_of_the_whole(data: bytes, tolerance: float) -> None:
    whole = decode_audio(data, sample_rate=SAMPLE_RATE)
    with long_audio(data) as audio:
        assert (audio.n_samples, audio.blake3) == (whole.n_samples, whole.blake3)
        assert audio.announced_samples == whole.announced_samples
        firsts = np.append(FIRSTS, [audio.n_samples - 700, audio.n_samples + 5])
        segments = audio.segments(firsts, n_samples=20_505)
    np.testing.assert_allclose(segments, whole.segments(firsts, n_samples=20_505), rtol=0, atol=tolerance)
    assert not segments[[0, -1]].any()
    assert segments[1, 2999] == 0
    assert segments[1, 3000:].any()


def test_of_more_than_ten_minutes_the_digest_has_the_first_ten_and_the_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfrecords.audio.decode._DIGEST_SECONDS", 1)
    samples = noise(3 * SAMPLE_RATE, 1)
    other_end = np.concatenate([samples[: 2 * SAMPLE_RATE], -samples[2 * SAMPLE_RATE :]])
    ten = {number: decode_audio(encoded(one), sample_rate=SAMPLE_RATE).blake3 for number, one in enumerate((samples, other_end))}
    assert ten[0] == ten[1]
    shorter = decode_audio(encoded(samples[:-1]), sample_rate=SAMPLE_RATE).blake3
    first = decode_audio(encoded(samples[:SAMPLE_RATE]), sample_rate=SAMPLE_RATE).blake3
    assert len({ten[0], shorter, first}) == 3


@pytest.mark.usefixtures("nothing_is_short")
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (encoded(noise(100_000, 2), container="FLAC")[:80_000], "does not decode"),
        (encoded(np.append(noise(50_000, 1), np.float32(np.nan)), subtype="FLOAT"), "NaN or infinite"),
        (b"\xff\xfb\x90\x00" + bytes(50_000), "does not decode"),
    ],
)
def test_refusals_are_those_of_the_whole(data: bytes, message: str) -> None:
    with as_file(data) as file, pytest.raises(UnusableAudioError, match=message):
        read_audio(file, sample_rate=SAMPLE_RATE)
    with pytest.raises(UnusableAudioError, match=message):
        decode_audio(data, sample_rate=SAMPLE_RATE)


@pytest.mark.usefixtures("nothing_is_short")
def test_a_seek_that_hits_damage_is_refused() -> None:
    data = bytearray(encoded(noise(400_000, 1), container="FLAC"))
    data[len(data) // 2 : len(data) // 2 + 40_000] = bytes(40_000)
    with as_file(bytes(data)) as file, pytest.raises(UnusableAudioError, match="does not decode"):
        read_audio(file, sample_rate=SAMPLE_RATE).segments(np.arange(0, 400_000, 10_000), n_samples=10_000)


def test_what_announces_more_than_a_day_is_refused() -> None:
    header = bytearray(encoded(noise(1000, 1), container="FLAC"))
    header[21] = header[21] & 0xF0 | 0x2
    with pytest.raises(UnusableAudioError, match=r"^is too long: 108\.2 hours, expected 24 at most$"):
        decode_audio(bytes(header), sample_rate=SAMPLE_RATE)


@pytest.mark.usefixtures("nothing_is_short")
def test_the_pipeline_writes_what_it_writes_of_whole_tracks(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus = write_corpus(n_tracks=2)
    build(corpus, tmp_path / "long", augment="stretch-pitch", keep_features=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tfrecords.audio.long.MOST_FRAMES", 10_000_000)
        build(corpus, tmp_path / "whole", augment="stretch-pitch", keep_features=False)
    assert digests(tmp_path / "long") == digests(tmp_path / "whole")


def test_a_track_that_was_cut_off_says_so_in_this_run_and_the_next(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus = write_corpus(n_tracks=4)
    path = corpus / "genres" / "hum" / "hum.00000.wav"
    data = path.read_bytes()
    path.write_bytes(data[:-10_001])
    for name, overwrite in (("out", False), ("out", True)):
        result = build(corpus, tmp_path / name, overwrite=overwrite)
        (cut,) = [track for track in tracks_of(tmp_path / name) if "announced_samples" in track]
        assert cut["track_id"] == "hum.00000"
        assert cut["announced_samples"] == (len(data) - 44) // 2 > cut["n_samples"] == (len(data) - 44 - 10_001) // 2
    assert result.counters["tracks_reused"] == 12


@pytest.mark.parametrize(
    ("container", "subtype", "cuts"),
    [
        *((container, "PCM_16", (7, 5000)) for container in ("WAV", "RF64", "AIFF", "AU", "SVX")),
        *((container, "FLOAT", (7, 5000)) for container in ("WAV", "AIFF")),
        *(("W64", subtype, (5000,)) for subtype in ("PCM_16", "FLOAT")),  # its length counts some padding
        ("WAVEX", "PCM_24", (7, 5000)),
        ("CAF", "PCM_16", (7,)),  # it is refused without more
        ("MP3", "MPEG_LAYER_III", (5000,)),  # it ends with padding
    ],
)
def test_a_header_that_tells_a_length_is_repeated_where_the_file_was_cut_off(
    container: str, subtype: str, cuts: tuple[int, ...]
) -> None:
    n_samples = 2 * SAMPLE_RATE
    data = encoded(noise(n_samples, 1), container=container, subtype=subtype)
    assert decode_audio(data, sample_rate=SAMPLE_RATE).announced_samples is None
    for cut in cuts:
        audio = decode_audio(data[:-cut], sample_rate=SAMPLE_RATE)
        assert audio.n_samples < n_samples
        assert audio.announced_samples == pytest.approx(n_samples, abs=4 if container == "W64" else 0)
        twice = decode_audio(data[:-cut], sample_rate=2 * SAMPLE_RATE)
        assert twice.announced_samples == 2 * (audio.announced_samples or 0)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000, 0xFFFFFFFF - 36])
def test_a_stream_was_not_cut_off(size: int) -> None:
    data = encoded(noise(5000, 1))
    streamed = data[:40] + size.to_bytes(4, "little") + data[44:]
    audio = decode_audio(streamed, sample_rate=SAMPLE_RATE)
    assert (audio.n_samples, audio.announced_samples) == (5000, None)


def test_an_mp3_without_a_length_was_not_cut_off() -> None:
    """libsndfile estimates it, from the bit rate of the first frame."""
    data = encoded(noise(5 * SAMPLE_RATE, 1), container="MP3")
    without = data[data.index(data[:2], 2) :]
    assert decode_audio(without, sample_rate=SAMPLE_RATE).announced_samples is None


_MEASURE = """
import sys
from beam_pipeline.extract.extractor import TrackExtractor
from beam_pipeline.plan import Plan
from beam_pipeline.track import Track

def mib(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name)) // 1024

extract = TrackExtractor(Plan(output=sys.argv[1], genres=("a", "b")))
for path in sys.argv[2:]:
    before = mib("VmRSS")
    refusal = extract(Track("a.song", path, "a", split="train")).extracted.refusal
    assert refusal is None, refusal
    print(mib("VmHWM") - before)
"""


def test_an_hour_takes_little_memory(tmp_path: Path) -> None:
    """As a waveform it is 344 MB. The first file has its length in its header, the second does not."""
    minute = np.tile(noise(8000, 1), (60, 1))
    paths = [tmp_path / "long.flac", tmp_path / "open.flac"]
    with soundfile.SoundFile(paths[0], "w", 8000, 1, "PCM_16") as file:
        for _ in range(65):
            file.write(minute)
    paths[1].write_bytes(without_length(paths[0].read_bytes()))
    command = [sys.executable, "-c", _MEASURE, *map(str, (tmp_path, *paths))]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    of_known, of_unknown = map(int, done.stdout.split())
    assert of_known < 150
    assert of_unknown < 250
