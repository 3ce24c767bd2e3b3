"""How training batches are augmented: the settings, checked before TensorFlow is loaded."""

import math
from dataclasses import dataclass

from tfrecords.errors import UsageError
from tfrecords.front_end.log_mel_spec import LogMelSpec


@dataclass(frozen=True, kw_only=True)
class SpecMasks:
    """Masks over mel bands and over frames, as in SpecAugment (Park et al. 2019, https://arxiv.org/abs/1904.08779).

    The defaults are its policy LB for 80 bands, with the bound p = 0.2 on a frame mask's share that its policies for
    Switchboard have: LB's 100 frames are 1 s, longer than a chunk.

    Attributes:
        max_bands: Widest band mask, in mel bands (F); a mask's width is uniform from 0 to this.
        max_frame_share: Widest frame mask, as a share of the computed frames (p).
        n_band_masks: Band masks of each sample.
        n_frame_masks: Frame masks of each sample.

    Raises:
        UsageError: If a value is out of range.
    """

    max_bands: int = 27
    max_frame_share: float = 0.2
    n_band_masks: int = 1
    n_frame_masks: int = 1

    def __post_init__(self) -> None:
        for name in ("max_bands", "n_band_masks", "n_frame_masks"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be a positive integer, got {getattr(self, name)!r}")
        if not 0 < self.max_frame_share < 1:
            raise UsageError(f"max_frame_share must be between 0 and 1, both excluded, got {self.max_frame_share!r}")

    def max_frames(self, spec: LogMelSpec) -> int:
        """Widest frame mask in log-mels of a spec, in frames (T)."""
        return math.floor(self.max_frame_share * spec.n_kept_frames)


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What is done to each training batch, in this order: random crop, band shift, masks, mixup.

    Crop and shift come before the masks, because they repeat edges and would widen a mask that touches one. Mixup comes last, so
    that it mixes samples that the network could meet by themselves, each with its own masks.

    Attributes:
        masks: SpecAugment's masks; None for none.
        mixup: α of mixup (Zhang et al. 2018, https://arxiv.org/abs/1710.09412); 0 for none.
        band_shift: Mel bands by which a log-mel is shifted up or down at most, as another pitch would; 0 for none.
        random_crop: Frames by which a log-mel is padded at both ends before it is cropped to its size at random; 0 for none.

    Raises:
        UsageError: If a value is out of range, naming the option of `train.py`.
    """

    masks: SpecMasks | None = None
    mixup: float = 0.0
    random_crop: int = 0
    band_shift: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.mixup < math.inf:
            raise UsageError(f"--mixup must be a finite number of at least 0, got {self.mixup!r}")
        for name in ("random_crop", "band_shift"):
            if getattr(self, name) < 0:
                raise UsageError(f"--{name.replace('_', '-')} must be an integer of at least 0, got {getattr(self, name)!r}")

    def __bool__(self) -> bool:
        return self != Augmentation()

    def check(self, spec: LogMelSpec) -> None:
        """Refuses settings that do not fit a dataset's log-mels.

        Raises:
            UsageError: Naming the option, the limit and its reason.
        """
        if self.random_crop >= spec.n_kept_frames:
            raise UsageError(
                f"--random-crop must be less than {spec.n_kept_frames}, the dataset's computed frames, got {self.random_crop}"
            )
        if self.band_shift >= spec.n_mels:
            raise UsageError(f"--band-shift must be less than {spec.n_mels}, the dataset's mel bands, got {self.band_shift}")
        if self.masks is not None and self.masks.max_bands >= spec.n_mels:
            raise UsageError(f"max_bands must be less than {spec.n_mels}, the dataset's mel bands, got {self.masks.max_bands}")
        if self.masks is not None and self.masks.max_frames(spec) < 1:
            raise UsageError(
                f"max_frame_share must make at least one of the dataset's {spec.n_kept_frames} computed frames, "
                f"got {self.masks.max_frame_share}"
            )
