"""Keras' fit, and what stands around it: augmented batches, callbacks, the backup of each epoch, devices."""
