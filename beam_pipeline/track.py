"""A track on its way into a dataset."""

from typing import NamedTuple

# Why a track is left out, in two words: the split scheme does not use it, or it repeats another one's audio.
LEFT_OUT = SPLIT_SCHEME, DUPLICATE = "split scheme", "duplicate"


class Track(NamedTuple):
    """One file of a corpus.

    Attributes:
        track_id: "genre.name", as in GTZAN: "blues.00000" for blues/blues.00000.wav as for blues/00000.wav.
        path: Relative to the corpus' root, with slashes; or absolute, or a URL.
        genre: Name of the folder, or the label in a catalogue.
        group: What the track has in common with others, for instance its artist: no computed split parts a group. None for none.
        split: "train", "validation" or "test"; None for a track that is left out, and before it is decided.
        left_out: Why it is left out.
        left_out_kind: Likewise, in two words.
    """

    track_id: str
    path: str
    genre: str
    group: str | None = None
    split: str | None = None
    left_out: str | None = None
    left_out_kind: str = SPLIT_SCHEME

    def described(self) -> dict[str, str | None]:
        """What the lists of a dataset say of it in any case."""
        values = self._asdict()
        return {name: values[name] for name in ("track_id", "path", "genre", "group", "split") if name == "split" or values[name]}
