"""Which tracks there are: in folders, in a catalogue, in GTZAN's archive, in the demo corpus."""
