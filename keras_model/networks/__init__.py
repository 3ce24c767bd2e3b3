"""The networks, one module each, in Keras' functional API."""
