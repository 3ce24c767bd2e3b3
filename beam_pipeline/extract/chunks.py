"""Which of a track's candidate chunks are drawn."""

from tfrecords.log_mel_spec import LogMelSpec
from tfrecords.stable_hash import chunk_rank


class TooShortError(ValueError):
    """A track that has fewer candidate chunks than asked for.

    Attributes:
        kind: The reason in two words, for counting.
    """

    kind = "too short"


def draw_chunks(n_samples: int, *, track_id: str, n_chunks: int, seed: int, spec: LogMelSpec, deformation: str = "") -> list[int]:
    """Draws chunks of a track without replacement: those whose hash of (seed, track id, deformation, candidate) ranks first.

    Args:
        n_samples: Length of the track's waveform, or of the deformed one.
        track_id: The draw depends on it, on the deformation and on the seed alone.
        n_chunks: How many to draw.
        seed: Another seed draws other chunks.
        spec: Gives length and distance of the candidates; candidate i starts at sample i · chunk_step.
        deformation: Name of the deformation; empty for the track as it is.

    Returns:
        The numbers of the drawn candidates, ascending.

    Raises:
        TooShortError: If the track has fewer than `n_chunks` candidates.
    """
    n_candidates = spec.n_candidate_chunks(n_samples)
    if n_candidates < n_chunks:
        held = f"{n_samples / spec.sample_rate:.2f} s" + (f" as {deformation}" if deformation else "")
        raise TooShortError(
            f"too short: {held} hold {n_candidates} candidate chunks of the {n_chunks} asked for, "
            f"which need {spec.min_seconds(n_chunks):.2f} s"
        )
    ranked = sorted(range(n_candidates), key=lambda candidate: chunk_rank(seed, track_id, candidate, deformation))
    return sorted(ranked[:n_chunks])
