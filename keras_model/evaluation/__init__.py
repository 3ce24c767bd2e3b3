"""Votes over a track's chunks, the accuracies of a network on a split, and what they are measured against."""
