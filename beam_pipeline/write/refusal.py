"""Runs that end without a dataset, and why: in the words of the worker that says so, whatever the runner makes of its error."""

import json
from collections.abc import Sequence
from typing import Any

from beam_pipeline import storage

_REFUSED = "refused.json"


class BuildError(RuntimeError):
    """The run ended without a dataset; the message says why."""


class RejectedError(BuildError):
    """Too many tracks cannot be used.

    Attributes:
        rejected: The tracks, with their reasons.
    """

    def __init__(self, message: str, rejected: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(message)
        self.rejected = rejected


def note_refusal(staging: str, error: BuildError) -> None:
    """Keeps an error in the staging folder, for whoever waits for the run."""
    refusal = {"message": str(error), "is_rejected": isinstance(error, RejectedError)}
    storage.write(storage.join(staging, _REFUSED), [json.dumps(refusal).encode()])


def noted_refusal(staging: str) -> BuildError | None:
    """The error that a worker has kept; None if it did not come to that. The rejected tracks are not with it."""
    try:
        refusal = json.loads(storage.read(storage.join(staging, _REFUSED)))
    except FileNotFoundError:
        return None
    return (RejectedError if refusal["is_rejected"] else BuildError)(refusal["message"])
