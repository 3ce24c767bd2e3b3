"""The client's two ways to a served model, REST and gRPC, and what they share."""
