"""The contract between the pipeline and the network: what a record is, and how a waveform becomes one.

Used by `beam_pipeline` and by `keras_model`; imports neither, and neither Beam nor TensorFlow when it is imported.
"""

from tfrecords.loading import load_dataset

__all__ = ["load_dataset"]
