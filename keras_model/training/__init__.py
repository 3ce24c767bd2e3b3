"""Training: batches and their augmentation, steps, checkpoints, devices."""
