"""What stands in a self-contained page."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

_PNG = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=]+)")


class Page(HTMLParser):
    """The pictures of a page by their titles, what it loads or links to, and its text.

    Attributes:
        pictures: The PNG files by their alternative texts.
        loads: Elements that would load something that is not in the page.
        links: Where links lead.
        tags: The names of all elements, in order.
        text: All text, style sheets included.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.pictures: dict[str, bytes] = {}
        self.loads: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        source = values.get("src") or ""
        self.tags.append(tag)
        if png := _PNG.fullmatch(source):
            self.pictures[values.get("alt") or ""] = base64.b64decode(png[1])
        elif source or tag in ("link", "script", "iframe"):
            self.loads.append(f"{tag} {source}")
        if "href" in values:
            self.links.append(values["href"] or "")

    def handle_data(self, data: str) -> None:
        self.text += data
