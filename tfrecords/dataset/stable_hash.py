"""The one source of pseudo-random choice in the pipeline: a hash of what is chosen, whatever the order, worker or machine."""

import hashlib
import json
from functools import lru_cache
from typing import Any


def stable_hash(purpose: str, *key: str | int) -> bytes:
    """The SHA-256 of a purpose and a key, 32 bytes.

    Ranking candidates by it draws without replacement. The purpose keeps draws independent of each other: without it the
    chunks that were drawn for their small hashes would also all be placed first.

    Args:
        purpose: What is decided, for instance "split".
        *key: The seed and what it is decided for. Encoded as JSON, so that no two keys read the same.
    """
    return hashlib.sha256(json.dumps([purpose, *key]).encode("ascii")).digest()


def record_order(seed: int, track_id: str, chunk_index: int, deformation: str = "") -> bytes:
    """The place of a record among those of its split: they lie in ascending order of this."""
    return _of_chunk("order", seed, track_id, deformation, chunk_index)


def chunk_rank(seed: int, track_id: str, chunk_index: int, deformation: str = "") -> bytes:
    """The rank of a candidate chunk: the first ones of a track, or of a deformation of it, are drawn."""
    return _of_chunk("chunk", seed, track_id, deformation, chunk_index)


def _of_chunk(purpose: str, seed: int, track_id: str, deformation: str, chunk_index: int) -> bytes:
    """`stable_hash` of all that, in a third of the time where the chunks of a track come one after the other."""
    # A track as it is has the key that it had before there were deformations: published datasets depend on it.
    whole = _begun(purpose, seed, track_id, *((deformation,) if deformation else ())).copy()
    whole.update(b", %d]" % chunk_index)
    return whole.digest()


@lru_cache(maxsize=64)
def _begun(*key: str | int) -> Any:
    return hashlib.sha256(json.dumps(key).removesuffix("]").encode("ascii"))


def shard_index(order: bytes, *, n_shards: int) -> int:
    """Which of a split's shards holds the record whose place is `order`: shards are equal ranges of places."""
    return int.from_bytes(order[:8], "big") * n_shards >> 64
