"""Records to shards, and the last step of a run, which publishes the dataset."""
