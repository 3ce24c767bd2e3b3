"""The dataset's README.md: a card that the Hub's client reads, whatever the names in it are."""

import dataclasses
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, cast

import pytest
from huggingface_hub import DatasetCard
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from beam_pipeline.options import MaxRejected
from tests.helpers import WriteCorpus, build
from tests.tiny_dataset import TinyDataset
from tfrecords.cards import TrackTally, derived_files
from tfrecords.dataset.corpus import CorpusInfo
from tfrecords.dataset.gtzan import GENRES
from tfrecords.dataset.left_out import LeftOut
from tfrecords.dataset.manifest import Manifest
from tfrecords.dataset.tracks import TrackLine
from tfrecords.front_end.augmentation import AUGMENTATIONS

NASTY = 'a|b `c` <b>d</b> *e* _f_ [g](h) "i" \\ #j & $k$ : - ~~l~~ \U0001f3b5 --- {m} !n @o \u202e'
SHOWN = NASTY.replace("\u202e", "\\u202e")


class Page(HTMLParser):
    """A card as a browser has it.

    Attributes:
        rows: The cells of all tables.
        texts: Of headings, paragraphs and items of lists.
        tags: Of everything.
    """

    def __init__(self, card: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.texts: list[str] = []
        self.tags: set[str] = set()
        self._open: list[str] | None = None
        self.feed(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(DatasetCard(card).text))

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th", "h1", "h2", "p", "li"):
            self._open = self.rows[-1] if tag in ("td", "th") else self.texts
            self._open.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "h1", "h2", "p", "li"):
            self._open = None

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self._open[-1] += data


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return TinyDataset(tmp_path_factory.mktemp("card") / "tiny").manifest


def track_line(track_id: str, genre: str) -> TrackLine:
    audio = {"n_samples": 20505, "audio_blake3": "0" * 64, "start_samples": [0, 10252, 20504]}
    return cast(TrackLine, {"track_id": track_id, "path": "", "genre": genre, "label": 0, "split": "train", **audio})


def card_of(manifest: Manifest, tally: TrackTally | None = None, **changes: Any) -> str:
    return derived_files(dataclasses.replace(manifest, **changes), tally or TrackTally())["README.md"].decode()


def test_a_card_of_a_run(write_corpus: WriteCorpus, tmp_path: Path) -> None:
    corpus = write_corpus(n_tracks=4)
    for number in range(7):
        (corpus / "genres" / "hum" / f"bad.{number}.wav").write_bytes(b"no audio")
    manifest = build(corpus, tmp_path / "out", license="CC-BY-4.0", max_rejected=MaxRejected(tracks=7)).manifest
    card = DatasetCard.load(tmp_path / "out" / "README.md")
    assert card.data.to_dict() == {
        "license": "cc-by-4.0",
        "task_categories": ["audio-classification"],
        "tags": ["music", "audio", "log-mel-spectrogram", "tfrecord"],
        "pretty_name": "corpus, log-mel spectrograms",
        "size_categories": ["n<1K"],
    }
    page = Page((tmp_path / "out" / "README.md").read_text())
    assert page.rows[:5] == [
        ["genre", "train: tracks", "train: records", "test: tracks", "test: records"],
        ["hum", "3", "12", "1", "4"],
        ["noise", "3", "12", "1", "4"],
        ["ticks", "3", "12", "1", "4"],
        ["all", "9", "36", "3", "12"],
    ]
    numbers = {row[0]: row[1] for row in page.rows[5:]}
    assert {name: numbers[name] for name in ("preset", "n_fft", "log_offset", "centered", "split scheme")} == {
        "preset": "paper",
        "n_fft": "2048",
        "log_offset": "1e-06",
        "centered": "True",
        "split scheme": "stratified, by track",
    }
    assert numbers["librosa"] == manifest.libraries["librosa"]
    names = ", ".join(f"hum/bad.{number}.wav" for number in range(5))
    assert f"7 × does not decode: {names} and 2 more" in page.texts
    assert "Licence: CC-BY-4.0, as given by whoever ran the pipeline." in page.texts
    assert manifest.left_out == {"does not decode": LeftOut(n_tracks=7, first=tuple(names.split(", ")))}


