"""Files to genres with a trained network: decoding, batches across files, results and timelines."""
