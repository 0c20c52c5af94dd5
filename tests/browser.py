"""A real Chromium without a window, driven through its DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse

BINARY = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-port=0",
)  # fmt: skip
PATIENCE = 30.0


@dataclass(slots=True)
class Tab:
    """One page in the browser.

    Attributes:
        complaints: What the console and the browser complained about: errors, violations of the policy, exceptions.
    """

    socket: ClientWebSocketResponse
    complaints: list[str] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _waiting: dict[int, asyncio.Future[Any]] = field(default_factory=dict)

    async def listen(self) -> None:
        """Take what the browser says until it hangs up."""
        async for message in self.socket:
            said = json.loads(message.data)
            if "id" in said:
                waiting = self._waiting.pop(said["id"])
                if not waiting.done():
                    waiting.set_result(said)
            else:
                self._notice(said["method"], said.get("params", {}))

    def _notice(self, method: str, told: dict[str, Any]) -> None:
        if method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.complaints.append(told["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(told["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            self.complaints.append(json.dumps(told["args"]))
        elif method == "Audits.issueAdded" and "SecurityPolicy" in told["issue"]["code"]:
            self.complaints.append(json.dumps(told["issue"]))

    async def do(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Give one command; returns its result."""
        number = next(self._numbers)
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self.socket.send_json({"id": number, "method": method, "params": parameters})
        said = await asyncio.wait_for(waiting, PATIENCE)
        if "error" in said:
            raise RuntimeError(f"{method}: {said['error']}")
        result: dict[str, Any] = said["result"]
        return result

    async def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression, awaited if it is a promise."""
        result = await self.do("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(str(result["exceptionDetails"]))
        return result["result"].get("value")

    async def open(self, address: str) -> None:
        """Load a page and wait until it stands."""
        await self.do("Page.navigate", url=address)
        await self.until(f"location.href.startsWith({json.dumps(address[:40])}) && document.readyState === 'complete'")

    async def until(self, expression: str) -> None:
        """Look again and again until an expression is true.

        Raises:
            TimeoutError: It stays false.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                while not await self._holds(expression):  # noqa: ASYNC110, the browser has no event for it
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise TimeoutError(f"never true: {expression}") from None

    async def _holds(self, expression: str) -> bool:
        # While a page is being left there is nothing that could be asked.
        with suppress(RuntimeError):
            return bool(await self.evaluate(expression))
        return False

    async def look(self, width: int, dark: bool, height: int = 900) -> None:
        """Set the window's width and the colour scheme."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        await self.do("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.do("Emulation.setEmulatedMedia", features=[scheme])

    async def screenshot(self) -> bytes:
        """Draw the whole page as PNG."""
        result = await self.do("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(result["data"])


@asynccontextmanager
async def chromium() -> AsyncIterator[Callable[[], Any]]:
    """Run Chromium with a fresh profile; yields a function that opens a tab."""
    assert BINARY is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        quiet = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            BINARY, *FLAGS, f"--user-data-dir={profile}", "about:blank", stdout=quiet, stderr=quiet
        )
        try:
            port = await _port(Path(profile) / "DevToolsActivePort")
            async with ClientSession() as session:
                yield lambda: _tab(session, port)
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


async def _port(file: Path) -> int:
    async with asyncio.timeout(PATIENCE):
        while (port := _written(file)) is None:  # noqa: ASYNC110, a file is all that Chromium tells it by
            await asyncio.sleep(0.05)
    return port


def _written(file: Path) -> int | None:
    text = file.read_text() if file.exists() else ""
    return int(text.split()[0]) if "\n" in text else None


@asynccontextmanager
async def _tab(session: ClientSession, port: int) -> AsyncIterator[Tab]:
    async with session.put(f"http://127.0.0.1:{port}/json/new?about:blank") as reply:
        address = (await reply.json())["webSocketDebuggerUrl"]
    async with session.ws_connect(address, max_msg_size=0) as socket:
        tab = Tab(socket)
        listening = asyncio.create_task(tab.listen())
        for domain in ("Page", "Runtime", "Log", "Audits"):
            await tab.do(f"{domain}.enable")
        try:
            yield tab
        finally:
            await tab.do("Page.close")
            listening.cancel()
