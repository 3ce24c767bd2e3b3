"""A track to its records: what is read, decoded, drawn, deformed and transformed, and the features that are kept of it."""
