"""What other tools read of a dataset, derived from `dataset.json`: TensorFlow Datasets, the Hugging Face Hub, Croissant."""

from tfrecords.cards.derived_files import derived_files, digest_of, stated_digest
from tfrecords.cards.track_tally import TrackTally

__all__ = ["TrackTally", "derived_files", "digest_of", "stated_digest"]
