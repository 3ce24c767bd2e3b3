"""Which split a track belongs to, decided before anything is cut: chunks of one track never lie in two splits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from beam_pipeline.corpora.index import Corpus
from beam_pipeline.splits.computed import STRATIFIED, ComputedSplit, check_fold, check_genres, with_validation
from beam_pipeline.splits.published import LISTED_SCHEMES, check_listed, split_list
from beam_pipeline.splits.repetitions import group_repetitions, looks_like_gtzan, repeated_in_later_split, repetitions
from beam_pipeline.track import Track
from tfrecords.dataset.gtzan import TRACK_IDS
from tfrecords.dataset.manifest import SPLITS
from tfrecords.errors import UsageError

# The scheme of a catalogue that gives the splits itself.
CATALOGUE_SCHEME = "catalogue"


@dataclass(frozen=True, kw_only=True)
class SplitAssignment:
    """What is done with each track of a corpus.

    Attributes:
        scheme: Name of the scheme, for instance "stratified".
        tracks: The tracks that are used, in the order of their ids, with the groups that were kept together.
        split_of: "train", "validation" or "test" by id of a used track.
        left_out: Why the others are not used, by track id.
        notes: Lines for the user.
        rule: What the splits follow from; None where a catalogue or a list gives them.
    """

    scheme: str
    tracks: tuple[Track, ...]
    split_of: Mapping[str, str]
    left_out: Mapping[str, str]
    notes: tuple[str, ...]
    rule: ComputedSplit | None = None

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that there are: train, test and, where it was asked for or is listed, validation."""
        return SPLITS if "validation" in self.split_of.values() else ("train", "test")


def check_scheme(scheme: str) -> str:
    """Returns the name of a scheme.

    Raises:
        UsageError: If there is no scheme of this name.
    """
    if not check_fold(scheme) and scheme not in (STRATIFIED, *LISTED_SCHEMES):
        raise UsageError(f"expected a split of stratified, {', '.join(LISTED_SCHEMES)} or kfold-K/N, got {scheme!r}")
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
        fractions = {"test_fraction": test_fraction, "validation_fraction": validation_fraction}
        return _computed(corpus, ComputedSplit(scheme=scheme or STRATIFIED, seed=seed, **fractions))
    check_genres(assignment.scheme, assignment.tracks, assignment.split_of, genres=corpus.genres)
    if not validation_fraction:
        return assignment
    if "validation" in assignment.splits:
        raise UsageError(f"split {assignment.scheme!r} has a validation split of its own: no fraction can be taken for one")
    split_of = with_validation(
        assignment.tracks, assignment.split_of, scheme=assignment.scheme, fraction=validation_fraction, seed=seed
    )
    assignment = replace(assignment, split_of=split_of)
    if assignment.scheme in LISTED_SCHEMES and not corpus.info.synthetic:
        assignment = _without_repetitions(assignment)
        check_genres(assignment.scheme, assignment.tracks, assignment.split_of, genres=corpus.genres, splits=SPLITS)
    return assignment


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


def _computed(corpus: Corpus, rule: ComputedSplit) -> SplitAssignment:
    tracks = corpus.tracks
    notes: tuple[str, ...] = ()
    if looks_like_gtzan(corpus):
        tracks = group_repetitions(tracks)
        notes = (f"this is GTZAN: each of its {len(repetitions())} sets of exact repetitions is kept in one split",)
    split_of = rule.split_of(tracks)
    return SplitAssignment(scheme=rule.scheme, tracks=tracks, split_of=split_of, left_out={}, notes=notes, rule=rule)


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
