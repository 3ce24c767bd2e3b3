"""`python -m beam_pipeline.download`, as a user meets it."""

import errno
import hashlib
import io
import os
import re
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from beam_pipeline import download, run_pipeline
from beam_pipeline.corpora import gtzan_archive
from beam_pipeline.corpora.gtzan_archive import GTZAN
from beam_pipeline.corpora.index import index_corpus
from tests.conftest import REPOSITORY
from tests.hub import Hub, serving
from tests.waiting import end_of, wait_until
from tfrecords.errors import UsageError


def tar_gz(files: Mapping[str, bytes], *members: tarfile.TarInfo) -> bytes:
    """An archive of plain files, and of further members without content."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=0) as tar:
        for name, content in files.items():
            tar.addfile(member(name, n_bytes=len(content)), io.BytesIO(content))
        for info in members:
            tar.addfile(info)
    return stream.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, *, target: str = "", n_bytes: int = 0) -> tarfile.TarInfo:
    """A member that claims a kind, a link's target and a size."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, n_bytes
    return info


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if not path.is_dir()}


# Of what comes, the client writes 10 MB at a time.
BLOCK, CUT = 10 * 2**20, 15 * 2**20
NAMES = [f"genres/{genre}/{genre}.0000{number}.wav" for genre in ("blues", "rock") for number in range(2)]
TRACKS = {name: np.random.default_rng(seed).bytes(6_000_000) for seed, name in enumerate(NAMES)}
HIDDEN = {"._genres": b"x", "genres/blues/._blues.00000.wav": b"x", "genres/.DS_Store": b"x", "README": b"x"}
ARCHIVE = tar_gz(TRACKS | HIDDEN, member("./genres", tarfile.DIRTYPE))
GOOD = tar_gz({"genres/blues/1.wav": b"blue" * 500})
DONE = "4 files in data/gtzan/genres\nNext: python run_pipeline.py\n"
# Done before the program starts: it does not wait between attempts, waits before it extracts rock, or cannot write large files.
AT_ONCE = "import time; time.sleep = lambda seconds: None"
STOPS = """import tarfile, time; copy = tarfile.copyfileobj
tarfile.copyfileobj = lambda *them, **options: time.sleep(600) if "rock" in them[1].name else copy(*them, **options)"""
FULL = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({BLOCK + 5}, resource.RLIM_INFINITY))"


@pytest.fixture(autouse=True)
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """In reach of an empty current folder."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("HF_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HF_HOME", str(tmp_path.with_name("hf")))
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    with serving(ARCHIVE) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def start(*arguments: str, first: str = "") -> "subprocess.Popen[str]":
    """The program in a process of its own, in which something may be done first."""
    code = f"{first}\nimport sys; from beam_pipeline import download; sys.exit(download.main(sys.argv[1:]))"
    command = [sys.executable, *(["-c", code] if first else ["-m", "beam_pipeline.download"]), "--md5", md5(ARCHIVE), *arguments]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(*arguments: str, first: str = "") -> tuple[int, str, str]:
    """Its exit status, its output, and its last line on standard error."""
    process = start(*arguments, first=first)
    out, err = end_of(process)
    return process.returncode, out, err.strip().rpartition("\n")[2]


def extracted(capsys: pytest.CaptureFixture[str], data: bytes, *arguments: str) -> tuple[int, str]:
    """An archive of the user's, in this process: the exit status, and what was said on standard error."""
    Path("mine.tar.gz").write_bytes(data)
    status = download.main(["--archive", "mine.tar.gz", "--md5", "none", *arguments])
    return status, capsys.readouterr().err


def test_what_was_downloaded_is_found_by_the_pipeline(hub: Hub) -> None:
    assert run()[:2] == (0, DONE)
    assert tree(Path("data")) == {f"gtzan/{name}": content for name, content in TRACKS.items()}
    assert run_pipeline.parse_options([])[1] == str(GTZAN)
    assert len(index_corpus(str(GTZAN)).tracks) == 4
    # As a run leaves it that is killed between its last two steps.
    (GTZAN / ".download").mkdir()
    (GTZAN / ".download/x.incomplete").write_bytes(ARCHIVE)
    assert run()[:2] == (0, f"Nothing to do: {DONE}")
    assert hub.asked == [None]
    assert tree(GTZAN) == TRACKS


