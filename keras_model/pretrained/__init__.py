"""Networks that others have trained on music: their weights as they were published, and the same networks in Keras."""
