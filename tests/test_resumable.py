"""A transfer that is cut, refused, stalled or changed under way: in the end the file is whole, and of one version."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_pipeline.corpora import resumable
from beam_pipeline.corpora.resumable import DownloadError
from tests.file_server import FileServer, reach_at_once, serving
from tests.transfers import N_BYTES, NEW, OLD, cut_off, fetch


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    reach_at_once(monkeypatch)


def test_a_cut_transfer_goes_on_where_it_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(OLD, cuts=[100_000, 50_000, 0, 90_000]) as served:
        assert fetch(served, tmp_path / "file", n_bytes=N_BYTES) == OLD
        assert served.asked[0] is None
        assert all(asked and asked.startswith("bytes=") for asked in served.asked[1:])
        assert len(served.asked) == 5
        # Of each cut, less than a block of 64 KiB may be lost on the way.
        assert served.n_bytes_sent < N_BYTES + 4 * 2**16
    assert capsys.readouterr().err.count("bytes (the connection ended); trying again") == 4


def test_the_next_run_goes_on_too(tmp_path: Path) -> None:
    with serving(OLD) as served:
        the_rest = cut_off(served, tmp_path / "file")
        assert fetch(served, tmp_path / "file") == OLD
        assert served.asked == [the_rest]
        assert fetch(served, tmp_path / "file") == OLD
        assert len(served.asked) == 1, "a whole file is not asked for again"


@pytest.mark.parametrize(
    "change",
    [
        lambda served: setattr(served, "ranges", False),
        lambda served: served.__dict__.update(content=NEW, etag='"2"'),
        lambda served: served.__dict__.update(content=NEW, etag='"2"', if_range=False),
        lambda served: served.__dict__.update(content=NEW[:250_000], etag='"1"', if_range=False),
        lambda served: served.__dict__.update(content=NEW[:1000], etag='"2"', if_range=False),
        lambda served: served.__dict__.update(content=NEW, etag="", if_range=False),
        lambda served: setattr(served, "shift", 10),
    ],
    ids=[
        "ignores Range",
        "new ETag",
        "new ETag, ignores If-Range",
        "another size",
        "shorter than the part",
        "lost its ETag",
        "sends another range",
    ],
)
def test_parts_of_two_versions_are_never_joined(tmp_path: Path, change: Callable[[FileServer], None]) -> None:
    with serving(OLD) as served:
        cut_off(served, tmp_path / "file")
        change(served)
        assert fetch(served, tmp_path / "file") == served.content


def test_the_part_of_another_address_is_not_continued(tmp_path: Path) -> None:
    with serving(OLD) as served, serving(NEW) as other:
        cut_off(served, tmp_path / "file")
        assert fetch(other, tmp_path / "file") == NEW
        assert other.asked == [None]


@pytest.mark.parametrize("note", ["", "{", "[1]", '{"url": "x"}'])
def test_a_part_of_unknown_origin_is_not_continued(tmp_path: Path, note: str) -> None:
    (tmp_path / "file").write_bytes(NEW[:1000])
    (tmp_path / "file.version.json").write_text(note)
    with serving(OLD) as served:
        assert fetch(served, tmp_path / "file") == OLD


@pytest.mark.parametrize("checked", [True, False])
def test_without_any_tag_parts_are_joined_only_where_the_result_is_checked(tmp_path: Path, checked: bool) -> None:
    with serving(OLD, etag="") as served:
        the_rest = cut_off(served, tmp_path / "file", then=0 if checked else 200_000, checked=checked)
        assert fetch(served, tmp_path / "file", checked=checked) == OLD
        assert served.asked == ([the_rest] if checked else [the_rest, None])


def test_a_date_serves_where_there_is_no_strong_etag(tmp_path: Path) -> None:
    with serving(OLD, etag='W/"1"', last_modified="Mon, 14 Mar 2022 14:54:59 GMT", if_range=False) as served:
        the_rest = cut_off(served, tmp_path / "file")
        assert fetch(served, tmp_path / "file") == OLD
        assert served.asked == [the_rest]


@pytest.mark.parametrize("etags", [("", ""), ('"cdn 1"', '"cdn 2"')], ids=["no ETag", "ETags differ"])
def test_behind_hugging_faces_redirect_its_name_for_the_content_counts(tmp_path: Path, etags: tuple[str, str]) -> None:
    with serving(OLD, content_id='"sha256 of old"', etag=etags[0]) as served:
        the_rest = cut_off(served, tmp_path / "file", at="/redirect")
        served.etag, served.n_bytes_sent = etags[1], 0
        assert fetch(served, tmp_path / "file", at="/redirect") == OLD
        assert served.asked == [the_rest]
        assert served.n_bytes_sent < N_BYTES
        (tmp_path / "file").unlink()
        cut_off(served, tmp_path / "file", at="/redirect")
        served.content, served.content_id = NEW, '"sha256 of new"'
        assert fetch(served, tmp_path / "file", at="/redirect") == NEW


def test_sizes_that_the_server_does_not_tell(tmp_path: Path) -> None:
    with serving(OLD, length=False, total_in_range=False) as served:
        assert fetch(served, tmp_path / "file") == OLD
        assert fetch(served, tmp_path / "file") == OLD
        assert len(served.asked) == 1, "the first run's end was the file's end"
    with serving(OLD, total_in_range=False) as served:
        cut_off(served, tmp_path / "other")
        served.length, served.cuts = False, [50_000]
        assert fetch(served, tmp_path / "other") == OLD, "the size that was told first still counts"
        assert len(served.asked) == 2


def test_a_compressed_file_is_not_decompressed_on_the_way(tmp_path: Path) -> None:
    with serving(OLD, headers={"Content-Encoding": "gzip"}) as served:
        assert fetch(served, tmp_path / "file") == OLD


def test_silence_is_a_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumable, "SILENCE_SECONDS", 0.2)
    with serving(OLD, stalls=1) as served:
        assert fetch(served, tmp_path / "file") == OLD
        assert len(served.asked) == 2


VERSIONS = {"old": OLD, "new": NEW, "short": NEW[:150_000]}
RUNS = st.lists(
    st.fixed_dictionaries(
        {
            "version": st.sampled_from(sorted(VERSIONS)),
            "cuts": st.lists(st.integers(0, N_BYTES), max_size=3),
            "ranges": st.booleans(),
            "if_range": st.booleans(),
            "tagged": st.booleans(),
            "length": st.booleans(),
        }
    ),
    min_size=1,
    max_size=4,
)


@given(runs=RUNS)
@settings(max_examples=40)
def test_whatever_happens_the_file_is_one_version(runs: list[dict[str, Any]]) -> None:
    """A body without a length ends where the connection does, so those are not cut here: nobody could tell."""
    with tempfile.TemporaryDirectory() as name, serving(OLD) as served, pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_proxy", "127.0.0.1")
        patch.setattr(resumable, "CUT_RETRIES", resumable.CUT_RETRIES.new(total=1, backoff_factor=0))
        path = Path(name) / "file"
        for run in runs:
            version = run["version"]
            served.content, served.etag = VERSIONS[version], f'"{version}"' if run["tagged"] else ""
            served.ranges, served.if_range, served.length = run["ranges"], run["if_range"], run["length"] or bool(run["cuts"])
            served.cuts = list(run["cuts"])
            try:
                assert fetch(served, path) in VERSIONS.values()
            except DownloadError:
                assert not path.exists() or any(content.startswith(path.read_bytes()) for content in VERSIONS.values())
