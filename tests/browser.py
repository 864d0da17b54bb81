"""A headless Chromium, driven over its DevTools protocol: for scripts that look at pages as a reader does.

It needs Debian's package `chromium`, and no Python package beside Bokeh's own tornado.
"""

import asyncio
import base64
import contextlib
import json
import shutil
import subprocess
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from tornado.websocket import websocket_connect


class Tab:
    """One page, and what its console said.

    Attributes:
      errors: exceptions that nothing caught, and messages of the level "error".
      requested: addresses that the page asked for, those in itself apart.
    """

    def __init__(self, socket):
        self.errors: list[str] = []
        self.requested: list[str] = []
        self._socket, self._waiting, self._count = socket, {}, 0
        self._reader = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        while (text := await self._socket.read_message()) is not None:
            said = json.loads(text)
            if "id" in said:
                self._waiting.pop(said["id"]).set_result(said)
                continue
            told, method = said.get("params", {}), said["method"]
            if method == "Runtime.exceptionThrown":
                self.errors.append(str(told["exceptionDetails"]))
            elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "assert"):
                self.errors.append(str(told["args"]))
            elif method == "Log.entryAdded" and told["entry"]["level"] == "error":
                self.errors.append(str(told["entry"]))
            elif method == "Network.requestWillBeSent" and not told["request"]["url"].startswith(("data:", "blob:")):
                self.requested.append(told["request"]["url"])

    async def call(self, method: str, **params) -> dict[str, Any]:
        """Asks Chromium for something, and returns its answer."""
        self._count += 1
        answer = self._waiting[self._count] = asyncio.get_running_loop().create_future()
        await self._socket.write_message(json.dumps(dict(id=self._count, method=method, params=params)))
        said = await asyncio.wait_for(answer, 120)
        if "error" in said:
            raise RuntimeError(f"{method}: {said['error']}")
        return said["result"]

    async def evaluate(self, script: str) -> Any:
        """The value of an expression in the page, awaited if it is a promise."""
        said = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in said:
            raise RuntimeError(f"{script}: {said['exceptionDetails']}")
        return said["result"].get("value")

    async def open(self, path: Path, ready: str) -> None:
        """Opens a file, and waits until an expression holds in it."""
        await self.call("Page.navigate", url=path.resolve().as_uri())
        for _ in range(600):
            with contextlib.suppress(RuntimeError):  # of a page that is not there yet
                if await self.evaluate(ready):
                    return
            await asyncio.sleep(0.1)
        raise TimeoutError(f"{path}: {ready} did not hold within a minute. Console: {self.errors}")

    async def click(self, x: float, y: float) -> None:
        """Presses and releases the left button at a place in the window."""
        await self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def move(self, x: float, y: float) -> None:
        """Moves the pointer to a place in the window."""
        await self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    async def screenshot(self, path: Path) -> None:
        """Writes what the window shows as PNG."""
        path.write_bytes(base64.b64decode((await self.call("Page.captureScreenshot"))["data"]))


@contextlib.asynccontextmanager
async def chromium(width: int = 1400, height: int = 1000):
    """A Tab in a Chromium of its own, which ends with the block.

    Raises:
      FileNotFoundError: where there is no Chromium.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        raise FileNotFoundError("There is no chromium. Install Debian's package: apt-get install chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--no-first-run"]
        flags += [f"--user-data-dir={profile}", f"--window-size={width},{height}", "--disable-dev-shm-usage"]
        child = subprocess.Popen([program, *flags, "about:blank"], stderr=subprocess.DEVNULL)
        try:
            port = await _port(Path(profile) / "DevToolsActivePort")
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
                page = next(one for one in json.load(answer) if one["type"] == "page")
            socket = await websocket_connect(page["webSocketDebuggerUrl"], max_message_size=200 << 20)
            tab = Tab(socket)
            for domain in ("Runtime", "Log", "Page", "Network"):
                await tab.call(f"{domain}.enable")
            size = dict(width=width, height=height, deviceScaleFactor=1, mobile=False)
            await tab.call("Emulation.setDeviceMetricsOverride", **size)
            yield tab
            socket.close()
        finally:
            child.terminate()
            child.wait(20)


async def _port(file: Path) -> int:
    for _ in range(600):
        if file.exists() and (lines := file.read_text().split()):
            return int(lines[0])
        await asyncio.sleep(0.1)
    raise TimeoutError("Chromium did not open its port within a minute.")
