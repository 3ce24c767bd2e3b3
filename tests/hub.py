"""A server on loopback that speaks the Hugging Face Hub's protocol for one file, and behaves as badly as it is told to."""

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_COMMIT = "0123456789abcdef0123456789abcdef01234567"
_FILE = re.compile(rf"/datasets/marsyas/gtzan/resolve/(main|{_COMMIT})/data/genres\.tar\.gz")


@dataclass
class Hub:
    """What the Hub holds and does; may be changed while it runs.

    Like the real one, it tells a file's ETag and size, and redirects to a store on another host, which sends the bytes.

    Attributes:
        content: The file.
        status: With which the Hub answers, where it is not 0.
        cuts: For each answer of the store in turn, after how many bytes of the body the connection is closed.
        stalls: Whether nothing happens instead, until the test ends.
        asked: The Range header of each request to the store.
        tokens: The Authorization headers, with the first part of the path.
    """

    content: bytes
    status: int = 0
    cuts: list[int] = field(default_factory=list)
    stalls: bool = False
    asked: list[str | None] = field(default_factory=list)
    tokens: set[tuple[str, str | None]] = field(default_factory=set)
    over: threading.Event = field(default_factory=threading.Event)
    url: str = ""


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_HEAD(self) -> None:
        hub = self.hub
        hub.tokens.add((self.path.split("/")[1], self.headers["Authorization"]))
        if hub.status or not _FILE.fullmatch(self.path):
            self._head(hub.status or 404, {"X-Error-Code": "EntryNotFound" if hub.status == 404 else ""})
            return
        etag = hashlib.sha256(hub.content).hexdigest()  # as for every large file
        version = {"X-Repo-Commit": _COMMIT, "X-Linked-ETag": f'"{etag}"', "X-Linked-Size": len(hub.content)}
        self._head(302, version | {"Location": f"http://localhost:{hub.url.rpartition(':')[2]}/store/{etag}"})

    def do_GET(self) -> None:
        hub, asked, total = self.hub, self.headers["Range"], len(self.hub.content)
        if not self.path.startswith("/store/"):
            self.do_HEAD()
            return
        hub.tokens.add(("store", self.headers["Authorization"]))
        hub.asked.append(asked)
        start = int(asked[len("bytes=") : -1]) if asked else 0
        part = {"Content-Range": f"bytes {start}-{total - 1}/{total}"} if asked else {}
        self._head(206 if asked else 200, part, n_bytes=total - start)
        end = start + hub.cuts.pop(0) if hub.cuts else total
        self.wfile.write(hub.content[start:end])
        if end < total and hub.stalls:
            hub.over.wait()

    def _head(self, status: int, headers: dict[str, Any], *, n_bytes: int = 0) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": n_bytes}).items():
            self.send_header(name, str(value))
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name that http.server gives it)
        """Keeps the tests' output quiet."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is killed is what the tests are about."""


@contextmanager
def serving(content: bytes) -> Iterator[Hub]:
    """Runs a Hub that holds a file; its `url` is for HF_ENDPOINT."""
    hub = Hub(content)
    with _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub})) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield hub
        hub.over.set()
        server.shutdown()
