"""The client's two ways to a served model, and what they share."""
