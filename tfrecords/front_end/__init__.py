"""How a waveform becomes a log-mel: every number of it, the transform, statistics over many, deformed tracks."""
