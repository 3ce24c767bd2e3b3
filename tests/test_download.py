"""`python -m beam_pipeline.download`, as a user meets it."""

import re
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import run_pipeline
from beam_pipeline import download
from beam_pipeline.corpora.gtzan_archive import GTZAN, PUBLISHED, URL
from beam_pipeline.corpora.index import index_corpus
from beam_pipeline.write.locked_folder import locked_folder
from tests.archives import ARCHIVE, TRACKS, md5, member, names_in, tar_gz, tracks_in
from tests.file_server import FileServer, reach_at_once, serving
from tfrecords.errors import UsageError


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty current folder, and a server near by."""
    monkeypatch.chdir(tmp_path)
    reach_at_once(monkeypatch)


@pytest.fixture
def served() -> Iterator[FileServer]:
    with serving(ARCHIVE) as server:
        yield server


Main = Callable[..., tuple[int, str]]


@pytest.fixture
def main(served: FileServer, capsys: pytest.CaptureFixture[str]) -> Main:
    """The command line with the server's address: its exit status, and what it says besides progress."""

    def run(*arguments: str | Path, sum_: str = md5(ARCHIVE)) -> tuple[int, str]:
        status = download.main(["--url", served.url, "--md5", sum_, *map(str, arguments)])
        out, err = capsys.readouterr()
        lines = (out + err).replace("\r", "\n").splitlines()
        return status, "\n".join(line for line in lines if line and not line.startswith(("Downloading:", "Extracting:")))

    return run


def test_what_was_downloaded_is_found_by_the_pipeline(main: Main) -> None:
    status, text = main()
    assert (status, text) == (0, "8 files in data/gtzan/genres\nNext: python run_pipeline.py")
    assert tracks_in(GTZAN) == TRACKS
    assert names_in(GTZAN) == {"genres"}
    assert run_pipeline.parse_options([])[1] == str(GTZAN)
    assert index_corpus(str(GTZAN)).genres == ("blues", "rock")
    assert len(index_corpus(str(GTZAN)).tracks) == 8


def test_the_defaults_are_gtzans() -> None:
    options = download.parse_options([])
    assert options == download.DownloadOptions()
    assert (options.output, options.url, options.expected) == (GTZAN, URL, PUBLISHED)
    assert download.parse_options(["--md5", PUBLISHED.md5.upper()]).expected == PUBLISHED


def test_what_is_there_and_whole_is_not_downloaded_again(main: Main, served: FileServer) -> None:
    main()
    served.asked.clear()
    (GTZAN / "notes.txt").touch()
    message = "Nothing to do: data/gtzan/genres is there already, with all of its 8 files\nNext: python run_pipeline.py"
    assert main() == (0, message)
    assert served.asked == []


def test_what_is_there_from_another_archive_is_refused(main: Main, served: FileServer) -> None:
    main()
    status, text = main(sum_="0" * 32)
    assert status == 2
    assert (
        text == f"download: data/gtzan/genres is there already, but from another archive, {served.url}; choose another --output"
    )
    assert main(sum_="none")[0] == 0


def test_what_is_there_and_not_whole_is_refused(main: Main) -> None:
    main()
    (GTZAN / "genres/rock/rock.00001.wav").unlink()
    (GTZAN / "genres/rock/rock.00002.wav").write_bytes(b"cut")
    status, text = main()
    assert status == 2
    assert "2 of 8 downloaded files are missing or altered, for instance rock/rock.00001.wav; remove the folder" in text
    for record in (b"{}", b"[]", b"\xff", b'{"url": "x", "md5": null, "files": ["a"]}'):
        (GTZAN / "genres/download.json").write_bytes(record)
        assert main() == (2, "download: data/gtzan/genres is there, but was not made by this program; nothing was downloaded")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("thesis", r"the output folder thesis holds other files \('thesis.tex'\); choose another one"),
        ("thesis/thesis.tex", "the output thesis/thesis.tex cannot be used as a folder: Not a directory"),
        ("thesis/thesis.tex/below", "the output .* cannot be used as a folder: Not a directory"),
        ("/proc/nothing", "the output /proc/nothing cannot be written to: .*"),
    ],
)
def test_outputs_that_cannot_be_used(main: Main, served: FileServer, name: str, message: str) -> None:
    Path("thesis").mkdir()
    Path("thesis/thesis.tex").write_text("years of work")
    status, text = main("--output", name)
    assert status == 2
    assert re.fullmatch(f"download: {message}", text)
    assert served.asked == []
    assert names_in(Path("thesis")) == {"thesis.tex"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--md5", "abc"], "must be 32 hexadecimal digits or none, got 'abc'"),
        (["--url", "genres.tar.gz"], "must be an http or https address, got 'genres.tar.gz'"),
        (["--url", "file:///etc/passwd"], "must be an http or https address"),
        (["--url", "http://[::1/x"], "must be an http or https address"),
        (["--url", "https://"], "must be an http or https address"),
        (["data/gtzan"], "unrecognized arguments: data/gtzan"),
    ],
)
def test_options_that_cannot_be_used(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        download.main(arguments)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_a_wrong_sum_removes_the_archive(main: Main, served: FileServer) -> None:
    served.content = ARCHIVE[:-1] + b"\1"
    status, text = main()
    assert status == 1
    assert text == (
        f"download: what {served.url} holds has the MD5 {md5(served.content)}, expected {md5(ARCHIVE)}; "
        "it was removed, and the next run begins anew"
    )
    assert not GTZAN.exists()
    served.content = ARCHIVE
    assert main()[0] == 0
    assert served.asked == [None, None]


def test_gtzans_size_is_checked_before_anything_comes(main: Main, served: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10**12}))
    status, text = main(sum_=PUBLISHED.md5)
    expected = f"download: {served.url} is not the file: it has {len(ARCHIVE)} bytes, expected 1225571541"
    assert (status, text) == (1, expected)


