"""Files in blocks: the samples, the log-mels and the refusals of the whole, in bounded memory."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile

from keras_model.prediction.blocks import LogMelBlock, log_mel_blocks
from keras_model.prediction.track import chosen_chunks
from tests.conftest import REPOSITORY, SAMPLE_RATE, synthetic_track, tone
from tests.predicting import SamePredictor
from tests.test_audio import encoded, lying_flac
from tfrecords.audio import UnusableAudioError, announced_samples, as_file, decode_audio, open_audio_file, waveform_blocks
from tfrecords.front_end.log_mel import cut_chunks, log_mel
from tfrecords.front_end.log_mel_spec import LogMelSpec

SPEC = LogMelSpec()


def noise(n_samples: int, n_channels: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(n_channels).standard_normal((n_samples, n_channels))).astype(np.float32)


def flac_of_unknown_length(samples: np.ndarray) -> bytes:
    return without_length(encoded(samples, container="FLAC"))


def without_length(flac: bytes) -> bytes:
    """As a program writes it to a pipe: the header announces 0 samples, which stands for unknown."""
    data = bytearray(flac)
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    return bytes(data)


def blocks_of(data: bytes, *, spec: LogMelSpec = SPEC, wanted: np.ndarray | None = None) -> list[LogMelBlock]:
    with as_file(data) as file:
        return list(log_mel_blocks(file, spec=spec, wanted=wanted))


def waveform_in_blocks(data: bytes) -> np.ndarray:
    with as_file(data) as file:
        return np.concatenate(list(waveform_blocks(file, sample_rate=SAMPLE_RATE)))


def announced(data: bytes) -> int | None:
    with as_file(data) as file:
        return announced_samples(file, sample_rate=SAMPLE_RATE)


@pytest.fixture
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfrecords.audio.stream._BLOCK_SECONDS", 1)


@pytest.mark.usefixtures("short_blocks")
@pytest.mark.parametrize(
    ("container", "subtype", "file_rate", "n_channels"),
    [
        ("WAV", "PCM_16", 22050, 1),
        ("WAV", "PCM_16", 22050, 2),
        ("WAV", "PCM_24", 22050, 6),
        ("WAV", "FLOAT", 44100, 2),
        ("AU", "ULAW", 8000, 1),
        ("FLAC", "PCM_16", 48000, 2),
        ("AIFF", "PCM_16", 32000, 1),
        ("CAF", "PCM_32", 96000, 3),
        ("OGG", "VORBIS", 44100, 2),
        ("OGG", "OPUS", 48000, 2),
        ("MP3", "MPEG_LAYER_III", 22050, 1),
        ("MP3", "MPEG_LAYER_III", 44100, 2),
    ],
)
def test_blocks_are_the_waveform_bit_by_bit(
    container: str, subtype: str, file_rate: int, n_channels: int, tmp_path: Path
) -> None:
    data = encoded(noise(3 * file_rate + 71, n_channels), sample_rate=file_rate, container=container, subtype=subtype)
    expected = decode_audio(data, sample_rate=SAMPLE_RATE).waveform
    (tmp_path / "x").write_bytes(data)
    with open_audio_file(tmp_path / "x") as file:
        from_disk = list(waveform_blocks(file, sample_rate=SAMPLE_RATE))
        length = announced_samples(file, sample_rate=SAMPLE_RATE)
    assert len(from_disk) >= 4
    assert {block.dtype for block in from_disk} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(np.concatenate(from_disk), expected)
    np.testing.assert_array_equal(waveform_in_blocks(data), expected)
    assert length == len(expected)


@pytest.mark.parametrize("file_rate", [1000, 8000, 22051, 32000, 44100, 48000, 96000, 768_000])
def test_resampling_is_librosas(file_rate: int) -> None:
    """Measured on soxr 1.1: no difference at all."""
    samples = noise(file_rate * 2 + 37, 1)[:, 0]
    waveform = decode_audio(encoded(samples, sample_rate=file_rate, subtype="FLOAT"), sample_rate=SAMPLE_RATE).waveform
    expected = librosa.resample(samples, orig_sr=file_rate, target_sr=SAMPLE_RATE, res_type="soxr_hq")
    np.testing.assert_array_equal(waveform, expected)


@pytest.mark.usefixtures("short_blocks")
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF then nothing",
        b"ID3" + bytes(500),
        b"\0\0\0 ftypM4A " + bytes(500),
        encoded(np.zeros(0, np.float32)),
        encoded(np.append(tone(440.0, seconds=2.5), np.float32(np.nan)), subtype="FLOAT"),
        encoded(np.append(tone(440.0, seconds=2.5), np.float32(-1e30)), subtype="FLOAT"),
        encoded(np.zeros(50, np.float32), sample_rate=1),
        lying_flac(),
        encoded(noise(100_000, 2), container="FLAC")[:80_000],
    ],
)
def test_refusals_are_those_of_the_whole(data: bytes) -> None:
    with pytest.raises(UnusableAudioError) as whole:
        decode_audio(data, sample_rate=SAMPLE_RATE)
    with pytest.raises(UnusableAudioError) as in_blocks:
        waveform_in_blocks(data)
    assert (str(in_blocks.value), in_blocks.value.kind) == (str(whole.value), whole.value.kind)


def test_flac_of_unknown_length_is_read_to_its_end() -> None:
    samples = noise(2 * (1 << 21) + 5, 1)  # more than one block of `decode_audio`
    data = flac_of_unknown_length(samples)
    assert announced(data) is None
    waveform = decode_audio(data, sample_rate=SAMPLE_RATE).waveform
    np.testing.assert_array_equal(waveform, decode_audio(encoded(samples, container="FLAC"), sample_rate=SAMPLE_RATE).waveform)
    np.testing.assert_array_equal(waveform_in_blocks(data), waveform)


@pytest.mark.usefixtures("short_blocks")
@pytest.mark.parametrize("chunk_step", [SPEC.chunk_step, 3 * SPEC.chunk_samples])
@pytest.mark.parametrize("n_chunks", [None, 1, 3])
def test_chunks_of_blocks_are_those_of_the_whole(chunk_step: int, n_chunks: int | None) -> None:
    spec = dataclasses.replace(SPEC, chunk_step=chunk_step)
    data = encoded(noise(7 * 44100 + 13, 2), sample_rate=44100)
    waveform = decode_audio(data, sample_rate=SAMPLE_RATE).waveform
    chosen = chosen_chunks(spec.n_candidate_chunks(len(waveform)), n_chunks)
    blocks = blocks_of(data, spec=spec, wanted=chosen if n_chunks else None)
    starts = chosen * chunk_step
    np.testing.assert_array_equal(np.concatenate([block.starts for block in blocks]), starts)
    expected = log_mel(cut_chunks(waveform, starts, spec=spec), spec=spec)
    np.testing.assert_array_equal(np.concatenate([block.log_mels for block in blocks]), expected)
    assert blocks[-1].n_samples == len(waveform)


def cut_mp3() -> bytes:
    """Six seconds by its header; the last of them are missing."""
    data = encoded(noise(6 * SAMPLE_RATE, 1), container="MP3")
    return data[: len(data) * 6 // 10]


@pytest.mark.parametrize("data", [cut_mp3(), flac_of_unknown_length(noise(5 * SAMPLE_RATE, 1))])
def test_chunks_are_spread_over_what_is_there_and_not_over_what_a_header_says(data: bytes) -> None:
    n_samples = len(decode_audio(data, sample_rate=SAMPLE_RATE).waveform)
    assert n_samples != announced(data)
    prediction = SamePredictor().predict(data, n_chunks=2)
    expected = chosen_chunks(SPEC.n_candidate_chunks(n_samples), 2) * SPEC.chunk_step
    np.testing.assert_array_equal(prediction.chunk_start_seconds, expected / SAMPLE_RATE)
    assert prediction.seconds == n_samples / SAMPLE_RATE


@pytest.mark.parametrize(("peak", "is_silent"), [(0.0, True), (0.49 / 32768, True), (0.5 / 32768, False)])
@pytest.mark.parametrize("place", [30_000, 49_999])
@pytest.mark.usefixtures("short_blocks")
def test_a_file_is_silent_only_if_none_of_its_samples_is_heard(peak: float, is_silent: bool, place: int) -> None:
    samples = np.zeros(50_000, np.float32)
    samples[place] = -peak
    data = encoded(samples, subtype="FLOAT")
    if is_silent:
        with pytest.raises(UnusableAudioError, match="is silent: no sample reaches half a step of 16 bits"):
            blocks_of(data)
    else:
        assert sum(len(block.starts) for block in blocks_of(data)) == 3


def test_a_file_shorter_than_a_chunk_is_named() -> None:
    with pytest.raises(UnusableAudioError, match=r"too short: 0\.41 s, need 0\.93 s"):
        blocks_of(encoded(tone(440.0, seconds=9000 / SAMPLE_RATE)))


_MEASURE = """
import resource, sys
from keras_model.prediction.files import AudioFile
from tests.predicting import SamePredictor

