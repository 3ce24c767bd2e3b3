"""Servers that refuse, or send something else; disks without room."""

from pathlib import Path

import pytest

from beam_pipeline.corpora import resumable
from beam_pipeline.corpora.resumable import DownloadError, download
from tests.file_server import reach_at_once, serving
from tests.transfers import N_BYTES, OLD, cut_off, fetch
from tfrecords.errors import UsageError


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    reach_at_once(monkeypatch)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_a_server_in_trouble_is_asked_again(tmp_path: Path, status: int) -> None:
    with serving(OLD, statuses=[status] * 2) as served:
        assert fetch(served, tmp_path / "file") == OLD
        assert len(served.asked) == 3


@pytest.mark.parametrize(
    ("status", "n_asked", "message"),
    [
        (404, 1, "the server answered 404 Not Found"),
        (403, 1, "the server answered 403 Forbidden"),
        (401, 1, "the server answered 401 Unauthorized"),
        (206, 1, "the server answered 206 Partial Content"),
        (299, 1, "the server answered 299"),
        (500, 5, "the server answered 500 Internal Server Error"),
    ],
)
def test_a_server_that_refuses(tmp_path: Path, status: int, n_asked: int, message: str) -> None:
    with serving(OLD, statuses=[status] * 10) as served:
        with pytest.raises(DownloadError, match=rf"^http://127.0.0.1:\d+/file cannot be read: {message}$"):
            fetch(served, tmp_path / "file")
        assert len(served.asked) == n_asked
        served.statuses = []
        cut_off(served, tmp_path / "file")
        kept = (tmp_path / "file").read_bytes()
        served.statuses = [status] * 10
        with pytest.raises(DownloadError, match=message):
            fetch(served, tmp_path / "file")
        assert (tmp_path / "file").read_bytes() == kept


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ("/loop", "Exceeded 30 redirects"),
        ("/elsewhere", "No connection adapters were found for 'ftp://"),
        ("/broken", "cannot be read: .*IPv6"),
        ("/endless", "cannot be read: .*label"),
    ],
)
def test_redirects_that_lead_nowhere(tmp_path: Path, at: str, message: str) -> None:
    with serving(OLD) as served, pytest.raises(DownloadError, match=message):
        fetch(served, tmp_path / "file", at=at)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1:1/file", r"cannot be read: Failed to establish a new connection: \[Errno 111\] Connection refused$"),
        ("http://nowhere.invalid/file", r"cannot be read: Failed to resolve 'nowhere\.invalid' \(.*\)$"),
        ("http://[::1/file", "cannot be read: .*"),
    ],
)
def test_a_server_that_cannot_be_reached(tmp_path: Path, url: str, message: str) -> None:
    with pytest.raises(DownloadError, match=message) as caught:
        download(url, tmp_path / "file", n_bytes=None, checked=True)
    assert "\n" not in str(caught.value)


def test_a_file_of_another_size_is_refused_before_it_comes(tmp_path: Path) -> None:
    with serving(OLD) as served:
        the_rest = cut_off(served, tmp_path / "file")
        served.content, served.etag = b"<!DOCTYPE html> Please log in to the hotel's network", '"portal"'
        with pytest.raises(DownloadError, match=f"is not the file: it has 52 bytes, expected {N_BYTES}"):
            fetch(served, tmp_path / "file", n_bytes=N_BYTES)
        served.content, served.etag = OLD, '"1"'
        assert fetch(served, tmp_path / "file", n_bytes=N_BYTES) == OLD
        assert served.asked[-1] == the_rest, "the hotel has not cost what was there"


@pytest.mark.parametrize("n_bytes", [N_BYTES - 100_000, N_BYTES + 1])
def test_a_file_of_untold_size_that_turns_out_to_be_another(tmp_path: Path, n_bytes: int) -> None:
    with serving(OLD, length=False) as served, pytest.raises(DownloadError, match=f"is not the file: .* expected {n_bytes}"):
        fetch(served, tmp_path / "file", n_bytes=n_bytes)
    assert not list(tmp_path.iterdir())


def test_a_body_without_end_does_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumable, "MAX_BYTES", 100_000)
    for length in (True, False):
        with serving(OLD, length=length) as served, pytest.raises(DownloadError, match="too large: more than 100000 bytes"):
            fetch(served, tmp_path / "file")
    with serving(bytes(2**25), length=False) as served, pytest.raises(DownloadError, match="too large"):
        fetch(served, tmp_path / "file")
    assert served.n_bytes_sent < 2**25, "it was not heard out"
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_seen_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": N_BYTES // 2})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with serving(OLD) as served, pytest.raises(UsageError, match=r"has 0\.1 MiB free, and 0\.3 MiB are needed"):
        fetch(served, tmp_path / "file")
