"""The networks, one file of stock Keras layers each, and a faster implementation of their first convolutions."""
