"""Publishing cut off anywhere: at no moment is there no whole dataset where there was one, and the next attempt ends it."""

import contextlib
import errno
import json
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from beam_pipeline.storage_errors import StorageError
from beam_pipeline.write.output_folder import check_output, staging_folder
from beam_pipeline.write.publish import PublishDataset
from beam_pipeline.write.refusal import BuildError
from tests.conftest import GENRES, write_tracks
from tests.cut_off import DISK_CALLS, Injector, die, in_small_child
from tests.helpers import WriteCorpus, build
from tfrecords.dataset.folder import read_dataset
from tfrecords.errors import UsageError
from tfrecords.records.framing import scan_records
from tfrecords.verification.dataset_check import DatasetCheck


class Waiting:
    """A run that has all but published, beside the dataset that it is to replace.

    Attributes:
        output: The output folder.
        old: The fingerprint of the dataset in it.
        new: That of the dataset which is to come.
    """

    def __init__(self, output: Path, saved: Path, publisher: PublishDataset, reported: bytes, *, old: str, new: str) -> None:
        self.output, self.old, self.new = output, old, new
        self._saved, self._publisher, self._reported = saved, publisher, reported

    def reset(self) -> None:
        """Brings back the moment before."""
        shutil.rmtree(self.output)
        shutil.copytree(self._saved, self.output)

    def publish(self) -> None:
        """Publishes, as the last step of the graph does."""
        reported = pickle.loads(self._reported)  # noqa: S301
        assert list(self._publisher.process(None, **reported)) == [str(self.output / "dataset.json")]

    def assert_whole(self) -> str:
        """Checks that there is one of the two datasets, and returns its fingerprint."""
        fingerprint = read_dataset(self.output).fingerprint
        assert fingerprint in (self.old, self.new)
        assert list(DatasetCheck(self.output).problems()) == []
        self._assert_other_tools_open_one()
        return fingerprint

    def _assert_other_tools_open_one(self) -> None:
        """Not by TFDS itself, which would take a second each of hundreds of times: every shard that it would read is whole."""
        for split in json.loads((self.output / "dataset_info.json").read_text())["splits"]:
            for index, n_records in enumerate(split["shardLengths"]):
                place = f"{index:05d}-of-{len(split['shardLengths']):05d}"
                name = split["filepathTemplate"].format(SHARD_X_OF_Y=place, FILEFORMAT="tfrecord")
                with (self.output / name).open("rb") as file:
                    assert sum(not one.flaw for one in scan_records(file, longest=2**20)) == int(n_records)


def stop_before_publishing(monkeypatch: pytest.MonkeyPatch, start: Callable[[], object], saved: dict[str, Any]) -> None:
    """Runs a pipeline up to its last step, and keeps what that would have been given."""

    def keep(publisher: PublishDataset, _once: None, **reported: Any) -> Iterator[str]:
        saved["publisher"], saved["reported"] = publisher, pickle.dumps(reported)
        saved["keep"]()
        yield ""
        raise RuntimeError("stopped")

    with monkeypatch.context() as patched:
        patched.setattr(PublishDataset, "process", keep)
        with contextlib.suppress(BuildError):  # the command line tells of it by its status
            start()
    assert "reported" in saved


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Waiting:
    folder = tmp_path_factory.mktemp("waiting")
    corpus, output, copy = folder / "corpus", folder / "out", folder / "saved"
    write_tracks(corpus / "genres", n_tracks=2)
    old = build(corpus, output, num_shards=2).manifest.fingerprint
    new = build(corpus, folder / "other", num_shards=3, seed=1).manifest.fingerprint
    saved: dict[str, Any] = {"keep": lambda: shutil.copytree(output, copy)}
    with pytest.MonkeyPatch.context() as patched:
        stop_before_publishing(patched, lambda: build(corpus, output, num_shards=3, seed=1, overwrite=True), saved)
    return Waiting(output, copy, saved["publisher"], saved["reported"], old=old, new=new)


def attempt(work: Callable[[], None], injector: Injector) -> int | None:
    """0 if the work was done in spite of what was injected, 1 if it failed with an error that names a place, None if it died."""

    def injected() -> int:
        for owner, name in DISK_CALLS:
            setattr(owner, name, injector.wrapped(getattr(owner, name)))
        try:
            work()
        except (StorageError, UsageError, OSError):
            return 1
        return 0

    return in_small_child(injected)


def n_calls_of(work: Callable[[], None]) -> int:
    """How many calls of the disk a piece of work makes."""
    counted: list[int] = []
    injector = Injector(0, happening=die)

    def counting() -> int:
        for owner, name in DISK_CALLS:
            setattr(owner, name, injector.wrapped(getattr(owner, name)))
        work()
        return injector.n_calls

    counted.append(in_small_child(counting) or 0)
    assert 0 < counted[0] < 255
    return counted[0]


