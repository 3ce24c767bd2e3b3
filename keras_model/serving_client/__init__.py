"""Files to genres from a served model, and the two ways to it, REST and gRPC."""
