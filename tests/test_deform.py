"""Deformed chunks: pitch really shifts, tempo really changes, nothing else does, and no edge is heard."""

import librosa
import numpy as np
import pytest
from numpy.typing import NDArray

from beam_pipeline.extract.deform import deformed_chunks, phase_vocoder
from tests.conftest import SAMPLE_RATE, synthetic_track, tone
from tfrecords.audio import Audio
from tfrecords.front_end.augmentation import AUGMENTATIONS, Deformation
from tfrecords.front_end.log_mel import log_mel
from tfrecords.front_end.log_mel_spec import PRESETS
from tfrecords.front_end.mel_filter_bank import hz_to_mel

SPEC = PRESETS["paper"]
DEFORMATIONS = AUGMENTATIONS["stretch-pitch"].deformations
SWELLS_HZ = [1.5 * rate for rate in (0.2, 0.5, 0.67, 0.83, 1, 1.2, 1.5, 2, 5)]
every_deformation = pytest.mark.parametrize("deformation", DEFORMATIONS, ids=lambda deformation: deformation.name)


def as_audio(waveform: NDArray[np.float32]) -> Audio:
    return Audio(waveform=waveform, blake3="")


def deformed(waveform: NDArray[np.float32], deformation: Deformation) -> NDArray[np.float32]:
    """The whole track, chunk after chunk."""
    n_chunks = deformation.n_samples(len(waveform)) // SPEC.chunk_samples
    starts = np.arange(n_chunks) * SPEC.chunk_samples
    return deformed_chunks(as_audio(waveform), {deformation: starts}, spec=SPEC).ravel()


