"""Pages in a browser, as narrow as a phone and as wide as a desk's screen: nothing is cut off, and every picture is there."""

import html
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from keras_model.reports.report import write_report, write_summary
from keras_model.reports.run_statistics import summarise
from tests.browser import CHROMIUM, FLAGS
from tests.run_metrics import ByParts, by_number, metrics_of
from tests.tiny_dataset import TinyDataset
from tests.waiting import HANG_SECONDS
from tfrecords import show

WIDTHS = (390, 1200)

# Chromium's window has a least width: a frame stands for the phone. Each tells its picture sizes and what is wider than it.
MEASURE = """
<pre id="result"></pre>
<script>
addEventListener("load", () => {
  const results = {};
  for (const frame of [...document.querySelectorAll("iframe")]) {
    const page = frame.contentDocument, width = page.documentElement.clientWidth;
    const wide = [...page.body.querySelectorAll("*")].filter((element) => {
      const box = element.getBoundingClientRect();
      return box.width > 0 && (box.right > width + 0.5 || box.left < -0.5);
    });
    results[frame.id] = {
      width: width,
      scroll_width: page.documentElement.scrollWidth,
      pictures: [...page.images].map((picture) => picture.complete ? picture.naturalWidth : 0),
      wide: wide.filter((element) => !element.closest(".scroll")).map((element) => element.outerHTML.slice(0, 200)),
      scrolling: wide.filter((element) => element.closest(".scroll")).length,
    };
    frame.remove();
  }
  document.getElementById("result").textContent = JSON.stringify(results);
});
</script>
"""


def measure(page: Path, folder: Path) -> dict[str, Any]:
    """What each of WIDTHS makes of a page."""
    content = html.escape(page.read_text(encoding="utf-8"))
    frames = "".join(
        f'<iframe id="at{width}" style="border: 0; width: {width}px; height: 900px" srcdoc="{content}"></iframe>'
        for width in WIDTHS
    )
    outer = folder / "frames.html"
    outer.write_text(f'<!doctype html><meta charset="utf-8">{frames}{MEASURE}', encoding="utf-8")
    assert CHROMIUM
    command = [
        CHROMIUM,
        *FLAGS,
        "--virtual-time-budget=20000",
        f"--user-data-dir={folder / 'profile'}",
        "--dump-dom",
        outer.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=HANG_SECONDS)
    result = re.search(r'<pre id="result">(.*?)</pre>', done.stdout, re.DOTALL)
    assert result, done.stderr
    return json.loads(html.unescape(result[1]))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyDataset:
    return TinyDataset(tmp_path_factory.mktemp("tiny") / "dataset", tracks_per_genre=12, chunks=9)


def page_of(name: str, tiny: TinyDataset, folder: Path) -> Path:
    runs = [metrics_of(tiny, guess=by_number, seed=seed, n_epochs=200) for seed in (0, 1)]
    for run in runs:
        run["options"]["a_path"] = "/srv/" + "a-long-name/" * 20
    if name == "report":
        network: Any = ByParts()
        return write_report(runs[0], folder=folder, data=tiny.folder, manifest=tiny.manifest, network=network)
    if name == "summary":
        return write_summary(summarise({"shallow with batch norm": runs}), folder=folder)
    assert show.main([str(tiny.folder), "--output", str(folder / "dataset.html")]) == 0
    return folder / "dataset.html"


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize(("name", "least_pictures"), [("report", 60), ("summary", 4), ("dataset", 30)])
def test_a_page_fits_phone_and_desk(name: str, least_pictures: int, tiny: TinyDataset, tmp_path: Path) -> None:
    measured = measure(page_of(name, tiny, tmp_path), tmp_path)
    assert measured.keys() == {f"at{width}" for width in WIDTHS}
    for result in measured.values():
        assert len(result["pictures"]) >= least_pictures
        assert min(result["pictures"]) > 0
        assert result["scroll_width"] <= result["width"]
        assert result["wide"] == []
        # The dataset's page has a table with two columns for each split, which scrolls by itself on a phone.
        assert result["scrolling"] == 0 or (name == "dataset" and result["width"] <= 390)
    assert 300 < measured["at390"]["width"] <= 390


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_the_measurement_finds_what_is_wrong(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(
        '<!doctype html><meta charset="utf-8"><div style="width: 600px">x</div><img src="data:image/png;base64,AAAA">'
    )
    measured = measure(page, tmp_path)
    assert [len(measured[f"at{width}"]["wide"]) for width in WIDTHS] == [1, 0]
    assert measured["at390"]["scroll_width"] > measured["at390"]["width"]
    assert measured["at390"]["pictures"] == [0]
