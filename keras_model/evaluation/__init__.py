"""Votes over a track's chunks, and the accuracies of a network on a split."""
