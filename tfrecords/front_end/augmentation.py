"""Augmentations: which deformations of the train tracks a dataset holds beside the tracks themselves."""

import re
from dataclasses import dataclass
from fractions import Fraction

# Only what a network is trained on is augmented: what it is tested on stays as it was recorded.
AUGMENTED_SPLIT = "train"

_NAME = re.compile(r"[a-z0-9.+-]{1,40}")
_RATES = (0.01, 100.0)
_MOST_SEMITONES = 60


@dataclass(frozen=True, kw_only=True)
class Deformation:
    """A change of a track's tempo or pitch.

    Attributes:
        name: What records call it; never empty, for an empty name stands for no deformation.
        rate: Factor of the tempo: 0.5 is half as fast, and twice as long.
        semitones: By how much the pitch is raised.

    Raises:
        ValueError: If a value is out of range.
    """

    name: str
    rate: float = 1.0
    semitones: int = 0

    def __post_init__(self) -> None:
        low, high = _RATES
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"the name of a deformation must match {_NAME.pattern}, got {self.name[:80]!r}")
        if not low <= self.rate <= high:
            raise ValueError(f"rate of {self.name} must lie in {low} to {high}, got {self.rate!r}")
        if abs(self.semitones) > _MOST_SEMITONES:
            raise ValueError(f"semitones of {self.name} must lie within ±{_MOST_SEMITONES}, got {self.semitones}")

    def n_samples(self, n_samples: int) -> int:
        """Length of a waveform of `n_samples` samples once it is deformed."""
        return round(n_samples / Fraction(self.rate))


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Several deformations of each train track, and some chunks of each.

    Attributes:
        name: What `--augment` calls it.
        deformations: With names of their own.
        chunks_per_deformation: How many chunks are drawn of each deformation of a track.

    Raises:
        ValueError: If there is no deformation, two have one name, or no chunk is to be drawn.
    """

    name: str
    deformations: tuple[Deformation, ...]
    chunks_per_deformation: int

    def __post_init__(self) -> None:
        if not self.deformations or len(set(self.names)) < len(self.names):
            raise ValueError(f"the deformations of {self.name[:80]!r} must be at least one, and have names of their own")
        if self.chunks_per_deformation < 1:
            raise ValueError(f"chunks_per_deformation must be a positive integer, got {self.chunks_per_deformation}")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the deformations."""
        return tuple(deformation.name for deformation in self.deformations)

    @property
    def n_chunks(self) -> int:
        """Chunks of one track, over all deformations."""
        return len(self.deformations) * self.chunks_per_deformation


def augmentation_of(split: str, augmentation: Augmentation | None) -> Augmentation | None:
    """What a dataset's augmentation means for the tracks of one of its splits; None for nothing."""
    return augmentation if split == AUGMENTED_SPLIT else None


def records_per_track(split: str, *, chunks_per_track: int, augmentation: Augmentation | None) -> int:
    """How many records each track of a split has, those of its deformations included."""
    augmented = augmentation_of(split, augmentation)
    return chunks_per_track + (augmented.n_chunks if augmented else 0)


AUGMENTATIONS: dict[str, Augmentation] = {
    # The factors and the three chunks of Schindler, Lidy and Rauber (2016): "time stretching was applied using the
    # multiplication factors 0.5, 0.2 for slowing down and 1.2, 1.5 for increasing the tempo"; the pitch was lowered and raised
    # by 2 and 5 semitones.
    "stretch-pitch": Augmentation(
        name="stretch-pitch",
        deformations=(
            *(Deformation(name=f"stretch-{rate}", rate=rate) for rate in (0.2, 0.5, 1.2, 1.5)),
            *(Deformation(name=f"pitch{semitones:+d}", semitones=semitones) for semitones in (-5, -2, 2, 5)),
        ),
        chunks_per_deformation=3,
    ),
}
