"""Tracks to TFRecords of log-mel spectrograms, with Apache Beam."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from beam_pipeline.options import BuildOptions
    from beam_pipeline.plan import Plan
    from beam_pipeline.run import build_dataset
    from beam_pipeline.track import Track
    from beam_pipeline.transform import BuildDataset

__all__ = ["BuildDataset", "BuildOptions", "Plan", "Track", "build_dataset"]
_MODULES = {"BuildDataset": "transform", "BuildOptions": "options", "Plan": "plan", "Track": "track", "build_dataset": "run"}


def __getattr__(name: str) -> Any:
    """Loads a public name when it is asked for: Beam takes a second to load, and the workers' processes do without it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
