"""Every number of the front end, in one place: the log-mel specification and its presets."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

MelScale = Literal["htk", "slaney"]
FrameFill = Literal["none", "repeat_last"]
Standardization = Literal["none", "per_band", "per_pixel"]
LogBase = Literal["e", "10"]

_CHOICES: dict[str, tuple[str, ...]] = {
    "mel_scale": get_args(MelScale),
    "frame_fill": get_args(FrameFill),
    "standardization": get_args(Standardization),
    "log_base": get_args(LogBase),
}
_COUNTS = ("sample_rate", "chunk_samples", "chunk_step", "n_fft", "win_length", "hop_length", "n_mels", "n_frames")


@dataclass(frozen=True, kw_only=True)
class LogMelSpec:
    """How a waveform is cut into chunks and a chunk becomes a log-mel spectrogram.

    The defaults are the inputs of George Herbert's paper, which preset `paper` names. A dataset carries its specification in
    `dataset.json`; training, evaluation, prediction and the served model read that one, never these defaults.

    Attributes:
        sample_rate: Samples per second of the waveform, in Hz.
        amplitude_scale: Factor on a waveform in ±1; 32768 gives the sample values of 16-bit PCM.
        chunk_samples: Length of a chunk, in samples.
        chunk_step: Distance between the starts of two neighbouring candidate chunks, in samples.
        n_fft: FFT length, in samples.
        win_length: Length of the periodic Hann window, zero-padded to `n_fft`, in samples.
        hop_length: Distance between two frames, in samples.
        centered: Whether a chunk is padded with `n_fft // 2` zeros at both ends, so that frame t is centred at sample
            t·hop_length.
        power: Exponent of the magnitude spectrum: 1 for magnitude, 2 for power.
        n_mels: Number of mel bands.
        fmin_hz: Lower edge of the lowest band, in Hz.
        fmax_hz: Upper edge of the highest band, in Hz.
        mel_scale: `htk` (2595·log10(1 + f/700)) or `slaney` (linear below 1 kHz).
        mel_norm: Whether each band is divided by half its width in Hz (Slaney's area normalisation).
        log_base: Base of the logarithm, `e` or `10`.
        log_offset: Added to the mel magnitudes before the logarithm.
        n_frames: Frames in a log-mel; frames beyond it are dropped.
        frame_fill: What stands where a chunk has fewer than `n_frames` frames: `repeat_last`, or `none` where it has enough.
        standardization: Which statistics of the train split the model subtracts and divides by: `none`, `per_band` or
            `per_pixel`. Records hold the log-mel itself.

    Raises:
        ValueError: If a value is out of range, or values do not fit together.
    """

    sample_rate: int = 22050
    amplitude_scale: float = 32768.0
    chunk_samples: int = 20505
    chunk_step: int = 10252
    n_fft: int = 2048
    win_length: int = 1024
    hop_length: int = 512
    centered: bool = True
    power: float = 1.0
    n_mels: int = 80
    fmin_hz: float = 0.0
    fmax_hz: float = 11025.0
    mel_scale: MelScale = "htk"
    mel_norm: bool = False
    log_base: LogBase = "e"
    log_offset: float = 1e-6
    n_frames: int = 80
    frame_fill: FrameFill = "repeat_last"
    standardization: Standardization = "none"

    def __post_init__(self) -> None:
        for name in _COUNTS:
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ValueError(f"{name} must be a positive integer, got {value!r}")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}")
        for name in ("amplitude_scale", "power", "log_offset"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)!r}")
        if self.win_length > self.n_fft:
            raise ValueError(f"win_length must be at most n_fft ({self.n_fft}), got {self.win_length}")
        if not 0 <= self.fmin_hz < self.fmax_hz <= self.sample_rate / 2:
            raise ValueError(
                f"fmin_hz and fmax_hz must satisfy 0 <= fmin_hz < fmax_hz <= {self.sample_rate / 2} (half the sample rate), "
                f"got {self.fmin_hz} and {self.fmax_hz}"
            )
        if self.n_real_frames < 1:
            raise ValueError(f"chunk_samples must hold at least one frame of {self.n_fft} samples, got {self.chunk_samples}")
        if self.frame_fill == "none" and self.n_real_frames < self.n_frames:
            raise ValueError(
                f"a chunk of {self.chunk_samples} samples has {self.n_real_frames} frames, fewer than n_frames={self.n_frames}; "
                "choose a longer chunk, a shorter hop_length or frame_fill='repeat_last'"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of a log-mel: (n_mels, n_frames)."""
        return self.n_mels, self.n_frames

    @property
    def n_real_frames(self) -> int:
        """Frames that the STFT of one chunk has, before any is dropped or repeated."""
        padded = self.chunk_samples + (2 * (self.n_fft // 2) if self.centered else 0)
        return 1 + (padded - self.n_fft) // self.hop_length if padded >= self.n_fft else 0

    @property
    def n_kept_frames(self) -> int:
        """Frames of a log-mel that the STFT has computed; those after them repeat the last one."""
        return min(self.n_real_frames, self.n_frames)

    def n_candidate_chunks(self, n_samples: int) -> int:
        """Number of chunks that fit into a waveform of `n_samples` samples, half overlapping by default."""
        return max(0, 1 + (n_samples - self.chunk_samples) // self.chunk_step)

    def min_seconds(self, n_chunks: int) -> float:
        """Shortest duration, in seconds, of a track that has `n_chunks` candidate chunks."""
        return (self.chunk_samples + (n_chunks - 1) * self.chunk_step) / self.sample_rate

    def to_dict(self) -> dict[str, Any]:
        """The values by name, as `dataset.json` holds them."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Reads what `to_dict` wrote.

        Raises:
            ValueError: If a value is missing, unknown or out of range.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        if names != set(values):
            raise ValueError(
                f"a log-mel specification has exactly the keys {', '.join(sorted(names))}; "
                f"missing: {', '.join(sorted(names - set(values))) or 'none'}, "
                f"unknown: {', '.join(sorted(set(values) - names)) or 'none'}"
            )
        return cls(**values)


PRESETS: dict[str, LogMelSpec] = {
    # The inputs that the paper's networks were trained on, reproduced exactly. 20505 samples at hop 512 give 41 frames; the
    # other 39 repeat the last one.
    "paper": LogMelSpec(),
    # Schindler, Lidy and Rauber (2016): 80 real frames of 1024/512 samples at 44100 Hz, which are 512/256 at GTZAN's 22050 Hz.
    "schindler": LogMelSpec(
        n_fft=512,
        win_length=512,
        hop_length=256,
        centered=False,
        chunk_samples=79 * 256 + 512,
        chunk_step=(79 * 256 + 512) // 2,
        log_base="10",
        frame_fill="none",
        standardization="per_pixel",
    ),
    # Finer frequency resolution than `schindler`, at the same frame rate: a chunk has 81 centred frames, the last is dropped.
    "full80": LogMelSpec(
        n_fft=1024,
        win_length=1024,
        hop_length=256,
        chunk_samples=20480,
        chunk_step=10240,
        frame_fill="none",
        standardization="per_band",
    ),
    # What the taggers of Pons and Serra (2019) hear, in chunks of 2 s, two a second. Their log10(10000·x + 1) is this one's
    # logarithm plus 4, a constant that a network takes into the mean of its first batch normalisation.
    "musicnn": LogMelSpec(
        sample_rate=16000,
        amplitude_scale=1.0,
        chunk_samples=32000,
        chunk_step=8000,
        n_fft=512,
        win_length=512,
        hop_length=256,
        power=2.0,
        n_mels=96,
        fmax_hz=8000.0,
        mel_scale="slaney",
        mel_norm=True,
        log_base="10",
        log_offset=1e-4,
        n_frames=126,
        frame_fill="none",
    ),
}
"""The front ends by their names; `docs/presets.md` says where each comes from."""
