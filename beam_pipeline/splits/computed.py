"""Splits that follow from a hash: stratified by genre, and never with one group in two."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from beam_pipeline.track import Track
from tfrecords.dataset.manifest import SPLITS
from tfrecords.dataset.stratification import choose_share, deal_folds
from tfrecords.errors import UsageError

STRATIFIED = "stratified"
_FOLD = re.compile(r"kfold-(?P<number>[1-9]\d{0,3})/(?P<n_folds>[1-9]\d{0,3})", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class ComputedSplit:
    """A rule; the splits themselves follow from it and the tracks, in any order.

    Attributes:
        scheme: "stratified", or "kfold-K/N" for fold K of N.
        seed: Another seed gives other splits.
        test_fraction: Share of each genre's tracks that are tested on, for "stratified".
        validation_fraction: Share of each genre's train tracks that become the validation split; 0 for none.

    Raises:
        UsageError: If the test fraction is out of range.
    """

    scheme: str = STRATIFIED
    seed: int = 0
    test_fraction: float = 0.25
    validation_fraction: float = 0.0

    def __post_init__(self) -> None:
        if self.scheme == STRATIFIED and not 0 < self.test_fraction < 1:
            raise UsageError(f"the test fraction must lie between 0 and 1, got {self.test_fraction}")

    def split_of(self, tracks: Sequence[Track]) -> dict[str, str]:
        """The split of each track, by its id.

        Raises:
            UsageError: If a split would lack a genre.
        """
        if fold := _FOLD.fullmatch(self.scheme):
            test = _fold(tracks, number=int(fold["number"]), n_folds=int(fold["n_folds"]), seed=self.seed)
        else:
            test = choose_share(tracks, share=self.test_fraction, seed=self.seed, purpose="split")
        split_of = {track.track_id: "test" if track.track_id in test else "train" for track in tracks}
        check_genres(self.scheme, tracks, split_of, genres=_genres(tracks))
        return with_validation(tracks, split_of, scheme=self.scheme, fraction=self.validation_fraction, seed=self.seed)


def check_fold(scheme: str) -> bool:
    """Whether a scheme is a fold.

    Raises:
        UsageError: If it is one that there cannot be.
    """
    fold = _FOLD.fullmatch(scheme)
    if fold and not 1 < int(fold["n_folds"]) >= int(fold["number"]):
        raise UsageError(f"expected kfold-K/N with two folds and more, and K from 1 to N, got {scheme!r}")
    return fold is not None


def with_validation(
    tracks: Sequence[Track], split_of: Mapping[str, str], *, scheme: str, fraction: float, seed: int
) -> dict[str, str]:
    """Splits by track id, of which a validation split takes a share of each genre's train tracks; 0 for none.

    Raises:
        UsageError: If a split would lack a genre.
    """
    if not fraction:
        return dict(split_of)
    train = [track for track in tracks if split_of[track.track_id] == "train"]
    validation = choose_share(train, share=fraction, seed=seed, purpose="validation")
    changed = {**split_of, **dict.fromkeys(validation, "validation")}
    check_genres(scheme, tracks, changed, genres=_genres(tracks), splits=SPLITS)
    return changed


def _genres(tracks: Sequence[Track]) -> list[str]:
    return sorted({track.genre for track in tracks})


def check_genres(
    scheme: str,
    tracks: Sequence[Track],
    split_of: Mapping[str, str],
    *,
    genres: Sequence[str],
    splits: tuple[str, ...] = ("train", "test"),
) -> None:
    """Raises UsageError if one of the splits holds no track of a genre."""
    present = {(track.genre, split_of[track.track_id]) for track in tracks}
    for split in splits:
        if lost := [genre for genre in genres if (genre, split) not in present]:
            raise UsageError(
                f"split {scheme!r} puts no track of genre {lost[0]!r} into {split}: there are too few tracks of it, "
                "or they lie in too few groups"
            )


def _fold(tracks: Sequence[Track], *, number: int, n_folds: int, seed: int) -> set[str]:
    """The test tracks of one fold.

    Raises:
        UsageError: If one of the folds holds no track of a genre: then no run over all of them would be possible.
    """
    fold_of = deal_folds(tracks, n_folds=n_folds, seed=seed)
    folds_with = defaultdict(set)
    for track in tracks:
        folds_with[track.genre].add(fold_of[track.track_id])
    for genre, folds in sorted(folds_with.items()):
        if len(folds) < n_folds:
            raise UsageError(f"{len(folds)} of {n_folds} folds hold genre {genre!r}: it has too few tracks, or in too few groups")
    return {track_id for track_id, fold in fold_of.items() if fold == number - 1}
