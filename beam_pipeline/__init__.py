"""Tracks to TFRecords of log-mel spectrograms, with Apache Beam."""

from typing import TYPE_CHECKING

from tfrecords.command_line.lazy import lazily

if TYPE_CHECKING:
    from beam_pipeline.options import BuildOptions
    from beam_pipeline.plan import Plan
    from beam_pipeline.run import build_dataset
    from beam_pipeline.track import Track
    from beam_pipeline.transform import BuildDataset

    __version__: str

__all__ = ["BuildDataset", "BuildOptions", "Plan", "Track", "__version__", "build_dataset"]
__getattr__ = lazily(
    __name__,
    {
        "BuildDataset": "transform.BuildDataset",
        "BuildOptions": "options.BuildOptions",
        "Plan": "plan.Plan",
        "Track": "track.Track",
        "build_dataset": "run.build_dataset",
    },
)
