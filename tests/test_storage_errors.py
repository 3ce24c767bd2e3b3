"""Whether a file cannot be read or the machine fails: the one costs a track, the other the run, and is asked again before."""

import errno
import io
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from apache_beam.io.aws.clients.s3.messages import S3ClientError
from apache_beam.io.filesystem import BeamIOError

from beam_pipeline.options import MaxRejected
from beam_pipeline.storage_errors import StorageError, persistently
from beam_pipeline.write.refusal import BuildError
from tests.helpers import WriteCorpus, build, json_lines
from tfrecords.audio import UnusableAudioError


def disk(number: int) -> Exception:
    return OSError(number, os.strerror(number))


def amazon(status: int) -> Exception:
    return S3ClientError("injected", status)


def beam_of_amazon(status: int) -> Exception:
    return BeamIOError("Open operation failed", {"s3://bucket/a.wav": amazon(status)})


class GoogleError(Exception):
    """Like those of google.api_core, which comes with apache-beam[gcp] and is not installed for these tests."""

    def __init__(self, code: int) -> None:
        super().__init__(f"{code} injected")
        self.code = code


def google_cloud(status: int) -> Exception:
    return GoogleError(status)


# One table for all: what is said of the file, and what of the machine.
OF_THE_FILE = [
    *(disk(number) for number in (errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)),
    *(of(status) for of in (amazon, beam_of_amazon, google_cloud) for status in (404, 403)),
]
OF_THE_MACHINE = [
    *(disk(number) for number in (errno.EIO, errno.ESTALE, errno.ENOSPC, errno.EMFILE, errno.EROFS, errno.ETIMEDOUT)),
    *(of(status) for of in (amazon, beam_of_amazon, google_cloud) for status in (500, 502, 503, 504, 429)),
    TimeoutError("timed out"),
    ConnectionResetError(errno.ECONNRESET, "reset"),
    RuntimeError("what a client may raise"),
]


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    made: list[float] = []
    monkeypatch.setattr("time.sleep", made.append)
    return made


def failing(error: Exception, asked: list[None]) -> Callable[[], bytes]:
    def read() -> bytes:
        asked.append(None)
        raise error

    return read


@pytest.mark.parametrize("error", OF_THE_FILE, ids=repr)
def test_a_file_that_cannot_be_read_is_not_asked_for_again(error: Exception) -> None:
    asked: list[None] = []
    with pytest.raises(OSError, match=r".+") as caught:
        persistently(failing(error, asked), "a.wav")
    assert caught.value.errno in (errno.ENOENT, errno.EACCES, getattr(error, "errno", None))
    assert len(asked) == 1


@pytest.mark.parametrize("error", OF_THE_MACHINE, ids=repr)
def test_a_machine_that_fails_is_asked_again_and_then_named(error: Exception, pauses: list[float]) -> None:
    asked: list[None] = []
    with pytest.raises(StorageError, match=r"^a\.wav: .+") as caught:
        persistently(failing(error, asked), "a.wav")
    assert len(asked) == 4
    assert pauses == [0.5, 1.0, 2.0]
    assert len(str(caught.value).splitlines()) == 1


def test_what_is_well_again_is_read(pauses: list[float]) -> None:
    answers: list[Any] = [disk(errno.EIO), disk(errno.ESTALE), b"music"]

    def read() -> bytes:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        data: bytes = answer
        return data

    assert persistently(read, "a.wav") == b"music"
    assert pauses == [0.5, 1.0]


def test_audio_that_does_not_decode_is_the_tracks_own_fault() -> None:
    with pytest.raises(UnusableAudioError):
        persistently(failing(UnusableAudioError("kind", "message"), []), "a.wav")


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EMFILE])
def test_a_disk_that_fails_fails_the_run_and_names_the_file(
    number: int, write_corpus: WriteCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = write_corpus()
    bad = corpus / "genres" / "hum" / "hum.00001.wav"
    read = Path.open

    def open_file(path: Path, *arguments: Any, **options: Any) -> Any:
        if path == bad:
            raise OSError(number, os.strerror(number))
        return read(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", open_file)
    with pytest.raises(BuildError, match=rf"^the pipeline failed: {bad}: {os.strerror(number)} \(-v shows all\)$"):
        build(corpus, tmp_path / "out", workers=0, max_rejected=MaxRejected(tracks=9))
    assert not (tmp_path / "out" / "dataset.json").exists()


class ReadableOnce(io.FileIO):
    """A file on a disk that fails when it is read again from its beginning."""

    n_begun = 0

    def seek(self, position: int, whence: int = 0) -> int:
        self.n_begun += 1
        return super().seek(position, whence)

    def read(self, n_bytes: int | None = -1) -> bytes:
        if self.n_begun > 1:
            raise disk(errno.EIO)
        return super().read(n_bytes)


def test_a_disk_that_fails_while_a_track_is_decoded_fails_the_run(
    write_corpus: WriteCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decoder takes what is missing for damage."""
    corpus = write_corpus()
    bad = corpus / "genres" / "hum" / "hum.00001.wav"
    bad.write_bytes(b"RIFF, and the disk fails")
    read = Path.open

    def open_file(path: Path, *arguments: Any, **options: Any) -> Any:
        return ReadableOnce(path) if path == bad else read(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", open_file)
    with pytest.raises(BuildError, match=rf"^the pipeline failed: {bad}: Input/output error"):
        build(corpus, tmp_path / "out", workers=0, max_rejected=MaxRejected(tracks=9))


def test_a_file_that_may_not_be_read_costs_a_track(
    write_corpus: WriteCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = write_corpus(n_tracks=8)
    bad = corpus / "genres" / "hum" / "hum.00001.wav"
    read = Path.open

    def open_file(path: Path, *arguments: Any, **options: Any) -> Any:
        if path == bad:
            raise disk(errno.EACCES)
        return read(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", open_file)
    build(corpus, tmp_path / "out", workers=0)
    (rejected,) = json_lines(tmp_path / "out" / "rejected.jsonl")
    assert (rejected["kind"], rejected["reason"]) == ("unreadable", "cannot be read: Permission denied")


@pytest.mark.parametrize("name", ["features", "out"])
def test_a_full_disk_fails_the_run_and_names_the_place(
    name: str, write_corpus: WriteCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real one, of a few hundred kilobytes, where this test may mount it."""
    folder = tmp_path / name
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", folder],  # noqa: S607
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("only an administrator can mount a small disk")
    try:
        place = {"features": str(folder)} if name == "features" else {"keep_features": False}
        with pytest.raises((BuildError, StorageError), match=rf"{folder}/.*: No space left on device"):
            build(write_corpus(n_tracks=9), tmp_path / "out", **place)
        assert not (tmp_path / "out" / "dataset.json").exists()
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)  # noqa: S607
