"""Which split a track belongs to, decided before anything is cut: chunks of one track never lie in two splits."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from beam_pipeline.corpora.index import Corpus
from beam_pipeline.splits.published import LISTED_SCHEMES, check_listed, split_list
from beam_pipeline.splits.repetitions import group_repetitions, looks_like_gtzan, repeated_in_later_split, repetitions
from beam_pipeline.track import Track
from tfrecords.errors import UsageError
from tfrecords.gtzan import TRACK_IDS
from tfrecords.manifest import SPLITS
from tfrecords.stratification import choose_share, deal_folds

# The scheme of a catalogue that gives the splits itself.
CATALOGUE_SCHEME = "catalogue"
_FOLD = re.compile(r"kfold-(?P<number>[1-9]\d{0,3})/(?P<n_folds>[1-9]\d{0,3})", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class SplitAssignment:
    """What is done with each track of a corpus.

    Attributes:
        scheme: Name of the scheme, for instance "stratified".
        tracks: The tracks that are used, in the order of their ids, with the groups that were kept together.
        split_of: "train", "validation" or "test" by id of a used track.
        left_out: Why the others are not used, by track id.
        notes: Lines for the user.
    """

    scheme: str
    tracks: tuple[Track, ...]
    split_of: Mapping[str, str]
    left_out: Mapping[str, str]
    notes: tuple[str, ...]

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that there are: train, test and, where it was asked for or is listed, validation."""
        return SPLITS if "validation" in self.split_of.values() else ("train", "test")


def check_scheme(scheme: str) -> str:
    """Returns the name of a scheme.

    Raises:
        UsageError: If there is no scheme of this name.
    """
    fold = _FOLD.fullmatch(scheme)
    if not fold and scheme not in ("stratified", *LISTED_SCHEMES):
        raise UsageError(f"expected a split of stratified, {', '.join(LISTED_SCHEMES)} or kfold-K/N, got {scheme!r}")
    if fold and not 1 < int(fold["n_folds"]) >= int(fold["number"]):
        raise UsageError(f"expected kfold-K/N with two folds and more, and K from 1 to N, got {scheme!r}")
    return scheme


def assign_splits(
    corpus: Corpus, *, scheme: str | None, seed: int, test_fraction: float, validation_fraction: float = 0.0
) -> SplitAssignment:
    """Decides each track's split.

    Args:
        corpus: The tracks.
        scheme: Name of the scheme; None for the splits that a catalogue gives, or else "stratified".
        seed: Another seed gives other computed splits.
        test_fraction: Share of each genre's tracks that are tested on, for "stratified".
        validation_fraction: Share of each genre's train tracks that become the validation split; 0 for none.

    Raises:
        UsageError: If the scheme does not fit the corpus or the other arguments, or a genre would be missing in a split.
    """
    if not 0 <= validation_fraction < 1:
        raise UsageError(f"the validation fraction must be at least 0 and below 1, got {validation_fraction}")
    if scheme is not None:
        check_scheme(scheme)
    if corpus.given_splits is not None:
        if scheme is not None:
            raise UsageError(f"the catalogue gives each track's split; {scheme!r} cannot be asked for as well")
        assignment = _given(corpus, corpus.given_splits)
    elif scheme in LISTED_SCHEMES:
        assignment = _listed(corpus, scheme)
    else:
        assignment = _computed(corpus, scheme or "stratified", seed=seed, test_fraction=test_fraction)
    _check_genres(assignment, corpus.genres)
    if not validation_fraction:
        return assignment
    if "validation" in assignment.splits:
        raise UsageError(f"split {assignment.scheme!r} has a validation split of its own: no fraction can be taken for one")
    assignment = _with_validation(assignment, fraction=validation_fraction, seed=seed)
    if assignment.scheme in LISTED_SCHEMES and not corpus.info.synthetic:
        assignment = _without_repetitions(assignment)
    _check_genres(assignment, corpus.genres, splits=SPLITS)
    return assignment


