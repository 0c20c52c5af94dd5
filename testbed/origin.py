"""An origin of HLS that costs next to nothing: every stream of any name plays, its rows move with the clock."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractContextManager

from testbed.processes import module

TARGET = 2
ROWS = 6
SEGMENT = b"\x47" + bytes(4095)
HEAD = b"HTTP/1.1 %d OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"


def playlist(now: float) -> bytes:
    """Return the media playlist of a moment."""
    first = int(now / TARGET) - ROWS
    rows = "".join(f"#EXTINF:{TARGET}.000,\nseg-{first + row}.ts?token=0123456789abcdef\n" for row in range(ROWS))
    head = f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:{TARGET}\n#EXT-X-MEDIA-SEQUENCE:{first}\n"
    return (head + rows).encode()


class Origin(asyncio.Protocol):
    """Answers each request at once: playlists, and the first bytes of segments."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._data = b""

    def data_received(self, data: bytes) -> None:
        """Answer every whole request."""
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            target, self._data = self._data.split(b" ", 2)[1], self._data[end + 4 :]
            if target.partition(b"?")[0].endswith(b".m3u8"):
                self._answer(200, b"application/vnd.apple.mpegurl", playlist(time.time()))
            else:
                self._answer(206, b"video/mp2t", SEGMENT)

    def _answer(self, status: int, kind: bytes, body: bytes) -> None:
        self._transport.write(HEAD % (status, kind, len(body)) + body)


async def serve() -> None:
    """Serve until the process ends; say the address first."""
    server = await asyncio.get_running_loop().create_server(Origin, "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def running() -> AbstractContextManager[str]:
    """Run the origin in another process; yields its address."""
    return module("testbed.origin")


if __name__ == "__main__":
    asyncio.run(serve())
