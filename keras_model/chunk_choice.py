"""Which candidate chunks of a track are classified, and what is too quiet to be: for prediction and the served graph alike."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import tensorflow as tf

# A waveform in ±1 of which no sample reaches half a step of 16-bit PCM is silent: written as 16 bits, it would be zeros.
SILENCE = 0.5 / 32768


def chosen_chunks(n_candidates: int, n_wanted: int | None = None) -> NDArray[np.int64]:
    """Indices of the candidate chunks that are classified: all, or so many, spread evenly over the track.

    Args:
        n_candidates: Candidate chunks of the track.
        n_wanted: How many are asked for; None for all. A track that has fewer gives all it has.

    Returns:
        (n_chunks,) int64, rising: the middles of n_wanted equal parts of the candidates.

    Raises:
        ValueError: If n_wanted is not positive.
    """
    if n_wanted is not None and n_wanted < 1:
        raise ValueError(f"n_wanted must be a positive integer, got {n_wanted}")
    n_chunks = n_candidates if n_wanted is None else min(n_candidates, n_wanted)
    indices: NDArray[np.int64] = _spread(np.arange(n_chunks, dtype=np.int64), n_candidates, n_chunks)
    return indices


def chosen_chunks_graph(n_candidates: "tf.Tensor", n_wanted: int | None = None) -> "tf.Tensor":
    """The twin of `chosen_chunks` in TensorFlow, for a scalar int64 `n_candidates`."""
    import tensorflow as tf  # prediction asks for the rule before TensorFlow is loaded

    n_chunks = n_candidates if n_wanted is None else tf.minimum(n_candidates, n_wanted)
    return _spread(tf.range(n_chunks, dtype=tf.int64), n_candidates, n_chunks)


def _spread(places: Any, n_candidates: Any, n_chunks: Any) -> Any:
    return ((2 * places + 1) * n_candidates) // (2 * n_chunks)
