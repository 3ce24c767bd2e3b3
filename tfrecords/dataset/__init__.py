"""What a dataset says of itself: `dataset.json`, the list of tracks, which of them belong together, and their folds."""
