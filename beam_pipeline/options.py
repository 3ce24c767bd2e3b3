"""What a run of the pipeline is asked to do."""

import os
import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

from tfrecords.dataset.manifest import UNKNOWN_LICENSE

Duplicates = Literal["group", "drop", "fail"]


@dataclass(frozen=True, kw_only=True)
class MaxRejected:
    """How many tracks a run may leave out: a number of tracks, or a share of them and then at least one."""

    tracks: int | None = None
    share: Fraction = Fraction(1, 100)

    @classmethod
    def parse(cls, text: str) -> "MaxRejected":
        """Reads "5" (tracks) or "2%" (of the tracks).

        Raises:
            ValueError: If the text is neither.
        """
        if text.isdecimal():
            return cls(tracks=int(text))
        if re.fullmatch(r"\d+(\.\d+)?%", text) and Fraction(text[:-1]) <= 100:
            return cls(share=Fraction(text[:-1]) / 100)
        raise ValueError(f"expected a number of tracks such as 5 or a share of them such as 2%, got {text!r}")

    def of(self, n_tracks: int) -> int:
        """The number of tracks that may be left out of `n_tracks`."""
        return self.tracks if self.tracks is not None else max(1, int(self.share * n_tracks))


def take_paths(options: Any, *names: str) -> None:
    """Makes text of those of a dataclass' fields that are a `Path`."""
    for name in names:
        if (value := getattr(options, name)) is not None:
            object.__setattr__(options, name, os.fspath(value))


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """Options of one run. Where a path or a URL is asked for, a `Path` is taken too.

    Attributes:
        input: Folder of the corpus, or that the paths of `tracks` are relative to; a path or a URL.
        genre_level: Which folders below `input` are the genres: 1 for those in it, 2 for those in these; None for 1 where nothing
            speaks against it.
        tracks: Catalogue of the tracks, a CSV file; None for all that lie in the input folder.
        output: Folder of the dataset, a path or a URL.
        preset: Name of the spec, a key of PRESETS.
        split: Split scheme; None for the splits that the catalogue gives, or else "stratified".
        test_fraction: Share of a genre's tracks in the test split, for split "stratified".
        validation_fraction: Share of a genre's train tracks that become the validation split; 0 for none.
        chunks_per_track: How many chunks are drawn of each track.
        min_chunks: A track that has fewer, but so many, gives them all; None for none but `chunks_per_track`.
        augment: Name of what is drawn of each train track besides, a key of AUGMENTATIONS; None for nothing.
        license: Of the audio, an SPDX identifier or a text, for the dataset's card.
        seed: Of split, chunk draw and record order.
        num_shards: Shards per split; None chooses from the size.
        workers: Worker processes of the local runner; with 0 this process does the work, and a file that crashes the decoder
            crashes it.
        track_timeout: A track at which a worker process is for so long, in seconds, is rejected.
        duplicates: What is done with equal audio: "group", "drop" or "fail".
        overwrite: Whether a dataset in `output` is replaced, once the new one is whole.
        keep_features: Whether the features of the tracks are kept, for the next run.
        features: Folder that they are kept in; None for one in the output folder, which holds those of its dataset alone. Behind
            a URL they are kept only where this names a folder.
        max_rejected: How many tracks may be left out before the run fails.
        runner: Name of the Beam runner.
        no_wait: Whether the run goes on without this process, on a runner that can.
        beam_args: Further command line arguments, for Beam's PipelineOptions.
        own_options: Names of the command line's own options, to tell what was meant.
        verbose: Whether Beam's own messages are shown.
    """

    input: str
    output: str
    preset: str = "paper"
    genre_level: int | None = None
    tracks: str | None = None
    split: str | None = None
    test_fraction: float = 0.25
    validation_fraction: float = 0.0
    chunks_per_track: int = 15
    min_chunks: int | None = None
    augment: str | None = None
    license: str = UNKNOWN_LICENSE
    seed: int = 0
    num_shards: int | None = None
    workers: int = 1
    track_timeout: float = 600.0
    duplicates: Duplicates = "group"
    overwrite: bool = False
    keep_features: bool = True
    features: str | None = None
    max_rejected: MaxRejected = field(default_factory=MaxRejected)
    runner: str = "DirectRunner"
    no_wait: bool = False
    beam_args: tuple[str, ...] = ()
    own_options: tuple[str, ...] = ()
    verbose: bool = False

    def __post_init__(self) -> None:
        """Takes paths of both kinds."""
        take_paths(self, "input", "output", "tracks", "features")
