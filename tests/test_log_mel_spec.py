"""The specification of the front end and its presets."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrecords.front_end.log_mel_spec import PRESETS, LogMelSpec


def test_presets_have_the_frames_of_their_sources() -> None:
    n_real_frames = {"paper": 41, "schindler": 80, "full80": 81, "musicnn": 126}
    assert {name: spec.n_real_frames for name, spec in PRESETS.items()} == n_real_frames
    shapes = {name: spec.shape for name, spec in PRESETS.items()}
    assert shapes == {"paper": (80, 80), "schindler": (80, 80), "full80": (80, 80), "musicnn": (96, 126)}


@pytest.mark.parametrize(
    ("n_samples", "n_candidates"), [(661794, 63), (661504, 63), (660000, 63), (675808, 64), (20505, 1), (20504, 0), (0, 0)]
)
def test_candidate_chunks_of_gtzan_tracks(n_samples: int, n_candidates: int) -> None:
    assert PRESETS["paper"].n_candidate_chunks(n_samples) == n_candidates


def test_fifteen_chunks_need_seven_and_a_half_seconds() -> None:
    assert PRESETS["paper"].min_seconds(15) == pytest.approx(7.44, abs=0.005)


@given(n_samples=st.integers(0, 2_000_000), preset=st.sampled_from(sorted(PRESETS)))
def test_the_last_candidate_lies_inside_the_track_and_the_next_would_not(n_samples: int, preset: str) -> None:
    spec = PRESETS[preset]
    n_candidates = spec.n_candidate_chunks(n_samples)
    if n_candidates:
        assert (n_candidates - 1) * spec.chunk_step + spec.chunk_samples <= n_samples
    assert n_candidates * spec.chunk_step + spec.chunk_samples > n_samples


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_json_round_trip(preset: str) -> None:
    assert LogMelSpec.from_dict(json.loads(json.dumps(PRESETS[preset].to_dict()))) == PRESETS[preset]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hop_length": 0}, "hop_length must be a positive integer, got 0"),
        ({"n_mels": 80.0}, "n_mels must be a positive integer, got 80.0"),
        ({"mel_scale": "bark"}, "mel_scale must be one of htk, slaney, got 'bark'"),
        ({"log_offset": 0.0}, "log_offset must be positive"),
        ({"win_length": 4096}, "win_length must be at most n_fft"),
        ({"fmax_hz": 12000.0}, "half the sample rate"),
        ({"fmin_hz": 11025.0}, "fmin_hz < fmax_hz"),
        ({"frame_fill": "none"}, "has 41 frames, fewer than n_frames=80"),
        ({"centered": False, "chunk_samples": 100}, "at least one frame"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(PRESETS["paper"], **changes)  # type: ignore[arg-type]


def test_unknown_and_missing_keys_are_named() -> None:
    values = PRESETS["paper"].to_dict() | {"colour": 1}
    del values["power"]
    with pytest.raises(ValueError, match="missing: power, unknown: colour"):
        LogMelSpec.from_dict(values)
