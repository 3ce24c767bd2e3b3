"""What all commands share: their names, arguments and messages, and extras that are not installed."""
