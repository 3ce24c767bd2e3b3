"""An HTTP server on loopback that holds one file, and behaves as badly as it is told to."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from beam_pipeline.corpora import resumable


@dataclass
class FileServer:
    """What the server holds and does; may be changed while it runs.

    Attributes:
        content: The file, at any path but those below.
        etag, last_modified: Sent with it where not empty.
        content_id: X-Linked-ETag of the redirects, which are at the paths of _REDIRECTS.
        ranges: Whether Range is heeded.
        if_range: Whether If-Range is heeded.
        total_in_range: Whether Content-Range names the size of the whole.
        shift: How many bytes before what was asked for a range begins.
        length: Whether Content-Length is sent.
        headers: More headers to send with the file.
        cuts: For each answer in turn, after how many bytes of the body the connection is closed.
        statuses: For each answer in turn, a status to refuse with.
        stalls: For how many answers nothing follows the first half of the body.
        stall_seconds: After which the connection of such an answer is closed.
        asked: The Range header of each request.
        n_bytes_sent: Of all bodies.
    """

    content: bytes = b""
    etag: str = '"1"'
    last_modified: str = ""
    content_id: str = ""
    ranges: bool = True
    if_range: bool = True
    total_in_range: bool = True
    shift: int = 0
    length: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    stalls: int = 0
    stall_seconds: float = 1.0
    asked: list[str | None] = field(default_factory=list)
    n_bytes_sent: int = 0
    url: str = ""


_REDIRECTS = {
    "/redirect": "/file",
    "/loop": "/loop",
    "/elsewhere": "ftp://127.0.0.1/file",
    "/broken": "http://[::1/file",
    "/endless": f"http://{'x' * 100}/file",
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: FileServer

    def do_GET(self) -> None:
        served = self.served
        self.close_connection = True
        if target := _REDIRECTS.get(self.path):
            self._head(302, {"Location": target, "Content-Length": "0", "X-Linked-ETag": served.content_id})
            return
        served.asked.append(self.headers["Range"])
        if served.statuses:
            self._head(served.statuses.pop(0), {"Content-Length": "0"})
            return
        self._send_file(served)

    def _send_file(self, served: FileServer) -> None:
        body, status, content_range = served.content, 200, ""
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        unchanged = self.headers["If-Range"] in (None, served.etag or served.last_modified)
        if asked and served.ranges and (unchanged or not served.if_range):
            start, total = int(asked[1]) - served.shift, len(body)
            if start >= total:
                self._head(416, {"Content-Range": f"bytes */{total}", "Content-Length": "0"})
                return
            content_range = f"bytes {start}-{total - 1}/{total if served.total_in_range else '*'}"
            body, status = body[start:], 206
        self._head(
            status,
            {
                "ETag": served.etag,
                "Last-Modified": served.last_modified,
                "Content-Range": content_range,
                "Content-Length": str(len(body)) if served.length else "",
                **served.headers,
            },
        )
        if served.cuts:
            body = body[: served.cuts.pop(0)]
        if served.stalls:
            served.stalls -= 1
            self.wfile.write(body[: len(body) // 2])
            time.sleep(served.stall_seconds)
            return
        for start in range(0, len(body), 2**16):
            block = body[start : start + 2**16]
            self.wfile.write(block)
            served.n_bytes_sent += len(block)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name that http.server gives it)
        """Keeps the tests' output quiet."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up, or is killed, is what the tests are about."""


@contextmanager
def serving(content: bytes, **behaviour: Any) -> Iterator[FileServer]:
    """Runs a server that holds a file; its `url` says where."""
    served = FileServer(content, **behaviour)
    handler = type("Handler", (_Handler,), {"served": served})
    server = _Server(("127.0.0.1", 0), handler)
    served.url = f"http://127.0.0.1:{server.server_port}/genres.tar.gz"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def reach_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Downloads go past a proxy, and try again without a pause."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(resumable, "REQUEST_RETRIES", resumable.REQUEST_RETRIES.new(backoff_factor=0))
    monkeypatch.setattr(resumable, "CUT_RETRIES", resumable.CUT_RETRIES.new(backoff_factor=0))
