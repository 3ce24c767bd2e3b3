"""Archives that nobody vouches for: what may come out of them, and what must not."""

import contextlib
import gzip
import io
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_pipeline.corpora import archive as extraction
from beam_pipeline.corpora.archive import ArchiveError, extract_tar_gz
from tests.archives import member, noise, raw_tar_gz, tar_gz

GOOD = {"genres/blues/blues.00000.wav": b"blue", "genres/rock/rock.00000.wav": b"rock" * 1000}


def extract(tmp_path: Path, data: bytes) -> dict[str, int]:
    (tmp_path / "archive.tar.gz").write_bytes(data)
    (tmp_path / "out").mkdir(exist_ok=True)
    return extract_tar_gz(tmp_path / "archive.tar.gz", tmp_path / "out", top="genres")


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_plain_files_come_out_as_they_went_in(tmp_path: Path) -> None:
    assert extract(tmp_path, tar_gz(GOOD)) == {"blues/blues.00000.wav": 4, "rock/rock.00000.wav": 4000}
    assert tree(tmp_path / "out") == GOOD


def test_hidden_files_and_what_lies_elsewhere_are_left_out(tmp_path: Path) -> None:
    rest = {
        "./._genres": b"x",
        "genres/._blues": b"x",
        "genres/blues/._blues.00000.wav": b"x",
        "README": b"x",
        "genres/.DS_Store": b"x",
    }
    dotted = {f"./{name}": content for name, content in GOOD.items()}
    data = tar_gz(rest | dotted, member("./genres", tarfile.DIRTYPE), member("genres/empty", tarfile.DIRTYPE))
    assert len(extract(tmp_path, data)) == 2
    assert tree(tmp_path / "out") == GOOD


def test_modes_are_not_taken_over(tmp_path: Path) -> None:
    setuid = member("genres/blues/x.wav")
    setuid.mode = 0o6777
    closed = member("genres/rock", tarfile.DIRTYPE)
    closed.mode = 0
    extract(tmp_path, tar_gz({}, setuid, closed))
    assert (tmp_path / "out/genres/blues/x.wav").stat().st_mode & 0o7111 == 0
    assert (tmp_path / "out/genres/rock").stat().st_mode & 0o700 == 0o700


@pytest.mark.parametrize(
    ("hostile", "message"),
    [
        (member("../evil.wav"), r"a file of the name '\.\./evil\.wav'"),
        (member("genres/../../evil.wav"), "a file of the name"),
        (member("genres/.."), "a file of the name"),
        (member("/genres/evil.wav"), "a file of the name '/genres/evil.wav'"),
        (member("//genres/evil.wav"), "a file of the name"),
        (member("genres/a\nb.wav"), r"a file of the name 'genres/a\\nb\.wav'"),
        (member("genres/" + "n/" * 4000 + "x.wav"), "a file of the name .{255,400}$"),
        (member("genres/link.wav", tarfile.SYMTYPE, target="/etc/passwd"), "'genres/link.wav', which is a link"),
        (member("genres/link", tarfile.SYMTYPE, target=".."), "which is a link"),
        (member("link", tarfile.SYMTYPE, target="genres"), "which is a link"),
        (member("genres/hard.wav", tarfile.LNKTYPE, target="genres/blues/blues.00000.wav"), "which is a link"),
        (member("genres/hard.wav", tarfile.LNKTYPE, target="/etc/passwd"), "which is a link"),
        (member("genres/null", tarfile.CHRTYPE), "which is no plain file"),
        (member("genres/disk", tarfile.BLKTYPE), "which is no plain file"),
        (member("genres/pipe", tarfile.FIFOTYPE), "which is no plain file"),
        (member("genres/blues/blues.00000.wav"), "'genres/blues/blues.00000.wav' twice"),
        (member("genres/blues/blues.00000.wav/x.wav"), "twice"),
        (member("genres/blues/blues.00000.wav", tarfile.DIRTYPE), "twice"),
        (member("genres/blues"), "'genres/blues' twice"),
        (member("genres/huge.wav", n_bytes=10**12), r"'genres/huge\.wav' of 1000000000000 bytes"),
        (member("._huge", n_bytes=10**12), "of 1000000000000 bytes"),
        (member("genres/large.wav", n_bytes=2**30), "of 1073741824 bytes"),
    ],
)
def test_hostile_members_are_refused(tmp_path: Path, hostile: tarfile.TarInfo, message: str) -> None:
    with pytest.raises(ArchiveError, match=message) as caught:
        extract(tmp_path, tar_gz(GOOD, hostile))
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "archive.tar.gz") in str(caught.value)
    assert tree(tmp_path).keys() <= {"archive.tar.gz", *(f"out/{name}" for name in GOOD)}
    assert not [path for path in tmp_path.rglob("*") if path.is_symlink()]


def test_a_link_cannot_lead_later_members_out(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    link = member("genres/blues", tarfile.SYMTYPE, target=str(tmp_path / "outside"))
    with pytest.raises(ArchiveError, match="which is a link"):
        extract(tmp_path, tar_gz({}, link, member("genres/blues/evil.wav")))
    assert not tree(tmp_path / "outside")


def test_bombs_are_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction, "MAX_TOTAL_BYTES", 100_000)
    monkeypatch.setattr(extraction, "MAX_MEMBERS", 50)
    many_bytes = {f"genres/{number}.wav": bytes(30_000) for number in range(4)}
    with pytest.raises(ArchiveError, match=r"'genres/3\.wav' of 30000 bytes, 120000 in all"):
        extract(tmp_path, tar_gz(many_bytes))
    with pytest.raises(ArchiveError, match="holds more than 50 files"):
        extract(tmp_path / "out", tar_gz({f"genres/{number}.wav": b"" for number in range(51)}))
    (tmp_path / "third").mkdir()
    behind_the_end = raw_tar_gz([gzip.decompress(tar_gz(GOOD)), bytes(10**7)])
    with pytest.raises(ArchiveError, match="holds more than 100000 bytes"):
        extract(tmp_path / "third", behind_the_end)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME], ids=["pax", "gnu"])
