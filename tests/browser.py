"""Chromium without a window: how it is started, and a page in it that is looked at, clicked and asked, over a pipe."""

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from tests.waiting import HANG_SECONDS

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Tab:
    """A page in Chromium, by the DevTools protocol."""

    def __init__(self, to: BinaryIO, of: BinaryIO) -> None:
        self._to, self._of = to, of
        self._n_calls = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        """Asks Chromium to do something, and keeps the events that come before its answer."""
        self._n_calls += 1
        message = {"id": self._n_calls, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._to.write(json.dumps(message).encode() + b"\0")
        self._to.flush()
        while True:
            answer = json.loads(self._message())
            if answer.get("id") == self._n_calls:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self.events.append(answer)

    def _message(self) -> bytes:
        data = bytearray()
        while (byte := self._of.read(1)) != b"\0":
            assert byte, "Chromium has ended"
            data += byte
        return bytes(data)

    def ask(self, expression: str) -> Any:
        """The value of an expression in the page, which may be a promise."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Returns as soon as an expression is true."""
        while not self.ask(f"!!({condition})"):
            time.sleep(0.05)

    def resize(self, *, width: int, height: int) -> None:
        """Makes the window so many pixels large."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def show(self, url: str, *, width: int, height: int = 900) -> None:
        """Goes to an address in a window of so many pixels."""
        self.resize(width=width, height=height)
        self.call("Page.navigate", url=url)

    def choose_file(self, path: Path, *, selector: str = "input[type=file]") -> None:
        """Gives a page's input a file, as a user does who drops one."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path.resolve())])

    def click(self, element: str, *, x: float, until: str) -> None:
        """Clicks in the middle of an element's height, at a share of its width, until a condition is true.

        A page that is just being drawn loses clicks.
        """
        while not self.ask(f"!!({until})"):
            box = self.ask(f"({element}).getBoundingClientRect().toJSON()")
            place = {"x": box["x"] + x * box["width"], "y": box["y"] + box["height"] / 2}
            for kind in ("mousePressed", "mouseReleased"):
                self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)
            time.sleep(0.5)

    @property
    def requested(self) -> set[str]:
        """The addresses that pages have asked for so far."""
        return {event["params"]["request"]["url"] for event in self.events if event["method"] == "Network.requestWillBeSent"}


@contextmanager
def browser(folder: Path, *flags: str) -> Iterator[Tab]:
    """A tab of a Chromium whose profile lies in the folder; it is killed where it hangs."""
    assert CHROMIUM
    (asked, ask), (answer, answered) = os.pipe(), os.pipe()
    command = [CHROMIUM, *FLAGS, *flags, "--remote-debugging-pipe", f"--user-data-dir={folder / 'profile'}"]
    # Chromium reads from descriptor 3 and writes to 4.
    shell = ["/bin/bash", "-c", f'exec "$0" "$@" 3<&{asked} 4>&{answered}', *command]
    with (folder / "chromium.log").open("wb") as log:
        process = subprocess.Popen(shell, pass_fds=(asked, answered), stdout=log, stderr=log)
    os.close(asked)
    os.close(answered)
    watchdog = threading.Timer(HANG_SECONDS, process.kill)
    watchdog.start()
    try:
        with open(ask, "wb") as to, open(answer, "rb") as of:
            yield Tab(to, of)
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
