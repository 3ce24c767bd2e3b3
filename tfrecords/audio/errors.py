"""What is wrong with a track."""


class UnusableAudioError(ValueError):
    """A track that no feature can be computed from; the message says why.

    Attributes:
        kind: The reason in a few words that many tracks share, for counting.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
