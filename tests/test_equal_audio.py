"""Equal audio in a corpus: it is found in one run, and never lies in two splits."""

import shutil
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
import soundfile
from hypothesis import given, reject
from hypothesis import strategies as st

from beam_pipeline.options import Duplicates
from beam_pipeline.plan import Plan
from beam_pipeline.splits.computed import ComputedSplit
from beam_pipeline.splits.equal_audio import decide, repeated
from beam_pipeline.track import DUPLICATE, Track
from beam_pipeline.write.refusal import BuildError
from tests.conftest import SAMPLE_RATE
from tests.helpers import WriteCorpus, build, digests, json_lines, run_main, tracks_of
from tests.tiny_dataset import problems
from tfrecords.errors import UsageError

SPLITS = ("train", "validation", "test")


def plan(duplicates: Duplicates, rule: ComputedSplit | None = None) -> Plan:
    n_shards = dict.fromkeys(SPLITS, 1)
    return Plan(output="out", genres=("a", "b"), duplicates=duplicates, computed_split=rule, n_shards=n_shards)


RULES = [
    None,
    ComputedSplit(),
    ComputedSplit(seed=3, test_fraction=0.5, validation_fraction=0.3),
    *(ComputedSplit(scheme=f"kfold-{number}/3") for number in (1, 2, 3)),
]


@st.composite
def corpora(draw: st.DrawFn) -> list[tuple[int, Track]]:
    """Tracks with splits that were given, and with what they sound like; no group lies in two splits."""
    split_of_group = draw(st.lists(st.sampled_from(SPLITS), min_size=1, max_size=4))
    sounds = draw(st.lists(st.integers(0, 12), min_size=1, max_size=30))
    tracks = []
    for number, sound in enumerate(sounds):
        group = draw(st.none() | st.integers(0, len(split_of_group) - 1))
        split = draw(st.sampled_from(SPLITS)) if group is None else split_of_group[group]
        tracks.append(
            (sound, Track(f"t{number}", f"{number}.wav", "ab"[number % 2], None if group is None else f"g{group}", split))
        )
    return draw(st.permutations(tracks))


def sets_of(corpus: list[tuple[int, Track]]) -> list[list[Track]]:
    by_sound = defaultdict(list)
    for sound, track in corpus:
        by_sound[str(sound)].append(track)
    return [tracks for one in by_sound.items() for tracks in repeated(one)]


def computed(corpus: list[tuple[int, Track]], rule: ComputedSplit | None) -> list[tuple[int, Track]]:
    """The tracks with the splits that they have before anything has been heard."""
    if rule is None:
        return corpus
    split_of = rule.split_of([track for _, track in corpus])
    return [(sound, track._replace(split=split_of[track.track_id])) for sound, track in corpus]


def decided(corpus: list[tuple[int, Track]], one: Plan) -> list[Track]:
    """The tracks as they go into the dataset; an example that cannot be split is none."""
    try:
        corpus = computed(corpus, one.computed_split)
        decisions = decide(sets_of(corpus), [track for _, track in corpus], plan=one)
    except UsageError:
        reject()
    return [decisions.settle(track) for _, track in corpus]


@given(corpora(), st.sampled_from(["group", "drop"]), st.sampled_from(RULES))
def test_no_sound_and_no_group_is_in_two_splits(
    corpus: list[tuple[int, Track]], duplicates: Any, rule: ComputedSplit | None
) -> None:
    settled = decided(corpus, plan(duplicates, rule))
    used = [(sound, track) for (sound, _), track in zip(corpus, settled, strict=True) if track.split is not None]
    groups = {(track.group, track.split) for _, track in used if track.group}
    for places in ({(sound, track.split) for sound, track in used}, groups):
        assert max(Counter(name for name, _ in places).values(), default=0) <= 1
    assert {sound for sound, _ in used} == {sound for sound, _ in corpus}, "nothing that is there once is lost"
    assert all(track.left_out_kind == DUPLICATE for track in settled if track.split is None)
    if duplicates == "drop":
        assert len(used) == len({sound for sound, _ in corpus})
    elif rule:
        assert len(used) == len(corpus)
    if rule is None:
        assert all(after.split in (before.split, None) for (_, before), after in zip(corpus, settled, strict=True))


