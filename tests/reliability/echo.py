"""A cloud that answers with everything it was sent, in whatever place a careless client might show."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

PUSH = (
    "rtmp://push.example/live/s?txSecret=CANARY0tx0secret&txTime=6F000000 "
    "rtmp://push.example/live/s?auth_key=1893456000-0-0-CANARY0auth0key https://x.example/?sign=CANARY0sign&a=b"
)
MODES = ("error", "listed", "code", "state", "rows", "html", "text", "redirect", "headers", "throttle", "encoded")
# What is repeated; messages are cut, so each has its turn to stand first.
WORDS = ("all", "signature", "authorization", "url", "body", "push", "auth_key")
LISTED = {"zego": 5, "tencent": "AuthFailure.SignatureFailure", "alibaba": "SignatureDoesNotMatch",
          "volcengine": "SignatureDoesNotMatch"}  # fmt: skip
THROTTLED = {"zego": 206, "tencent": "RequestLimitExceeded", "alibaba": "Throttling.User",
             "volcengine": "FlowLimitExceeded"}  # fmt: skip
# What the mode `encoded` makes of a secret for its RequestId, which must look like one, and for its message.
FOR_IDS: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "inside": lambda text: f"5D1E8A7C-{text}-22F0",
    "capitals": str.upper,
    "hex": lambda text: text.encode().hex(),
    "base64": lambda text: base64.b64encode(text.encode()).decode().rstrip("="),
    "base64 of a pair": lambda text: (
        base64.urlsafe_b64encode(f"id:{text}".encode()).decode().rstrip("=").replace("_", "-")
    ),
}
ENCODINGS: dict[str, Callable[[str], str]] = {
    **FOR_IDS,
    "json": lambda text: "".join(f"\\u{ord(sign):04x}" for sign in text),
    "percent": lambda text: "".join(f"%{ord(sign):02X}" for sign in text),
    "percent twice": lambda text: "".join(f"%25{ord(sign):02X}" for sign in text),
    "html": lambda text: "".join(f"&#{ord(sign)};" for sign in text),
    "lines": lambda text: text[:4] + "\n" + text[4:],
}
SIGNATURE = re.compile(r"(?:^|[?&,\s])Signature=([^&,\s]+)")


@dataclass
class Echo:
    """What was received, and how to answer.

    Attributes:
        mode: One of `MODES`.
        words: One of `WORDS`.
        signatures: Every signature received, decoded and as it came.
        heads: How many requests came.
        ids: How many answers had a secret for a RequestId.
    """

    url: str = ""
    mode: str = "error"
    words: str = "all"
    signatures: set[str] = field(default_factory=set)
    heads: int = 0
    ids: int = 0

    def answer(self, head: str, body: str) -> bytes:
        """Return the answer to a request."""
        self.heads += 1
        for found in SIGNATURE.findall(head):
            self.signatures |= {found, unquote(found)}
        said = self._said(head, body)
        status, kind, text = self._content(_provider(head), said, _authorization(head))
        lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(text.encode())}"]
        if self.mode in ("redirect", "headers"):
            flat = " ".join(said.split())
            lines += [f"Location: http://elsewhere/?{flat}", f"X-Acs-Request-Id: {flat}", f"Retry-After: {flat}"]
        return ("\r\n".join(lines) + "\r\n\r\n" + text).encode()

    def _said(self, head: str, body: str) -> str:
        signature = SIGNATURE.search(head)
        words = {
            "all": f"you sent {head} {body} and {unquote(head)} and push to {PUSH}",
            "signature": f"SignatureDoesNotMatch: {signature[1] if signature else ''} is not what we calculated",
            "authorization": f"bad {_authorization(head)}",
            "url": unquote(head.split()[1])[-100:],
            "body": f"StringToSign is {body[-80:]}",
            "push": PUSH,
            "auth_key": PUSH[70:],
        }
        return words[self.words]

    def _content(self, provider: str, said: str, signed: str) -> tuple[str, str, str]:
        if self.mode == "html":
            return "502 Bad Gateway", "text/html", f"<html>{said}</html>"
        if self.mode == "text":
            return "200 OK", "text/plain", said
        if self.mode == "redirect":
            return "302 Found", "text/html", said
        codes: dict[str, Any] = {"listed": LISTED[provider], "throttle": THROTTLED[provider], "code": signed or said}
        payload = ENVELOPES[provider](codes.get(self.mode, "Made.Up"), said)
        if self.mode == "encoded":
            payload = self._encoded(provider, said.partition(" and push to ")[0])
        if self.mode in ("state", "rows"):
            payload = STATES[provider](said)
        return "200 OK", "application/json", json.dumps(payload)

    def _encoded(self, provider: str, said: str) -> dict[str, Any]:
        """Return an error whose RequestId is a secret of the request, and whose message has it, each in its turn."""
        secrets = re.findall(r"CANARY0\w+|(?<=Signature=)[0-9a-f]{32,}", said)
        number = self.heads
        secret = secrets[number % len(secrets)] if secrets else "nothing"
        number //= max(1, len(secrets))
        shaped = list(FOR_IDS.values())[number % len(FOR_IDS)](secret)[:128]
        message = list(ENCODINGS.values())[number % len(ENCODINGS)](secret)
        payload = ENVELOPES[provider]("Made.Up", f"bad: {message} here")
        for holder in (payload, payload.get("Response"), payload.get("ResponseMetadata")):
            if isinstance(holder, dict) and "RequestId" in holder:
                holder["RequestId"] = shaped
                self.ids += 1
        return payload


def _provider(head: str) -> str:
    if "TC3-HMAC" in head or "x-tc-action" in head.lower():
        return "tencent"
    if "ACS3-HMAC" in head or "SignatureMethod" in head:
        return "alibaba"
    return "volcengine" if "HMAC-SHA256" in head else "zego"


def _authorization(head: str) -> str:
    found = re.search(r"(?im)^authorization: (.*)$", head)
    return found[1].strip() if found else ""


ENVELOPES: dict[str, Callable[[Any, str], dict[str, Any]]] = {
    "zego": lambda code, said: {"Code": code if isinstance(code, int) else 99, "Message": said, "RequestId": said},
    "tencent": lambda code, said: {"Response": {"Error": {"Code": code, "Message": said}, "RequestId": said}},
    "alibaba": lambda code, said: {"Code": code, "Message": said, "RequestId": said, "HostId": said},
    "volcengine": lambda code, said: {
        "ResponseMetadata": {"RequestId": said, "Error": {"Code": code, "Message": said}}
    },
}
STATES: dict[str, Callable[[str], dict[str, Any]]] = {
    "zego": lambda said: {"Code": 0, "Message": said, "RequestId": said,
                          "Data": {"StreamList": [{"StreamId": said}], "create_time": said}},
    "tencent": lambda said: {"Response": {"StreamState": said, "RequestId": said, "PublishUrl": PUSH,
                                          "StreamInfoList": [{"StreamName": said, "BackupList": said}]}},
    "alibaba": lambda said: {"StreamState": said, "RequestId": said, "PublishUrl": PUSH, "Type": said,
                             "OnlineInfo": {"LiveStreamOnlineInfo": [{"PublishUrl": PUSH, "StreamName": said}]}},
    "volcengine": lambda said: {"ResponseMetadata": {"RequestId": said},
                                "Result": {"StreamStates": [{"MediaType": said, "State": said}],
                                           "VisibleUserList": [said], "RoomExists": said, "TotalUser": said}},
}  # fmt: skip


@contextmanager
def echoing() -> Iterator[Echo]:
    """Serve an echo from a thread while the block runs."""
    echo, loop = Echo(), asyncio.new_event_loop()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                length = re.search(r"(?im)^content-length: (\d+)", head)
                body = await reader.readexactly(int(length[1])) if length else b""
                writer.write(echo.answer(head, body.decode("latin-1")))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(asyncio.start_server(handle, "127.0.0.1", 0), loop).result()
    echo.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield echo
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
