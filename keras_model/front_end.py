"""What a run or an exported model must know of its data to take audio: spec, genres, corpus."""

import json
from dataclasses import asdict, dataclass
from typing import Self

from keras_model.run_folder import FRONT_END_FILE
from tfrecords.corpus import CorpusInfo
from tfrecords.log_mel_spec import LogMelSpec
from tfrecords.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class FrontEnd:
    """The part of a dataset's manifest that a model carries.

    Attributes:
        spec: How audio becomes log-mels.
        genres: In the order of the model's outputs.
        corpus: What it was trained on.
        fingerprint: Of the dataset it was trained on.
    """

    spec: LogMelSpec
    genres: tuple[str, ...]
    corpus: CorpusInfo
    fingerprint: str

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """The front end of a dataset."""
        return cls(spec=manifest.spec, genres=manifest.genres, corpus=manifest.corpus, fingerprint=manifest.fingerprint)

    def to_json(self) -> str:
        """The text of `front_end.json`."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads `front_end.json`.

        Raises:
            ValueError: If something is missing or out of range.
        """
        try:
            values = json.loads(text)
            return cls(
                spec=LogMelSpec.from_dict(values["spec"]),
                genres=tuple(values["genres"]),
                corpus=CorpusInfo(**values["corpus"]),
                fingerprint=values["fingerprint"],
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"{FRONT_END_FILE} is damaged: {error!r}") from error
