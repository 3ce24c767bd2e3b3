"""Which of a track's candidate chunks are drawn."""

from tfrecords.dataset.stable_hash import chunk_rank
from tfrecords.front_end.log_mel_spec import LogMelSpec


class TooShortError(ValueError):
    """A track that has fewer candidate chunks than asked for.

    Attributes:
        kind: The reason in two words, for counting.
    """

    kind = "too short"


def draw_chunks(
    n_samples: int,
    *,
    track_id: str,
    n_chunks: int,
    seed: int,
    spec: LogMelSpec,
    min_chunks: int | None = None,
    deformation: str = "",
) -> list[int]:
    """Draws chunks of a track without replacement: those whose hash of (seed, track id, deformation, candidate) ranks first.

    Args:
        n_samples: Length of the track's waveform, or of the deformed one.
        track_id: The draw depends on it, on the deformation and on the seed alone.
        n_chunks: How many to draw.
        seed: Another seed draws other chunks.
        spec: Gives length and distance of the candidates; candidate i starts at sample i · chunk_step.
        min_chunks: A track that has fewer candidates than `n_chunks`, but so many, gives them all; None for `n_chunks`.
        deformation: Name of the deformation; empty for the track as it is.

    Returns:
        The numbers of the drawn candidates, ascending.

    Raises:
        TooShortError: If the track has too few candidates.
    """
    least = n_chunks if min_chunks is None else min_chunks
    n_candidates = spec.n_candidate_chunks(n_samples)
    if n_candidates < least:
        held = f"{n_samples / spec.sample_rate:.2f} s" + (f" as {deformation}" if deformation else "")
        raise TooShortError(
            f"too short: {held} hold {n_candidates} candidate chunks of the {least} asked for, "
            f"which need {spec.min_seconds(least):.2f} s; --min-chunks takes shorter ones"
        )
    ranked = sorted(range(n_candidates), key=lambda candidate: chunk_rank(seed, track_id, candidate, deformation))
    return sorted(ranked[:n_chunks])