def _check_genres(assignment: SplitAssignment, genres: tuple[str, ...], *, splits: tuple[str, ...] = ("train", "test")) -> None:
    present = {(track.genre, assignment.split_of[track.track_id]) for track in assignment.tracks}
    for split in splits:
        if lost := [genre for genre in genres if (genre, split) not in present]:
            raise UsageError(
                f"split {assignment.scheme!r} puts no track of genre {lost[0]!r} into {split}: there are too few tracks of it, "
                "or they lie in too few groups"
            )


def _given(corpus: Corpus, given: Mapping[str, str]) -> SplitAssignment:
    """The splits of a catalogue, as they are."""
    if looks_like_gtzan(corpus) and (repeated := list(repeated_in_later_split(given))):
        track_id, other = repeated[0]
        raise UsageError(
            f"{len(repeated)} track(s) of the catalogue exactly repeat one of a split that judges them, for instance "
            f"{track_id!r} ({given[track_id]}) repeats {other!r} ({given[other]}); leave them out"
        )
    return SplitAssignment(scheme=CATALOGUE_SCHEME, tracks=corpus.tracks, split_of=given, left_out={}, notes=())


def _listed(corpus: Corpus, scheme: str) -> SplitAssignment:
    listed = split_list(scheme)
    notes = check_listed(corpus, scheme, listed.split_of)
    if listed.group_of:
        tracks = tuple(track._replace(group=listed.group_of.get(track.track_id)) for track in corpus.tracks)
    else:
        tracks = corpus.tracks if corpus.info.synthetic else group_repetitions(corpus.tracks)
    left_out = {
        track.track_id: listed.unlisted if track.track_id in TRACK_IDS else "is none of GTZAN's thousand tracks"
        for track in tracks
        if track.track_id not in listed.split_of
    }
    used = tuple(track for track in tracks if track.track_id not in left_out)
    assignment = SplitAssignment(
        scheme=scheme,
        tracks=used,
        split_of={track.track_id: listed.split_of[track.track_id] for track in used},
        left_out=left_out,
        notes=notes,
    )
    return assignment if corpus.info.synthetic else _without_repetitions(assignment)


def _computed(corpus: Corpus, scheme: str, *, seed: int, test_fraction: float) -> SplitAssignment:
    tracks = corpus.tracks
    notes: tuple[str, ...] = ()
    if looks_like_gtzan(corpus):
        tracks = group_repetitions(tracks)
        notes = (f"this is GTZAN: each of its {len(repetitions())} sets of exact repetitions is kept in one split",)
    if fold := _FOLD.fullmatch(scheme):
        test = _fold(tracks, number=int(fold["number"]), n_folds=int(fold["n_folds"]), seed=seed)
    elif 0 < test_fraction < 1:
        test = choose_share(tracks, share=test_fraction, seed=seed, purpose="split")
    else:
        raise UsageError(f"the test fraction must lie between 0 and 1, got {test_fraction}")
    split_of = {track.track_id: "test" if track.track_id in test else "train" for track in tracks}
    return SplitAssignment(scheme=scheme, tracks=tracks, split_of=split_of, left_out={}, notes=notes)


def _fold(tracks: tuple[Track, ...], *, number: int, n_folds: int, seed: int) -> set[str]:
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


def _with_validation(assignment: SplitAssignment, *, fraction: float, seed: int) -> SplitAssignment:
    train = [track for track in assignment.tracks if assignment.split_of[track.track_id] == "train"]
    validation = choose_share(train, share=fraction, seed=seed, purpose="validation")
    return replace(assignment, split_of={**assignment.split_of, **dict.fromkeys(validation, "validation")})


def _without_repetitions(assignment: SplitAssignment) -> SplitAssignment:
    """Leaves out what is known to repeat a track that it is judged by."""
    reasons = {
        track_id: f"repeats {other!r} of the {assignment.split_of[other]} split exactly"
        for track_id, other in repeated_in_later_split(assignment.split_of)
    }
    return replace(
        assignment,
        tracks=tuple(track for track in assignment.tracks if track.track_id not in reasons),
        split_of={track_id: split for track_id, split in assignment.split_of.items() if track_id not in reasons},
        left_out={**assignment.left_out, **reasons},
    )