def test_a_header_cannot_fill_the_memory(tmp_path: Path, kind: bytes) -> None:
    header = member("genres/x", kind, n_bytes=2**31).tobuf(tarfile.GNU_FORMAT)
    with pytest.raises(ArchiveError, match="holds a header of more than 65536 bytes"):
        extract(tmp_path, raw_tar_gz([header, bytes(10**6)]))


@pytest.mark.parametrize(
    ("map_", "message"),
    [
        (b"99999999\n" + b"1\n" * 2**24, "holds a header of more than 65536 bytes"),
        (b"many\n" + bytes(512), "is damaged: invalid literal for int"),
    ],
)
def test_the_map_of_a_sparse_file_may_be_anything(tmp_path: Path, map_: bytes, message: str) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = member("genres/x.wav", n_bytes=len(map_))
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "1"}
        tar.addfile(info, io.BytesIO(map_))
    with pytest.raises(ArchiveError, match=message):
        extract(tmp_path, gzip.compress(stream.getvalue(), compresslevel=1))


def test_sparse_files_cannot_claim_more_than_a_file_may_have(tmp_path: Path) -> None:
    header = bytearray(member("genres/sparse.wav", tarfile.GNUTYPE_SPARSE).tobuf(tarfile.GNU_FORMAT))
    header[483:495] = b"77777777777\0"  # the size with its holes: 8 GiB
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + sum(header[156:512]) + 8 * 32)
    with pytest.raises(ArchiveError, match="of 8589934591 bytes"):
        extract(tmp_path, raw_tar_gz([bytes(header), bytes(1024)]))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<!DOCTYPE html>", "is damaged: Not a gzipped file"),
        (b"", "is damaged: .+"),
        (gzip.compress(b""), "is damaged: .+"),
        (gzip.compress(b"no tar at all" * 100), "is damaged: .+"),
        (tar_gz(GOOD)[:-1000], "is damaged: .+"),
        (tar_gz(GOOD)[:-1], "is damaged: .+"),
        (tar_gz(GOOD)[:-8] + b"\0\0\0\0" + tar_gz(GOOD)[-4:], "is damaged: CRC check failed"),
        (tar_gz(GOOD)[:10] + b"\xff" * 100, "is damaged: .*invalid block type"),
        (tar_gz(GOOD) + tar_gz(GOOD)[:10] + b"\xff" * 100, "is damaged: .*invalid block type"),
        (tar_gz({"Data/genres_original/blues/x.wav": b"x"}), "holds no files in genres/"),
        (tar_gz({}, member("genres", tarfile.DIRTYPE)), "holds no files in genres/"),
    ],
)
def test_damaged_and_other_archives(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(ArchiveError, match=message):
        extract(tmp_path, data)


NAMES = st.lists(st.sampled_from(["genres", "..", ".", "", "a", "b", "._c", "/"]), min_size=1, max_size=5).map("/".join)
KINDS = st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.AREGTYPE])
MEMBERS = st.builds(member, NAMES, KINDS, target=NAMES)


@given(members=st.lists(MEMBERS, max_size=6))
@settings(max_examples=200)
def test_nothing_comes_out_but_plain_files_below_the_folder(members: list[tarfile.TarInfo]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "genres").mkdir()
        (folder / "genres" / "a").write_bytes(b"somebody's own")
        try:
            sizes = extract(folder, tar_gz(GOOD, *members))
        except ArchiveError:
            sizes = {}
        found = [path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()]
        assert all(path.is_file() and not path.is_symlink() for path in found)
        below = {str(path.relative_to(folder / "out/genres")) for path in found if path.is_relative_to(folder / "out/genres")}
        outside = {str(path.relative_to(folder)) for path in found if not path.is_relative_to(folder / "out/genres")}
        assert outside == {"archive.tar.gz", "genres/a"}
        assert not sizes or below == set(sizes)
        assert (folder / "genres" / "a").read_bytes() == b"somebody's own"


@given(position=st.integers(0, 4000), value=st.integers(0, 255), compressed=st.booleans())
@settings(max_examples=150)
def test_an_altered_byte_is_found_or_harmless(position: int, value: int, compressed: bool) -> None:
    """Whatever the damage: this program's own error, or files below the folder."""
    data = bytearray(
        tar_gz({"genres/a.wav": noise(2000)}) if compressed else gzip.decompress(tar_gz({"genres/a.wav": b"a" * 2000}))
    )
    data[position % len(data)] = value
    with tempfile.TemporaryDirectory() as name:
        with contextlib.suppress(ArchiveError):
            extract(Path(name), bytes(data) if compressed else gzip.compress(bytes(data)))
        assert {path.parts[0] for path in (p.relative_to(name) for p in Path(name).rglob("*"))} <= {"archive.tar.gz", "out"}


def test_extraction_reads_what_another_tar_wrote(tmp_path: Path) -> None:
    """Long names and times in pax headers, as macOS writes them."""
    stream = io.BytesIO()
    name = f"genres/blues/{'long' * 40}.wav"
    with tarfile.open(fileobj=stream, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo(name)
        info.size, info.mtime = 3, 1234567890.25
        info.pax_headers = {"LIBARCHIVE.xattr.com.apple.quarantine": "MDA4Mw", "SCHILY.dev": "1"}
        tar.addfile(info, io.BytesIO(b"abc"))
    extract(tmp_path, stream.getvalue())
    assert tree(tmp_path / "out") == {name: b"abc"}
