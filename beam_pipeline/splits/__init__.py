"""Which split each track belongs to, computed or published."""