def raise_error(number: int) -> Callable[[], None]:
    def fail() -> None:
        raise OSError(number, "injected")

    return fail


HAPPENINGS: dict[str, tuple[Callable[[], None], bool]] = {
    "killed before": (die, False),
    "killed after": (die, True),
    "disk broken": (raise_error(errno.EIO), False),
    "disk full": (raise_error(errno.ENOSPC), False),
    "error after": (raise_error(errno.ESTALE), True),
}


# What is killed after one call is killed before the next, and each error is as good as another: those are tried once more.
@pytest.mark.parametrize(
    "name",
    [name if name in ("killed before", "disk full") else pytest.param(name, marks=pytest.mark.long) for name in HAPPENINGS],
)
def test_publishing_is_cut_off_at_every_call_of_the_disk(waiting: Waiting, name: str) -> None:
    happening, after = HAPPENINGS[name]
    waiting.reset()
    n_calls = n_calls_of(waiting.publish)
    assert n_calls >= 40
    fingerprints = []
    for number in range(1, n_calls + 1):
        waiting.reset()
        attempt(waiting.publish, Injector(number, happening=happening, after=after))
        fingerprints.append(waiting.assert_whole())
        # A run without --overwrite still finds a dataset, one with it nothing in its way, and the engine's next attempt ends it.
        with pytest.raises(UsageError, match="use --overwrite to replace it"):
            check_output(str(waiting.output), overwrite=False)
        check_output(str(waiting.output), overwrite=True)
        waiting.publish()
        assert waiting.assert_whole() == waiting.new
        names = {path.name for path in waiting.output.iterdir() if path.suffix in (".tfrecord", ".jsonl", ".json")}
        assert len(names) == 2 * 3 + 5, "nothing of the old one is left"
    assert {waiting.old, waiting.new} == set(fingerprints), "before and after the moment of change"
    assert fingerprints == sorted(fingerprints, key=[waiting.old, waiting.new].index), "there is one such moment"


@pytest.mark.parametrize("name", HAPPENINGS)
def test_the_beginning_of_the_next_run_is_cut_off(waiting: Waiting, name: str) -> None:
    """It removes what the run before has left."""
    happening, after = HAPPENINGS[name]

    def begin() -> None:
        with staging_folder(str(waiting.output)):
            pass

    waiting.reset()
    for number in range(1, n_calls_of(begin) + 1):
        waiting.reset()
        attempt(begin, Injector(number, happening=happening, after=after))
        assert waiting.assert_whole() == waiting.old
        begin()
        assert waiting.assert_whole() == waiting.old


@pytest.mark.parametrize("number", [5, 20, 30, 40, 50])
def test_whole_runs_after_one_that_was_killed(waiting: Waiting, number: int, write_corpus: WriteCorpus) -> None:
    waiting.reset()
    assert attempt(waiting.publish, Injector(number, happening=die)) is None
    for name in ("README.md", "croissant.json", "dataset.json", "dataset_info.json"):
        (waiting.output / f".{name}.{'0' * 32}").write_text("half")
    corpus = write_corpus("again", n_tracks=2)
    build(corpus, waiting.output, num_shards=1, overwrite=True)
    assert list(DatasetCheck(waiting.output).problems()) == []
    assert {path.name.split("-")[0] for path in waiting.output.iterdir()} == {
        *("README.md", "croissant.json", "dataset.json", "dataset_info.json"),
        *("features", "rejected.jsonl", "test", "tracks", "train"),
    }


def test_what_was_never_published_does_not_stand_in_the_way(waiting: Waiting) -> None:
    """Killed while the first dataset of a folder was put in place."""
    waiting.reset()
    (waiting.output / "dataset.json").unlink()
    assert attempt(waiting.publish, Injector(25, happening=die)) is None
    assert not (waiting.output / "dataset.json").exists()
    check_output(str(waiting.output), overwrite=False)


def test_versions_must_not_be_mixed(write_corpus: WriteCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[None] = []

    def versions() -> dict[str, str]:
        calls.append(None)
        return {"scipy": "1.16" if len(calls) < len(GENRES) else "1.17", "numpy": "2.4"}

    monkeypatch.setattr("beam_pipeline.extract.extractor.library_versions", versions)
    with pytest.raises(BuildError, match=r"the workers ran different versions: scipy 1\.1\d and 1\.1\d"):
        build(write_corpus(), tmp_path / "out", workers=0)
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_versions_are_those_of_the_workers(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    libraries = build(write_corpus(), tmp_path / "out").manifest.libraries
    assert set(libraries) == {"av", "librosa", "libsndfile", "numpy", "scipy", "soxr"}