def test_a_cut_download_goes_on_at_once_and_in_the_next_run(hub: Hub) -> None:
    hub.cuts = [CUT, 0, BLOCK + 1, *[0] * 9]
    status, _, text = run(first=AT_ONCE)
    assert (status, hub.url in text) == (1, True)
    assert list(dict.fromkeys(hub.asked)) == [None, f"bytes={BLOCK}-", f"bytes={2 * BLOCK}-"]
    with pytest.raises(UsageError, match="holds a download that is not finished: run python -m beam_pipeline.download"):
        index_corpus(str(GTZAN))
    hub.cuts, hub.asked = [], []
    assert run()[:2] == (0, DONE)
    assert hub.asked == [f"bytes={2 * BLOCK}-"]
    assert tree(GTZAN) == TRACKS


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "Ctrl-C"])
@pytest.mark.parametrize("where", ["download", "extraction"])
def test_interrupted(hub: Hub, how: signal.Signals, where: str) -> None:
    hub.cuts, hub.stalls = [CUT] if where == "download" else [], True
    process, half_done = start(first=STOPS), GTZAN / ".download/genres"
    there = BLOCK if where == "download" else len(ARCHIVE) + 12_000_000
    wait_until(lambda: sum(map(len, tree(GTZAN).values())) == there, process)
    assert run()[::2] == (2, "download: another run is writing to data/gtzan")
    process.send_signal(how)
    _, error = end_of(process)
    assert process.returncode == (-how if how == signal.SIGKILL else 130)
    assert how == signal.SIGKILL or error.endswith("download: interrupted; run it again to go on\n")
    assert not (GTZAN / "genres").exists()
    assert half_done.exists() == (how == signal.SIGKILL and where == "extraction")
    hub.asked.clear()
    assert run()[:2] == (0, DONE)
    assert hub.asked == ([f"bytes={BLOCK}-"] if where == "download" else [])
    assert tree(GTZAN) == TRACKS


def test_parts_of_other_versions_are_not_gone_on_with(hub: Hub) -> None:
    hub.cuts = [CUT, *[0] * 9]
    run(first=AT_ONCE)
    hub.content, hub.cuts, hub.asked = GOOD, [], []
    (GTZAN / f".download/{hashlib.sha256(GOOD).hexdigest()}.incomplete").write_bytes(GOOD * 2)
    assert run("--md5", "none")[0] == 0
    assert hub.asked == [None]
    assert tree(GTZAN) == {"genres/blues/1.wav": b"blue" * 500}


def test_the_token_is_for_the_hub_alone(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert run()[0] == 0
    assert hub.tokens - {("api", None)} == {("datasets", "Bearer hf_secret"), ("store", None)}


@pytest.mark.parametrize(("status", "content"), [(200, ARCHIVE), (401, ARCHIVE), (404, ARCHIVE), (500, ARCHIVE), (0, GOOD)])
def test_a_hub_that_does_not_send_the_archive(hub: Hub, status: int, content: bytes) -> None:
    hub.status, hub.content = status, content
    address = f"{hub.url}/datasets/marsyas/gtzan/resolve/main/data/genres.tar.gz"
    reasons = {
        0: f"has the MD5 {md5(GOOD)}, expected {md5(ARCHIVE)}",
        200: "cannot be read: its server does not answer like the Hub",
    }
    found, _, text = run(first=AT_ONCE)
    assert found == 1
    assert re.fullmatch(f"download: {address} {reasons.get(status, f'cannot be read: .*{status}.*')}", text)
    assert not GTZAN.exists(), "an empty one would look like a GTZAN without tracks"


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("HF_ENDPOINT", "http://127.0.0.1:1", "Connection refused"),
        ("HF_ENDPOINT", "nowhere", "missing an 'http://'"),
        ("HF_HUB_OFFLINE", "1", "offline mode is enabled"),
    ],
)
def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch, name: str, value: str, reason: str) -> None:
    monkeypatch.setenv(name, value)
    status, _, text = run(first=AT_ONCE)
    assert status == 1
    assert re.fullmatch(rf"download: .*genres\.tar\.gz cannot be read: .*{reason}.*", text)


