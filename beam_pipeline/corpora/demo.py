"""A synthetic corpus in GTZAN's shape, for a machine without GTZAN.

Ten invented genres, each a small step sequencer with its own rhythm, harmony and timbre. What tells most of them apart is how
sound moves within a second, not which frequencies it holds on average: the average spectrum is blurred by a random key,
equaliser and drum level per track. Genres overlap, as real ones do: now and then a track borrows a trait from another genre.
"""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from tfrecords.dataset.corpus import CORPUS_FILE, CorpusInfo
from tfrecords.dataset.stable_hash import stable_hash

SAMPLE_RATE = 22050
TRACK_SECONDS = 30.0
TRACKS_PER_GENRE = 10
_SECONDS_PER_CHORD = 1.9
_SEMITONES = {"major": (0, 7, 16, 24), "minor": (0, 7, 15, 24), "fifths": (0, 7, 12, 19), "fourths": (0, 5, 10, 15)}
_BORROW_PROBABILITY = 0.08


@dataclass(frozen=True, kw_only=True)
class _Style:
    """One genre.

    Attributes:
        steps_per_second: Speed of the sequencer; a track's own lies within 8 % of it.
        melody: Per step the chord tones that sound, as digits; `-` is a rest, `*` the whole chord.
        drums: Per step a drum: k (kick), s (snare), h (hat) or `-`.
        decay: How long a note rings, in steps.
        rise: Share of a note that it takes to grow loud; 0 for a struck note.
        glide: Semitones that a note slides while it sounds.
        tremolo_hz: Speed of an amplitude modulation of the melody; 0 for none.
        chord: The harmony, a key of _SEMITONES.
        rolloff: Exponent of the fall of a note's harmonics: 1 is bright, 2 is dull.
    """

    steps_per_second: float
    melody: str
    drums: str
    decay: float
    rise: float = 0.0
    glide: float = 0.0
    tremolo_hz: float = 0.0
    chord: str = "major"
    rolloff: float = 1.4


STYLES: dict[str, _Style] = {
    "arpeggio": _Style(steps_per_second=5.5, melody="0123", drums="k-h-", decay=0.7),
    "cascade": _Style(steps_per_second=5.5, melody="3210", drums="k-h-", decay=0.7),
    "drone": _Style(steps_per_second=1.0, melody="*", drums="h", decay=3.0, chord="fifths", rolloff=1.6),
    "gallop": _Style(steps_per_second=13.0, melody="***---", drums="khh---", decay=0.6, chord="minor"),
    "glide": _Style(steps_per_second=2.5, melody="0212", drums="kh", decay=1.5, glide=12.0, chord="fourths"),
    "march": _Style(steps_per_second=2.2, melody="*", drums="ks", decay=0.3),
    "pulse": _Style(steps_per_second=9.0, melody="*", drums="k-h-s-h-", decay=0.4, chord="minor", rolloff=1.2),
    "swell": _Style(steps_per_second=2.2, melody="*", drums="h", decay=0.3, rise=0.85, chord="fourths"),
    "tremolo": _Style(steps_per_second=1.0, melody="*", drums="h", decay=3.0, tremolo_hz=6.0, chord="fifths", rolloff=1.6),
    "waltz": _Style(steps_per_second=3.6, melody="033", drums="khh", decay=0.4, rolloff=1.6),
}


N_DEMO_TRACKS = TRACKS_PER_GENRE * len(STYLES)


def _generator(*key: str | int) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(stable_hash("demo corpus", *key), "big"))


def _borrowing(genre: str, rng: np.random.Generator) -> _Style:
    """The genre's style, in which each trait is now and then another genre's."""
    style = STYLES[genre]
    names = sorted(STYLES)
    for field in fields(_Style):
        if rng.random() < _BORROW_PROBABILITY:
            style = replace(style, **{field.name: getattr(STYLES[names[rng.integers(len(names))]], field.name)})
    return style


