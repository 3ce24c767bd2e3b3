"""The errors that command lines turn into one line and exit status 2."""


class UsageError(ValueError):
    """What was asked for cannot be done as asked; the message is one line, meant for the user."""
