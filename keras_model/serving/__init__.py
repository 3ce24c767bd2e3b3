"""What is exported: audio to genres in one graph of stock operations, and the checks and files that go with it."""
