"""The one source of pseudo-random choice in the pipeline: a hash of what is chosen, whatever the order, worker or machine."""

import hashlib
import json


def stable_hash(purpose: str, *key: str | int) -> bytes:
    """The SHA-256 of a purpose and a key, 32 bytes.

    Ranking candidates by it draws without replacement. The purpose keeps draws independent of each other: without it the
    chunks that were drawn for their small hashes would also all be placed first.

    Args:
        purpose: What is decided, for instance "split".
        *key: The seed and what it is decided for. Encoded as JSON, so that no two keys read the same.
    """
    return hashlib.sha256(json.dumps([purpose, *key]).encode("ascii")).digest()