def test_a_disk_that_fills_up(hub: Hub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(first=FULL)[::2] == (1, "download: data/gtzan: File too large")
    assert run()[:2] == (0, DONE)
    assert hub.asked == [None, f"bytes={BLOCK + 5}-"]
    monkeypatch.setattr("tarfile.copyfileobj", Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
    assert extracted(capsys, GOOD, "--output", "other") == (1, "download: other: No space left on device\n")
    assert not Path("other").exists()


def test_a_copy_that_is_there_is_used(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert download.main(["--archive", "none.tar.gz"]) == 2
    assert extracted(capsys, ARCHIVE, "--md5", md5(ARCHIVE).upper()) == (0, "download: there is no file none.tar.gz\n")
    assert tree(GTZAN) == TRACKS
    expected = f"download: mine.tar.gz has the MD5 {md5(GOOD)}, expected {'0' * 32}\n"
    assert extracted(capsys, GOOD, "--output", "other", "--md5", "0" * 32) == (1, expected)
    Path("other").mkdir()
    Path("mine.tar.gz").rename("other/genres.tar.gz")
    assert run("--output", "other", "--md5", "none")[1].startswith("Using other/genres.tar.gz\n1 files in other/genres\n")
    assert hub.asked == []
    code = "import huggingface_hub as hub; hub.hf_hub_download('marsyas/gtzan', 'data/genres.tar.gz', repo_type='dataset')"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert run("--output", "third")[0] == 0
    assert hub.asked == [None], "the client's own copy has been used"


@pytest.mark.parametrize(
    ("hostile", "reason"),
    [
        (member("genres/link.wav", tarfile.SYMTYPE, target="/etc/passwd"), "'genres/link.wav', a link or a device"),
        (member("genres/hard.wav", tarfile.LNKTYPE, target="genres/blues/1.wav"), "a link or a device"),
        (member("genres/null", tarfile.CHRTYPE), "a link or a device"),
        (member("genres/large.wav", n_bytes=2**32), "of 4294967296 bytes, 4294969296 in all: it is no copy of GTZAN"),
        (member("._large", n_bytes=2**33), "of 8589934592 bytes"),
        (member("genres/less.wav", n_bytes=-(2**20)), "of -1048576 bytes"),
        (member("genres/blues"), "Is a directory"),
        # Passed over, like all that is not below genres/.
        (member("../evil.wav"), ""),
        (member("genres/../../evil.wav"), ""),
        (member("/genres/evil.wav"), ""),
        (member("link", tarfile.SYMTYPE, target="genres"), ""),
    ],
)
def test_hostile_members(capsys: pytest.CaptureFixture[str], tmp_path: Path, hostile: tarfile.TarInfo, reason: str) -> None:
    good = {"genres/blues/1.wav": bytes(2000)}
    status, text = extracted(capsys, tar_gz(good, hostile))
    assert status == bool(reason)
    assert re.fullmatch(f"download: .*{reason}.*\n" if reason else "", text)
    assert tree(tmp_path).keys() - {"mine.tar.gz"} == (set() if reason else {f"data/gtzan/{name}" for name in good})
    assert GTZAN.exists() == (not reason)


def test_modes_are_not_taken_over(capsys: pytest.CaptureFixture[str]) -> None:
    setuid, closed = member("genres/rock/x.wav"), member("genres/rock", tarfile.DIRTYPE)
    setuid.mode, setuid.uid, closed.mode = 0o6777, 501, 0
    assert extracted(capsys, tar_gz({}, setuid, closed))[0] == 0
    found = [(GTZAN / name).stat() for name in (closed.name, setuid.name)]
    assert [(of.st_mode & 0o7777, of.st_uid) for of in found] == [(0o755, os.getuid()), (0o644, os.getuid())]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<!DOCTYPE html>", "is damaged: Not a gzipped file"),
        (b"", "is damaged: "),
        (GOOD[:-1000], "is damaged: "),
        (GOOD[:-1], "is damaged: "),
        (GOOD[:-8] + b"\0\0\0\0" + GOOD[-4:], "is damaged: CRC check failed"),
        (GOOD[:10] + b"\xff" * 100, "is damaged: .*invalid block type"),
        (tar_gz({"Data/genres_original/blues/x.wav": b"x"}), "holds no files in genres/"),
    ],
)
def test_damaged_and_other_archives(capsys: pytest.CaptureFixture[str], data: bytes, reason: str) -> None:
    status, text = extracted(capsys, data)
    assert status == 1
    assert re.fullmatch(f"download: mine.tar.gz {reason}.*\n", text)
    assert not GTZAN.exists()


def test_what_has_come_meanwhile_is_left_as_it_is(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def extract(archive: Path, folder: Path) -> None:
        gtzan_archive.extract_genres(archive, folder)
        (GTZAN / "genres").mkdir()
        (GTZAN / "genres/x").write_bytes(b"another's")

    monkeypatch.setattr(download, "extract_genres", extract)
    status, text = extracted(capsys, GOOD)
    assert (status, "Directory not empty" in text) == (1, True)
    assert tree(GTZAN) == {"genres/x": b"another's"}


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--output", "thesis", r"the output folder thesis holds other files \('thesis.tex'\); choose another one"),
        ("--output", "thesis/thesis.tex", "the output thesis/thesis.tex cannot be used as a folder: Not a directory"),
        ("--output", "/proc/nothing", "the output /proc/nothing cannot be written to: .*"),
        ("--output", "", "argument --output: must name a folder, got ''"),
        ("--md5", "abc", "argument --md5: must be 32 hexadecimal digits or none, got 'abc'"),
    ],
)
def test_options_that_cannot_be_used(option: str, value: str, reason: str) -> None:
    Path("thesis").mkdir()
    Path("thesis/thesis.tex").write_text("years of work")
    status, _, text = run(option, value)
    assert status == 2
    assert re.fullmatch(f"download: {reason}", text)
    assert tree(Path("thesis")) == {"thesis.tex": b"years of work"}