@given(corpora(), st.sampled_from(["group", "drop"]), st.sampled_from(RULES), st.randoms())
def test_the_order_plays_no_part(
    corpus: list[tuple[int, Track]], duplicates: Any, rule: ComputedSplit | None, random: Any
) -> None:
    shuffled = random.sample(corpus, len(corpus))
    one, other = (sorted(decided(tracks, plan(duplicates, rule))) for tracks in (corpus, shuffled))
    assert one == other


@given(corpora(), st.sampled_from(["group", "drop"]))
def test_each_track_that_is_used_is_tested_in_one_fold(corpus: list[tuple[int, Track]], duplicates: Any) -> None:
    folds = [decided(corpus, plan(duplicates, ComputedSplit(scheme=f"kfold-{number}/2"))) for number in (1, 2)]
    tested = Counter(track.track_id for fold in folds for track in fold if track.split == "test")
    assert tested == dict.fromkeys((track.track_id for track in folds[0] if track.split), 1)


def test_what_is_there_a_thousand_times_leaves_each_genre_split_as_asked_for() -> None:
    """Of 1200 tracks in each genre 1000 are one recording: dropped, the rest is split as if it were alone."""
    corpus = [
        (number if number >= 1000 else 0, Track(f"{genre}.{number}", "", genre)) for genre in "ab" for number in range(1200)
    ]
    corpus = [(sound + 5000 * (track.genre == "b"), track) for sound, track in corpus]
    for duplicates, shares in (("drop", {50}), ("group", {200})):
        tracks = decided(corpus, plan(duplicates, ComputedSplit()))  # type: ignore[arg-type]
        n_test = Counter(track.genre for track in tracks if track.split == "test")
        assert set(n_test.values()) == shares


@pytest.fixture
def doubled(write_corpus: WriteCorpus) -> Path:
    """Of eight tracks in each genre, hum.00001 to 4 are one, in three kinds of files; noise.00001 is there as ticks too."""
    corpus = write_corpus(n_tracks=8) / "genres"
    samples, _ = soundfile.read(corpus / "hum" / "hum.00001.wav", dtype="int16")
    for number, ending, subtype in ((2, "flac", None), (3, "aiff", None), (4, "wav", "PCM_24")):
        (corpus / "hum" / f"hum.{number:05d}.wav").unlink()
        soundfile.write(corpus / "hum" / f"hum.{number:05d}.{ending}", samples, SAMPLE_RATE, subtype=subtype)
    shutil.copy(corpus / "noise" / "noise.00001.wav", corpus / "ticks" / "ticks.00000.wav")
    return corpus.parent


