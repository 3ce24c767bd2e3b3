"""The networks, one module each, in Keras' functional API, and the convolution that they share."""
