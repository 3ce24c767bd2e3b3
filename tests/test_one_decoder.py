"""Pipeline, prediction and the served model read the same samples of the same bytes, and those that soundfile reads of a path."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tests.conftest import SAMPLE_RATE, tone
from tests.odd_audio import OddFile, id3_tag, odd_files
from tests.test_audio import encoded
from tests.wav_files import decoded
from tfrecords.audio import LARGEST_SAMPLE, SAMPLE_RATES_HZ, Sound, UnusableAudioError, as_file, read_audio, waveform_blocks

Waveform = NDArray[np.float32]
N_FILES = 2000
MOST_FRAMES = 1 << 20  # in files of a few thousand
OPEN_LENGTH = 2**63 - 1
SEEK_FAILED = 39


def in_one_piece(data: bytes, *, sample_rate: int) -> Waveform:
    with as_file(data) as file:
        audio = read_audio(file, sample_rate=sample_rate)
        return audio.segments(np.array([0]), n_samples=audio.n_samples)[0]


def in_blocks(data: bytes, *, sample_rate: int) -> Waveform:
    with as_file(data) as file:
        return np.concatenate(list(waveform_blocks(file, sample_rate=sample_rate)))


def from_path(path: Path) -> Waveform:
    """What soundfile itself reads, but for what is refused as out of all range."""
    with soundfile.SoundFile(path) as file:
        channels = file.read(MOST_FRAMES if file.frames == OPEN_LENGTH else -1, dtype="float32", always_2d=True)
        usable(channels, file.samplerate)
        waveform: Waveform = channels.mean(axis=1)
        return waveform


def in_the_served_graph(data: bytes) -> Waveform:
    waveform, sample_rate, error = decoded(data)
    if error:
        raise UnusableAudioError("served", error)
    return usable(waveform, sample_rate)


def usable(samples: Waveform, sample_rate: int) -> Waveform:
    low, high = SAMPLE_RATES_HZ
    if not low <= sample_rate <= high or not len(samples) or not (np.abs(samples) <= LARGEST_SAMPLE).all():
        raise UnusableAudioError("range", "out of all range")
    return samples


def sample_rate_of(data: bytes) -> int:
    try:
        with as_file(data) as file, Sound.opened(file) as sound:
            return sound.sample_rate
    except UnusableAudioError:
        return SAMPLE_RATE


def outcome(read: Callable[..., Waveform], *arguments: Any, **options: Any) -> Waveform | Exception:
    try:
        return read(*arguments, **options)
    except (UnusableAudioError, soundfile.SoundFileError, MemoryError, ValueError) as error:
        return error


def differ(one: Waveform | Exception, other: Waveform | Exception) -> bool:
    if isinstance(one, Exception) or isinstance(other, Exception):
        return isinstance(one, Exception) != isinstance(other, Exception)
    return not np.array_equal(one, other)


def ends_before_its_header_says(odd: OddFile, of_path: Waveform | Exception) -> bool:
    """A FLAC of which whole frames are missing at the end: soundfile reads it, then seeks behind what it asked for, and fails."""
    return odd.container == "FLAC" and isinstance(of_path, soundfile.LibsndfileError) and of_path.code == SEEK_FAILED


def test_two_thousand_odd_files(tmp_path: Path) -> None:
    """The served graph may refuse what the others read, but reads nothing else than they do."""
    different: list[tuple[str, OddFile]] = []
    counts: Counter[str] = Counter()
    for odd in odd_files(N_FILES):
        sample_rate = sample_rate_of(odd.data)
        pipelines = outcome(in_one_piece, odd.data, sample_rate=sample_rate)
        counts["refused" if isinstance(pipelines, Exception) else "read"] += 1
        if differ(pipelines, outcome(in_blocks, odd.data, sample_rate=sample_rate)):
            different.append(("prediction", odd))
        (tmp_path / "odd").write_bytes(odd.data)
        of_path = outcome(from_path, tmp_path / "odd")
        if differ(pipelines, of_path) and not ends_before_its_header_says(odd, of_path):
            different.append(("soundfile", odd))
        if odd.container in ("WAV", "WAVEX", "RF64"):
            served = outcome(in_the_served_graph, odd.data)
            counts["served"] += not isinstance(served, Exception)
            if not isinstance(served, Exception) and differ(pipelines, served):
                different.append(("served", odd))
    assert [(reader, odd[:3]) for reader, odd in different] == []
    assert counts["read"] > N_FILES / 2
    assert counts["refused"] > N_FILES / 10
    assert counts["served"] > N_FILES / 10


@pytest.mark.parametrize("container", ["WAV", "AIFF", "AU", "FLAC", "MP3"])
@pytest.mark.parametrize("n_bytes", [99, 3000, 200_000])
def test_a_tag_before_a_file_costs_no_samples(container: str, n_bytes: int) -> None:
    data = encoded(tone(440.0, seconds=2.0), container=container)
    expected = in_one_piece(data, sample_rate=SAMPLE_RATE)
    for read in (in_one_piece, in_blocks):
        np.testing.assert_array_equal(read(id3_tag(n_bytes) + data, sample_rate=SAMPLE_RATE), expected)


@pytest.mark.parametrize("n_bytes", [1, 128, 5000])
def test_bytes_after_a_flac_change_nothing(n_bytes: int) -> None:
    data = encoded(tone(440.0, seconds=2.0), container="FLAC")
    expected = in_one_piece(data, sample_rate=SAMPLE_RATE)
    for read in (in_one_piece, in_blocks):
        np.testing.assert_array_equal(read(data + bytes(n_bytes), sample_rate=SAMPLE_RATE), expected)
