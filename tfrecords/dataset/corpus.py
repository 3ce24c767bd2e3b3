"""What a corpus says of itself: its name, and whether its audio is synthetic."""

import json
from dataclasses import asdict, dataclass
from typing import Self

CORPUS_FILE = "corpus.json"


@dataclass(frozen=True, kw_only=True)
class CorpusInfo:
    """Carried from `corpus.json`, beside the corpus' genre folders, through the dataset into every output made from it.

    Attributes:
        name: How outputs name the corpus.
        synthetic: Whether its audio was generated. Accuracies on it say nothing about music.
    """

    name: str
    synthetic: bool = False

    @property
    def title(self) -> str:
        """The name, with the word SYNTHETIC where it is due; how every output names the corpus."""
        return f"{self.name} (SYNTHETIC)" if self.synthetic else self.name

    def to_json(self) -> str:
        """The text of `corpus.json`."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads `corpus.json`.

        Raises:
            ValueError: If the text is not an object with a string `name` and, optionally, a boolean `synthetic`.
        """
        values = json.loads(text)
        if (
            not isinstance(values, dict)
            or not isinstance(values.get("name"), str)
            or not values["name"].isprintable()
            or not isinstance(values.get("synthetic", False), bool)
            or set(values) - {"name", "synthetic"}
        ):
            raise ValueError(f'{CORPUS_FILE} must read {{"name": "…", "synthetic": true or false}}, got {text[:80]!r}')
        return cls(**values)