def test_it_is_brought_to_one_side(doubled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, workers in ((0, 1), (0, 2), (1, 2)):
        output = tmp_path / f"{seed}-{workers}"
        result = build(doubled, output, seed=seed, workers=workers)
        split_of = {track["track_id"]: track["split"] for track in tracks_of(output)}
        assert len({split_of[f"hum.{number:05d}"] for number in (1, 2, 3, 4)}) == 1
        assert split_of["noise.00001"] == split_of["ticks.00000"]
        assert len(split_of) == 24
        assert problems(output) == []
        lines = json_lines(output / "duplicates.jsonl")
        assert lines == list(result.duplicates)
        assert [(line["track_id"], line["repeats"]["track_id"]) for line in lines] == [
            *((f"hum.{number:05d}", "hum.00001") for number in (2, 3, 4)),
            ("ticks.00000", "noise.00001"),
        ]
        assert all(line["split"] == line["repeats"]["split"] == split_of[line["track_id"]] for line in lines)
    assert digests(tmp_path / "0-1") == digests(tmp_path / "0-2")
    assert run_main("--input", doubled, "--output", tmp_path / "0-1", "--overwrite", capsys=capsys)[0] == 0


def test_tracks_are_augmented_where_they_have_gone(doubled: Path, tmp_path: Path) -> None:
    engine = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
    build(doubled, tmp_path / "here", augment="stretch-pitch")
    build(doubled, tmp_path / "engine", augment="stretch-pitch", runner=engine)
    assert problems(tmp_path / "here") == []
    assert digests(tmp_path / "here") == digests(tmp_path / "engine")


def test_one_of_each_is_kept(doubled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out"
    assert run_main("--input", doubled, "--output", output, "--duplicates", "drop", capsys=capsys) == (0, "")
    used = {track["track_id"] for track in tracks_of(output)}
    assert len(used) == 20
    assert used.isdisjoint({"hum.00002", "hum.00003", "hum.00004", "ticks.00000"})
    unused = json_lines(output / "rejected.jsonl")
    assert {(track["kind"], track["split"]) for track in unused} == {("duplicate", None)}
    assert unused[0]["reason"] == "repeats 'hum.00001' exactly"
    assert problems(output) == []
    build(doubled, output, overwrite=True)
    assert len(tracks_of(output)) == 24
    build(doubled.parent / "corpus", output, overwrite=True, duplicates="drop")
    for path in (*(doubled / "genres" / "hum").glob("*.0000[234].*"), doubled / "genres" / "ticks" / "ticks.00000.wav"):
        path.unlink()
    build(doubled, output, overwrite=True)
    assert not (output / "duplicates.jsonl").exists(), "where there are none, there is no list"


def test_it_ends_a_run_that_wants_none(doubled: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    message = "4 track.s. hold the audio of others, listed in duplicates.jsonl: hum/hum.00002.flac repeats hum/hum.00001.wav; "
    with pytest.raises(BuildError, match=message):
        build(doubled, output, duplicates="fail")
    assert not (output / "dataset.json").exists()
    assert len(json_lines(output / "duplicates.jsonl")) == 4
    build(doubled, output)


@pytest.mark.parametrize("duplicates", ["group", "drop"])
def test_where_nothing_else_is_left_the_list_tells_why(duplicates: str, write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus = write_corpus(n_tracks=3)
    for path in (corpus / "genres" / "hum").iterdir():
        path.write_bytes((corpus / "genres" / "ticks" / "ticks.00000.wav").read_bytes())
    with pytest.raises(BuildError, match="genre 'hum'.*; 3 track.s. hold the audio of others, listed in duplicates.jsonl"):
        build(corpus, tmp_path / "out", duplicates=duplicates)
    assert len(json_lines(tmp_path / "out" / "duplicates.jsonl")) == 3


def test_splits_that_were_given_stay(doubled: Path, tmp_path: Path) -> None:
    """What repeats a track of a split that judges it is left out."""
    paths = sorted(path.relative_to(doubled / "genres") for path in (doubled / "genres").rglob("*.*") if path.is_file())
    split_of = {path: "test" if path.stem[-1] in "03" else "train" for path in paths}
    rows = [f"{path},{path.parent},{split}" for path, split in split_of.items()]
    (tmp_path / "tracks.csv").write_text("\n".join(["path,label,split", *rows]))
    for duplicates, expected in (
        ("group", {"hum.00001": "hum.00003", "hum.00002": "hum.00003", "hum.00004": "hum.00003", "noise.00001": "ticks.00000"}),
        ("drop", {"hum.00001": "hum.00003", "hum.00002": "hum.00003", "hum.00004": "hum.00003", "noise.00001": "ticks.00000"}),
    ):
        output = tmp_path / duplicates
        build(doubled / "genres", output, tracks=str(tmp_path / "tracks.csv"), duplicates=duplicates)
        assert all(track["split"] == split_of[Path(track["path"])] for track in tracks_of(output))
        lines = json_lines(output / "duplicates.jsonl")
        assert {line["track_id"]: line["repeats"]["track_id"] for line in lines if line["action"] == "left out"} == expected
        assert problems(output) == []