for path in sys.argv[1:]:
    (prediction,) = SamePredictor().predict_files([AudioFile(name=path)])
    print(prediction.n_chunks, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_a_long_file_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    """Twenty minutes of stereo are 423 MB as float32, the waveform 106 MB. A function stands in for the network."""
    minute = np.tile(
        np.stack([tone(440.0, seconds=1.0, sample_rate=44100), tone(550.0, seconds=1.0, sample_rate=44100)], 1), (60, 1)
    )
    paths = [tmp_path / "short.flac", tmp_path / "long.flac"]
    for path, minutes in zip(paths, (2, 20), strict=True):
        with soundfile.SoundFile(path, "w", 44100, 2, "PCM_16") as file:
            for _ in range(minutes):
                file.write(minute)
    command = [sys.executable, "-c", _MEASURE, *map(str, paths)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    (n_short, short_mib), (n_long, long_mib) = (map(int, line.split()) for line in done.stdout.splitlines())
    assert n_long == SPEC.n_candidate_chunks(20 * 60 * SAMPLE_RATE) > 9 * n_short
    assert long_mib - short_mib < 25


def test_a_files_ending_plays_no_part(tmp_path: Path) -> None:
    samples = synthetic_track("ticks", 5, seconds=2.0)
    soundfile.write(tmp_path / "x.raw.wav", samples, SAMPLE_RATE, subtype="PCM_16")
    path = (tmp_path / "x.raw.wav").rename(tmp_path / "x.raw")  # soundfile would take the ending for headerless samples
    with open_audio_file(path) as file:
        waveform = np.concatenate(list(waveform_blocks(file, sample_rate=SAMPLE_RATE)))
    np.testing.assert_array_equal(waveform, decode_audio(path.read_bytes(), sample_rate=SAMPLE_RATE).waveform)