def test_names_are_shown_as_they_are(manifest: Manifest) -> None:
    tally = TrackTally()
    tally.add(track_line("x", NASTY))
    page_text = card_of(
        manifest,
        tally,
        corpus=CorpusInfo(name=NASTY),
        genres=(NASTY, "z"),
        license=NASTY,
        left_out={"too short": LeftOut(n_tracks=1, first=(NASTY,))},
    )
    page = Page(page_text)
    assert page.tags <= {"h1", "h2", "p", "ul", "li", "code", "pre", "table", "thead", "tbody", "tr", "th", "td"}
    assert f"{SHOWN}: log-mel spectrograms" in page.texts
    assert [SHOWN, "1", "3", "0", "0", "0", "0"] in page.rows
    assert f"Licence: {SHOWN}, as given by whoever ran the pipeline." in page.texts
    assert f"1 × too short: {SHOWN}" in page.texts
    data = DatasetCard(page_text).data
    assert (data.get("license"), data.get("pretty_name")) == ("other", f"{SHOWN}, log-mel spectrograms")


@given(st.text(st.characters(), min_size=1, max_size=30))
def test_no_name_breaks_the_card(manifest: Manifest, name: str) -> None:
    """Any text at all, surrogates too: a card has the same headings and rows."""
    card = card_of(manifest, corpus=CorpusInfo(name=name), genres=(name, "z"), license=name)
    page, plain = Page(card), Page(card_of(manifest, corpus=CorpusInfo(name="x"), genres=("x", "z"), license="x y"))
    assert page.tags == plain.tags
    assert list(map(len, page.rows)) == list(map(len, plain.rows))
    shown = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in name)
    assert DatasetCard(card).data.get("pretty_name") == f"{shown}, log-mel spectrograms"
    assert page.rows[1][0] == shown.strip()


@pytest.mark.parametrize(
    ("n_records", "size"),
    [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (99_999, "10K<n<100K"), (100_000, "100K<n<1M"), (2 * 10**9, "1B<n<10B")],
)
def test_the_hubs_sizes(manifest: Manifest, n_records: int, size: str) -> None:
    splits = {"train": dataclasses.replace(manifest.splits["train"], n_records=n_records)}
    assert DatasetCard(card_of(manifest, splits=splits)).data.get("size_categories") == [size]


def test_what_is_known_of_the_corpus(manifest: Manifest) -> None:
    assert "SYNTHETIC, not music" in card_of(manifest)
    assert "synthetic" in DatasetCard(card_of(manifest)).data.get("tags")
    tally = TrackTally()
    for genre in GENRES:
        tally.add(track_line(f"{genre}.00007", genre))
    gtzan = {"corpus": CorpusInfo(name="GTZAN"), "genres": GENRES}
    assert "43 conspicuous and 63 contentious mislabelings" in card_of(manifest, tally, **gtzan)
    tally.add(track_line("blues.mine", "blues"))
    assert "None are known" in card_of(manifest, tally, **gtzan)


def test_deformed_records_are_counted(tmp_path: Path) -> None:
    tiny = TinyDataset(tmp_path / "tiny", augmentation=AUGMENTATIONS["stretch-pitch"])
    tiny.write_derived()
    page = Page((tmp_path / "tiny" / "README.md").read_text())
    assert ["jazz", "2", "54", "2", "6", "2", "6"] in page.rows
    assert ["all", "6", str(tiny.manifest.splits["train"].n_records), "6", "18", "6", "18"] in page.rows
    assert ["deformed chunks of each train track", "24, stretch-pitch"] in page.rows