def seconds(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.arange(len(samples)) / SAMPLE_RATE


def test_the_values_are_those_of_the_paper() -> None:
    assert [deformation.rate for deformation in DEFORMATIONS] == [0.2, 0.5, 1.2, 1.5, 1, 1, 1, 1]
    assert [deformation.semitones for deformation in DEFORMATIONS] == [0, 0, 0, 0, -5, -2, 2, 5]
    assert AUGMENTATIONS["stretch-pitch"].n_chunks == 24
    assert [deformation.n_samples(661500) for deformation in DEFORMATIONS] == [3307500, 1323000, 551250, 441000, *[661500] * 4]


@every_deformation
def test_pitch_shifts_by_its_semitones_and_by_nothing_else(deformation: Deformation) -> None:
    expected_hz = 440 * 2 ** (deformation.semitones / 12)
    chunks = deformed_chunks(as_audio(tone(440, seconds=8)), {deformation: np.array([2, 5]) * SPEC.chunk_step}, spec=SPEC)
    assert chunks.shape == (2, SPEC.chunk_samples)
    spectra = np.abs(np.fft.rfft(chunks * np.hanning(SPEC.chunk_samples), n=2**18))
    np.testing.assert_allclose(spectra.argmax(axis=1) * SAMPLE_RATE / 2**18, expected_hz, atol=0.3)
    step = hz_to_mel(SPEC.fmax_hz, scale="htk") / (SPEC.n_mels + 1)
    bands = log_mel(chunks, spec=SPEC).mean(axis=(0, 2)).argmax()
    assert bands == round(hz_to_mel(expected_hz, scale="htk") / step) - 1


@every_deformation
def test_tempo_changes_by_the_rate_and_pitch_shifts_keep_it(deformation: Deformation) -> None:
    """Noise that swells 1.5 times a second: the deformed one does so 1.5 · rate times, and at the places that this gives."""
    time = np.arange(8 * SAMPLE_RATE) / SAMPLE_RATE
    noise = 0.1 * np.random.default_rng(0).standard_normal(len(time))
    energy = deformed((noise * (1 + 0.9 * np.sin(2 * np.pi * 1.5 * time))).astype(np.float32), deformation) ** 2
    swells = {hz: np.mean(energy * np.exp(-2j * np.pi * hz * seconds(energy))) for hz in SWELLS_HZ}
    strongest_hz = max(swells, key=lambda hz: abs(swells[hz]))
    assert strongest_hz == 1.5 * deformation.rate
    late_seconds = -(np.angle(swells[strongest_hz]) + np.pi / 2) / (2 * np.pi * strongest_hz)
    assert abs(late_seconds) < 0.01


@every_deformation
def test_no_edge_is_heard_in_a_chunk(deformation: Deformation) -> None:
    """The level of a steady tone is the same all through the chunks, and that of the track."""
    waveform = tone(1000, seconds=5, amplitude=0.5)
    starts = np.array([2, 4]) * SPEC.chunk_step
    for chunk in deformed_chunks(as_audio(waveform), {deformation: starts}, spec=SPEC):
        levels = np.sqrt(np.mean(chunk[: SPEC.chunk_samples // 441 * 441].reshape(-1, 441) ** 2, axis=1))
        np.testing.assert_allclose(levels, 0.5 / np.sqrt(2), rtol=0.02)


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.749, 1.2, 1.5])
def test_vocoder_is_librosas(rate: float) -> None:
    """Of float64: in float32 librosa's sums of angles lose digits, by 0.3 after a hundred thousand samples at rate 0.2."""
    waveform = synthetic_track("noise", 0, seconds=3)[: 40 * 512]
    expected = librosa.effects.time_stretch(waveform.astype(np.float64), rate=rate)
    actual = phase_vocoder(np.pad(waveform, 1024)[np.newaxis], rate=rate)[0, 1024:]
    n_samples = min(len(actual), len(expected))
    assert n_samples > 0.9 * len(expected)
    np.testing.assert_allclose(actual[1024:n_samples], expected[1024:n_samples], atol=1e-4)


def test_segments_do_not_depend_on_each_other() -> None:
    waveform = synthetic_track("ticks", 1, seconds=4)
    starts = np.array([0, 2, 3]) * SPEC.chunk_step
    together = deformed_chunks(as_audio(waveform), {DEFORMATIONS[4]: starts}, spec=SPEC)
    alone = [deformed_chunks(as_audio(waveform), {DEFORMATIONS[4]: starts[[number]]}, spec=SPEC)[0] for number in range(3)]
    np.testing.assert_allclose(together, alone, atol=1e-5)


@every_deformation
@pytest.mark.parametrize("level", [0.0, 1e-42, 1e-30])
def test_silence_stays_silent(deformation: Deformation, level: float) -> None:
    """Also what is so quiet that products of it underflow."""
    waveform = (level * synthetic_track("noise", 0, seconds=3)).astype(np.float32)
    last = SPEC.n_candidate_chunks(deformation.n_samples(len(waveform))) - 1
    chunks = deformed_chunks(as_audio(waveform), {deformation: np.array([0, last]) * SPEC.chunk_step}, spec=SPEC)
    assert np.isfinite(chunks).all()
    assert np.abs(chunks).max() <= 10 * level
    assert np.isfinite(log_mel(chunks, spec=SPEC)).all()


@every_deformation
@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_first_and_last_candidates_of_short_tracks(deformation: Deformation, preset: str) -> None:
    """Where a tone sets in, its bins' phases part, and it loses level: in librosa's vocoder it never finds back."""
    spec = PRESETS[preset]
    waveform = tone(300, seconds=1.7 * spec.chunk_samples / SAMPLE_RATE)
    n_candidates = spec.n_candidate_chunks(deformation.n_samples(len(waveform)))
    starts = np.array([0, n_candidates - 1]) * spec.chunk_step
    chunks = deformed_chunks(as_audio(waveform), {deformation: starts}, spec=spec)
    assert chunks.shape == (2, spec.chunk_samples)
    assert (np.sqrt(np.mean(chunks**2, axis=1)) > 0.1).all()


@pytest.mark.parametrize(
    "values", [{"rate": 0.0}, {"rate": float("nan")}, {"rate": 1e9}, {"semitones": 61}, {"name": ""}, {"name": "a b"}]
)
def test_deformations_out_of_range_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"name of a deformation|rate of x must|semitones of x must"):
        Deformation(**{"name": "x"} | values)  # type: ignore[arg-type]
