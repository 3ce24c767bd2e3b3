"""A record, as it is written into shards and read from them."""
