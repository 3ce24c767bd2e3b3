"""AAC, M4A, WebM and the like: what pipeline and prediction read of them, and what they refuse."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.av_files import FORMATS, av_file, video_file
from tests.conftest import SAMPLE_RATE, tone
from tests.helpers import WriteCorpus, build, json_lines, tracks_of
from tests.test_audio import encoded
from tfrecords.audio import LongAudio, UnusableAudioError, as_file, decode_audio, read_audio, waveform_blocks

LOSSLESS = (("wv", "wavpack"), ("mp4", "alac"), ("matroska", "flac"))
every_format = pytest.mark.parametrize(("container", "codec", "file_rate"), FORMATS)


def song(seconds: float, *, sample_rate: int, n_channels: int = 1) -> NDArray[np.float32]:
    """Beats of a tone: (n_samples, n_channels), and where they begin tells of a delay."""
    samples = tone(440.0, seconds=seconds, sample_rate=sample_rate)
    samples *= np.arange(len(samples)) / sample_rate % 0.5 < 0.25
    return np.stack([samples] * n_channels, axis=1)


def delay(waveform: NDArray[np.float32], expected: NDArray[np.float32]) -> int:
    """Samples by which one comes after another."""
    n_fft = 1 << (len(waveform) + len(expected)).bit_length()
    match = np.fft.irfft(np.fft.rfft(waveform, n_fft) * np.fft.rfft(expected, n_fft).conj())
    return (int(match.argmax()) + n_fft // 2) % n_fft - n_fft // 2


@every_format
@pytest.mark.parametrize("n_channels", [1, 2])
def test_samples_are_those_that_were_written(container: str, codec: str, file_rate: int, n_channels: int) -> None:
    samples = song(3.0, sample_rate=file_rate, n_channels=n_channels)
    data = av_file(samples, container=container, codec=codec, sample_rate=file_rate)
    waveform = decode_audio(data, sample_rate=file_rate).waveform
    assert waveform.dtype == np.float32
    assert len(waveform) == pytest.approx(len(samples), abs=2048)
    late = delay(waveform, samples[:, 0])
    # ADTS says nothing of the encoder's delay, and FFmpeg's writer of ASF leaves its first block out.
    assert late == {"adts": 1024, "asf": -1024}.get(container, 0)
    n_shared = min(len(waveform) - late, len(samples)) - 2048
    error = waveform[1024 + late : n_shared + late] - samples[1024:n_shared, 0]
    assert np.sqrt(np.mean(error**2)) < (1e-4 if codec in ("alac", "wavpack") else 0.05)


@every_format
def test_prediction_reads_the_same(container: str, codec: str, file_rate: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfrecords.audio.stream._BLOCK_SECONDS", 1)
    data = av_file(song(3.3, sample_rate=file_rate, n_channels=2), container=container, codec=codec, sample_rate=file_rate)
    expected = decode_audio(data, sample_rate=SAMPLE_RATE).waveform
    with as_file(data) as file:
        np.testing.assert_array_equal(np.concatenate(list(waveform_blocks(file, sample_rate=SAMPLE_RATE))), expected)


def test_lossless_files_sound_like_wav() -> None:
    """Sixteen bits stay sixteen bits, and give the digest that every lossless file of them has."""
    samples = (np.round(song(1.0, sample_rate=SAMPLE_RATE) * 32768) / 32768).astype(np.float32)
    files = [encoded(samples, subtype="PCM_16")]
    files += [av_file(samples, container=container, codec=codec, sample_rate=SAMPLE_RATE) for container, codec in LOSSLESS]
    audios = [decode_audio(data, sample_rate=SAMPLE_RATE) for data in files]
    assert len({audio.blake3 for audio in audios}) == 1
    assert {audio.announced_samples for audio in audios} == {None}


@pytest.mark.parametrize(("container", "codec", "file_rate"), [one for one in FORMATS if one[0] != "asf"])
@pytest.mark.parametrize("seed", range(12))
def test_damage_is_refused_or_read_alike(container: str, codec: str, file_rate: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = bytearray(av_file(song(1.0, sample_rate=file_rate), container=container, codec=codec, sample_rate=file_rate))
    for place in rng.integers(20, len(data), 10):
        data[place] ^= 1 << rng.integers(8)
    damaged = bytes(data[: len(data) if seed % 2 else rng.integers(20, len(data))])

    def outcome(read: Callable[[], NDArray[np.float32]]) -> bytes | str:
        try:
            return read().tobytes()
        except UnusableAudioError as error:
            return str(error)

    def blocks() -> NDArray[np.float32]:
        with as_file(damaged) as file:
            return np.concatenate(list(waveform_blocks(file, sample_rate=file_rate)))

    whole = outcome(lambda: decode_audio(damaged, sample_rate=file_rate).waveform)
    assert outcome(blocks) == whole
    assert isinstance(whole, bytes) or len(whole.splitlines()) == 1


def test_what_was_cut_off_says_how_long_it_was() -> None:
    data = av_file(song(4.0, sample_rate=48000), container="webm", codec="libopus", sample_rate=48000)
    audio = decode_audio(data[: len(data) // 2], sample_rate=SAMPLE_RATE)
    assert audio.n_samples < 3 * SAMPLE_RATE
    assert audio.announced_samples == pytest.approx(4 * SAMPLE_RATE, abs=0.1 * SAMPLE_RATE)
    assert decode_audio(data, sample_rate=SAMPLE_RATE).announced_samples is None


def test_what_is_wrong_is_said() -> None:
    data = av_file(song(1.0, sample_rate=22050), container="ipod", codec="aac", sample_rate=22050)
    for wrong, reason in (
        (video_file(), "holds no audio"),
        (data[:500], "does not decode: Invalid data found when processing input"),
        (data[:40], "does not decode: "),
    ):
        with pytest.raises(UnusableAudioError, match=reason):
            decode_audio(wrong, sample_rate=SAMPLE_RATE)


def test_a_long_one_is_never_in_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """And gives the segments that the whole would."""
    data = av_file(song(5.0, sample_rate=32000), container="ipod", codec="aac", sample_rate=32000)
    whole = decode_audio(data, sample_rate=SAMPLE_RATE)
    monkeypatch.setattr("tfrecords.audio.long.MOST_FRAMES", 32000)
    firsts = np.array([-500, 0, 30_001, whole.n_samples - 50, whole.n_samples + 9])
    with as_file(data) as file:
        audio = read_audio(file, sample_rate=SAMPLE_RATE)
        assert isinstance(audio, LongAudio)
        assert (audio.n_samples, audio.blake3) == (whole.n_samples, whole.blake3)
        np.testing.assert_array_equal(audio.segments(firsts, n_samples=2000), whole.segments(firsts, n_samples=2000))


def test_the_pipeline_reads_them(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus = write_corpus(n_tracks=4)
    for number, (container, codec, file_rate) in enumerate(FORMATS[:5]):
        data = av_file(song(4.0, sample_rate=file_rate), container=container, codec=codec, sample_rate=file_rate)
        suffix = {"ipod": ".m4a", "mp4": ".mp4", "adts": ".aac", "webm": ".webm"}[container]
        (corpus / "genres" / "hum" / f"av-{number}{suffix}").write_bytes(data)
    build(corpus, tmp_path / "out")
    assert json_lines(tmp_path / "out" / "rejected.jsonl") == []
    assert sum(track["track_id"].startswith("hum.av-") for track in tracks_of(tmp_path / "out")) == 5


@pytest.mark.parametrize(("container", "codec"), [("adts", "aac"), ("wv", "wavpack")])
def test_what_was_cut_off_is_read_as_far_as_it_goes(container: str, codec: str) -> None:
    data = av_file(song(4.0, sample_rate=22050), container=container, codec=codec, sample_rate=22050)
    whole = decode_audio(data, sample_rate=22050)
    for size in (len(data) - 1, len(data) * 9 // 10, len(data) // 2):
        cut = decode_audio(data[:size], sample_rate=22050)
        assert 0.4 * size / len(data) < cut.n_samples / whole.n_samples <= 1
        same = cut.waveform[: cut.n_samples - 4096]
        np.testing.assert_allclose(same, whole.waveform[: len(same)], rtol=0, atol=1e-6)
    assert decode_audio(data + b"\0", sample_rate=22050).blake3 == whole.blake3
