"""Measurements of this project on the machine at hand; each is run with `python -m benchmarks.NAME`."""