def test_a_full_disk_is_seen_before_anything_is_asked(main: Main, served: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 2 * 10**9}))
    status, text = main(sum_=PUBLISHED.md5)
    assert status == 2
    assert "free, and 2337.6 MiB are needed" in text
    assert served.asked == []
    assert not GTZAN.exists()


def test_another_archive_without_a_sum(main: Main, served: FileServer) -> None:
    served.content = tar_gz({"genres/a/1.wav": b"1"})
    assert main(sum_="none")[0] == 0
    assert tracks_in(GTZAN) == {"genres/a/1.wav": b"1"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html>", r"is damaged: Not a gzipped file \(b'<!'\)"),
        (ARCHIVE[:-5000], "is damaged: "),
        (tar_gz(TRACKS, member("genres/../../../evil.wav")), r"holds a file of the name 'genres/\.\./\.\./\.\./evil\.wav'"),
    ],
)
def test_an_archive_that_cannot_be_extracted_leaves_nothing(
    main: Main, served: FileServer, content: bytes, message: str, tmp_path: Path
) -> None:
    served.content = content
    status, text = main(sum_="none")
    assert status == 1
    assert message.replace("\\", "") in text
    assert "\n" not in text
    assert not GTZAN.exists()
    assert not list(tmp_path.rglob("*.wav"))


@pytest.mark.parametrize("status", [403, 404])
def test_a_failure_leaves_no_folder_that_looks_like_gtzan(main: Main, served: FileServer, status: int) -> None:
    served.statuses = [status]
    assert main()[0] == 1
    assert not GTZAN.exists()
    assert run_pipeline.parse_options([])[1] is None


def test_a_disk_that_fills_up_under_way(main: Main, served: FileServer) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        assert main() == (1, "download: data/gtzan: File too large")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert main()[0] == 0
    assert served.asked == [None, "bytes=200000-"]


def test_a_cut_download_goes_on_in_the_next_run(main: Main, served: FileServer) -> None:
    served.cuts = [200_000, *[0] * 10]
    status, text = main()
    assert status == 1
    assert text.splitlines()[-1].endswith("what has come is kept: run this again")
    with pytest.raises(
        UsageError, match="data/gtzan holds a download that is not finished: run python -m beam_pipeline.download"
    ):
        index_corpus(str(GTZAN))
    served.cuts, served.n_bytes_sent = [], 0
    assert main()[0] == 0
    assert tracks_in(GTZAN) == TRACKS
    assert served.n_bytes_sent <= len(ARCHIVE) - 200_000 + 2**16


def test_the_archive_may_be_kept_and_is_used_again(main: Main, served: FileServer) -> None:
    assert main("--keep-archive")[0] == 0
    assert names_in(GTZAN) == {"genres", "genres.tar.gz"}
    (GTZAN / "genres").rename("elsewhere")
    served.asked.clear()
    assert main()[1].startswith("Using data/gtzan/genres.tar.gz\n8 files in data/gtzan/genres")
    assert served.asked == []
    assert names_in(GTZAN) == {"genres", "genres.tar.gz"}


def test_an_archive_that_lies_there_and_is_another(main: Main) -> None:
    GTZAN.mkdir(parents=True)
    (GTZAN / "genres.tar.gz").write_bytes(b"somebody's own")
    found = md5(b"somebody's own")
    message = f"download: data/gtzan/genres.tar.gz has the MD5 {found}, expected {md5(ARCHIVE)}; remove it, and run this again"
    assert main() == (2, message)
    status, text = main(sum_="none")
    assert status == 2
    assert "data/gtzan/genres.tar.gz is in the way" in text
    assert (GTZAN / "genres.tar.gz").read_bytes() == b"somebody's own"


def test_two_downloads_do_not_write_to_one_output(main: Main) -> None:
    with locked_folder(GTZAN, ".download"):
        assert main() == (2, "download: another run is writing to data/gtzan")
    assert main()[0] == 0


def test_killed_between_the_last_two_steps(main: Main) -> None:
    """The tracks are there; the archive, which was to go, goes in the next run."""
    main()
    (GTZAN / ".download").mkdir()
    (GTZAN / ".download" / "genres.tar.gz").write_bytes(ARCHIVE)
    assert main()[0] == 0
    assert names_in(GTZAN) == {"genres"}
