"""Headless Chromium, driven through its DevTools protocol over a pipe: no driver and no websocket library needed."""

import base64
import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Software WebGL, so that it also draws where there is no GPU; the sandbox does not work for root.
OPTIONS = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]

# The protocol wants file descriptors 3 (in) and 4 (out), which may be ours: so both are moved out of the way first.
LAUNCH = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(number), fcntl.F_DUPFD_CLOEXEC, 10) for number in sys.argv[1:3]]
os.dup2(ends[0], 3)
os.dup2(ends[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Page:
    """One page: what it wrote to the console, what it asked the network for, and what an expression is in it."""

    def __init__(self, reader: int, writer: int) -> None:
        self._reader, self._writer, self._unread, self._number = reader, writer, b"", 0
        self.events: list[dict] = []
        self._session: str | None = None
        self._target: str | None = None

    def _renew(self) -> None:
        """A tab of its own for every page: what the last page still says late belongs to another session."""
        self._session = None
        if self._target:
            self.call("Target.closeTarget", targetId=self._target)
        self._target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=self._target, flatten=True)["sessionId"]
        self.events.clear()
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict:
        """The result of a method of the protocol; events that come before it are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        os.write(self._writer, json.dumps(message | ({"sessionId": self._session} if self._session else {})).encode())
        os.write(self._writer, b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            if answer.get("sessionId") == self._session:
                self.events.append(answer)

    def _receive(self, seconds: float = 120) -> dict:
        deadline = time.monotonic() + seconds
        while b"\0" not in self._unread:
            assert select.select([self._reader], [], [], max(0.0, deadline - time.monotonic()))[0], "no answer"
            part = os.read(self._reader, 1 << 20)
            assert part, "Chromium ended"
            self._unread += part
        text, _, self._unread = self._unread.partition(b"\0")
        return json.loads(text)

    def open(self, path: Path, width: int = 1400, height: int = 900, mobile: bool = False) -> None:
        """Open a file in a new tab, with a window of that size, and wait until it has loaded."""
        self._renew()
        self.resize(width, height, mobile)
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.wait("document.readyState === 'complete' && location.protocol === 'file:'")

    def resize(self, width: int, height: int, mobile: bool = False) -> None:
        """Set the size of the window; `mobile` also makes it a touch screen."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)

    def value(self, expression: str) -> Any:
        """What an expression (a promise is awaited) is in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, expression: str, seconds: float = 60) -> None:
        """Until an expression is true in the page."""
        deadline = time.monotonic() + seconds
        while not self.value(expression):
            assert time.monotonic() < deadline, f"did not become true: {expression}"
            time.sleep(0.1)

    def screenshot(self, path: Path) -> None:
        """What the window shows, as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def errors(self) -> list[str]:
        """Errors and warnings in the console, and exceptions."""
        found = []
        for event in self.events:
            details = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                found.append(str(details["exceptionDetails"]))
            elif event.get("method") == "Log.entryAdded" and details["entry"]["level"] in ("error", "warning"):
                found.append(details["entry"]["text"])
            elif event.get("method") == "Runtime.consoleAPICalled" and details["type"] in ("error", "warning"):
                found.append(str([part.get("value") for part in details["args"]]))
        return found

    def requests(self) -> list[str]:
        """Addresses that the page asked for, but the data that it carries itself."""
        asked = [event["params"] for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        return [url for part in asked if not (url := part["request"]["url"]).startswith(("data:", "blob:"))]


@contextlib.contextmanager
def chromium(program: str, profile: Path) -> Iterator[Page]:
    """A page of a headless Chromium, which ends with the context."""
    from_us, to_browser = os.pipe()
    from_browser, to_us = os.pipe()
    command = [sys.executable, "-c", LAUNCH, str(from_us), str(to_us), program, *OPTIONS, f"--user-data-dir={profile}"]
    browser = subprocess.Popen(command, pass_fds=(from_us, to_us), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(from_us)
    os.close(to_us)
    try:
        page = Page(from_browser, to_browser)
        yield page
        page._session = None
        page.call("Browser.close")
    finally:
        os.close(to_browser)
        os.close(from_browser)
        try:
            browser.wait(10)
        except subprocess.TimeoutExpired:
            browser.kill()
            browser.wait()
