"""The pipeline: a folder of tracks to a dataset of TFRecords, on any Beam runner."""