def _wavetable(rolloff: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """One period of a tone with twelve harmonics of random phase, (2048,)."""
    harmonics = np.arange(1, 13)
    turns = np.arange(2048)[:, np.newaxis] * harmonics / 2048 + rng.random(harmonics.size)
    return (np.sin(2 * np.pi * turns) / harmonics**rolloff).sum(axis=1)


def _note(style: _Style, hz: float, step_seconds: float, table: NDArray[np.float64]) -> NDArray[np.float64]:
    seconds = (1.0 if style.rise else min(3.0 * style.decay, 4.0)) * step_seconds
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    # ∫ hz·2^(glide·t/(12·seconds)) dt, in periods.
    slope = style.glide * np.log(2.0) / (12.0 * seconds)
    periods = hz * (np.expm1(slope * time) / slope if slope else time)
    attack_seconds = max(style.rise * seconds, 0.004)
    after_attack = np.maximum(time - attack_seconds, 0.0)
    envelope = np.minimum(1.0, time / attack_seconds) ** (3 if style.rise else 1) * np.exp(
        -after_attack / (style.decay * step_seconds)
    )
    envelope *= np.minimum(1.0, (seconds - time) / 0.01)
    return table[(periods * table.size).astype(np.int64) % table.size] * envelope


def _drum(kind: str, rng: np.random.Generator) -> NDArray[np.float64]:
    time = np.arange(int(0.16 * SAMPLE_RATE)) / SAMPLE_RATE
    noise = rng.standard_normal(time.size)
    if kind == "k":
        return 1.6 * np.sin(2 * np.pi * (55 * time + 2.2 * (1 - np.exp(-30 * time)))) * np.exp(-22 * time)
    if kind == "s":
        return 0.6 * noise * np.exp(-28 * time)
    return 0.5 * np.diff(noise, prepend=0.0) * np.exp(-55 * time)


def _add(target: NDArray[np.float64], sound: NDArray[np.float64], start: int) -> None:
    end = min(start + sound.size, target.size)
    target[start:end] += sound[: end - start]


def _equalised(waveform: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """The waveform through a smooth random equaliser of ±9 dB at nine points of a logarithmic frequency axis."""
    spectrum = np.fft.rfft(waveform)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(waveform.size, 1 / SAMPLE_RATE), 40.0) / 40.0)
    gains_db = np.interp(octaves, np.linspace(0.0, octaves[-1], 9), rng.uniform(-9.0, 9.0, 9))
    return np.fft.irfft(spectrum * 10 ** (gains_db / 20), n=waveform.size)


def synthesise(genre: str, *, rng: np.random.Generator, seconds: float = TRACK_SECONDS) -> NDArray[np.float32]:
    """Makes one track of a genre: a waveform in ±1, (seconds · 22050,) float32."""
    style = _borrowing(genre, rng)
    melody = np.zeros(round(seconds * SAMPLE_RATE))
    drums = np.zeros_like(melody)
    table = _wavetable(style.rolloff + rng.uniform(-0.25, 0.25), rng)
    step_seconds = 1.0 / (style.steps_per_second * rng.uniform(0.92, 1.08))
    key_midi = rng.integers(40, 56)
    root_midi = key_midi
    hits = {kind: _drum(kind, rng) for kind in "ksh"}
    steps_per_chord = max(1, round(_SECONDS_PER_CHORD / step_seconds))
    for step in range(int(seconds / step_seconds)):
        start = round((step * step_seconds + rng.normal(0.0, 0.004)) * SAMPLE_RATE) if step else 0
        if step % steps_per_chord == 0:
            root_midi = key_midi + rng.choice((0, 3, 5, 7, 10))
        symbol = style.melody[step % len(style.melody)]
        degrees = {"*": "012", "-": ""}.get(symbol, symbol)
        for degree in degrees:
            midi = root_midi + _SEMITONES[style.chord][int(degree)]
            hz = 440.0 * 2 ** ((midi - 69) / 12)
            gain = rng.uniform(0.8, 1.2)
            _add(melody, gain * _note(style, hz, step_seconds, table), start)
        hit = style.drums[step % len(style.drums)]
        if hit != "-":
            _add(drums, hits[hit] * rng.uniform(0.7, 1.2), start)
    if style.tremolo_hz:
        melody *= 0.55 + 0.45 * np.sin(2 * np.pi * style.tremolo_hz * np.arange(melody.size) / SAMPLE_RATE)
    mixed = _unit_power(melody) + rng.uniform(0.25, 0.9) * _unit_power(drums) + 0.03 * rng.standard_normal(melody.size)
    mixed = _unit_power(_equalised(mixed, rng)) * rng.uniform(0.06, 0.16)
    return np.clip(mixed, -1.0, 1.0).astype(np.float32)


def _unit_power(waveform: NDArray[np.float64]) -> NDArray[np.float64]:
    return waveform / np.sqrt(np.mean(waveform**2) + 1e-12)


def write_demo_track(path: Path, *, genre: str, number: int, seed: int) -> Path:
    """Writes one track, 22050 Hz mono 16 bit; it depends on genre, number and seed alone."""
    waveform = synthesise(genre, rng=_generator(seed, genre, number))
    soundfile.write(path, waveform, SAMPLE_RATE, subtype="PCM_16")
    return path


def write_demo_corpus(folder: Path, *, workers: int, seed: int = 0) -> Iterator[Path]:
    """Writes `folder/genres/<genre>/<genre>.<number>.wav`, and the file that says the corpus is synthetic.

    Args:
        folder: Made where it is missing.
        workers: Processes to use. The audio does not depend on it.
        seed: Another seed makes other tracks.

    Yields:
        The path of each track once it is written; `corpus.json`, which marks the corpus as whole, is written last.
    """
    genres = folder / "genres"
    for genre in STYLES:
        (genres / genre).mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(workers) as pool:
        writes = [
            pool.submit(write_demo_track, genres / genre / f"{genre}.{number:05d}.wav", genre=genre, number=number, seed=seed)
            for genre in sorted(STYLES)
            for number in range(TRACKS_PER_GENRE)
        ]
        for write in as_completed(writes):
            yield write.result()
    info = CorpusInfo(name=f"demo corpus of synthetic audio, seed {seed}", synthetic=True)
    (genres / CORPUS_FILE).write_text(info.to_json(), encoding="utf-8")
