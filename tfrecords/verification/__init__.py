"""Recomputing what a dataset claims of itself; `python -m tfrecords.verify` is the command line."""
