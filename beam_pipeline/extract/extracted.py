"""What crosses between the stages of a run of each track: small, for it is kept until equal audio has been found."""

from typing import NamedTuple

from beam_pipeline.track import Track


class Drawn(NamedTuple):
    """Chunks that were drawn of a track as it is, or of all deformations of it.

    Attributes:
        key: Of their features; empty where none are kept.
        candidates: Numbers of the candidates, by the name of the deformation; that of the track as it is is empty.
        log_mels: The frames that were computed of their log-mels, float32, one after the other in that order; empty where the
            workers find them by the key.
    """

    key: str
    candidates: dict[str, list[int]]
    log_mels: bytes


class Refusal(NamedTuple):
    """Why a track cannot be used: in two words, for counting, and in a sentence."""

    kind: str
    reason: str


class Extracted(NamedTuple):
    """What became of a track.

    Attributes:
        track: The track.
        n_samples: Length of its waveform, at the spec's sample rate.
        announced_samples: How long it would be by its file's header, if that was cut off.
        audio_blake3: Digest of it; empty for a track that cannot be used.
        drawn: What was drawn of it.
        refusal: Why it cannot be used; None for one that can.
    """

    track: Track
    n_samples: int = 0
    announced_samples: int | None = None
    audio_blake3: str = ""
    drawn: tuple[Drawn, ...] = ()
    refusal: Refusal | None = None


class Done(NamedTuple):
    """An extracted track; and what was done, for Beam's counters, with which versions of the libraries, as JSON."""

    extracted: Extracted
    counts: dict[str, int]
    libraries: str
