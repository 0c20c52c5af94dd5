"""Sends a response with the faults of its connection."""

from __future__ import annotations

import asyncio
import socket
import struct

from aiohttp import web

from exporter.simulator.faults import Fault, Wire

TIMED_OUT = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
FILLER = b"\n" * 65536


async def send(request: web.BaseRequest, wire: Wire, faults: list[Fault], date: str) -> web.StreamResponse:
    """Send a response with the faults of the connection; after those that close it, the returned response is lost."""
    by_kind = {fault.kind: fault for fault in faults}
    if delay := by_kind.get("delay"):
        await asyncio.sleep(delay.seconds)
    if "hang" in by_kind:
        await asyncio.Event().wait()
    response = web.Response(status=wire.status, headers={**wire.headers, "Date": date}, body=wire.body)
    transport = request.transport
    if transport is None:
        return response
    if "reset" in by_kind:
        # With a linger time of zero, closing sends RST instead of FIN.
        linger = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    elif "close" in by_kind:
        transport.close()
    elif not by_kind.keys().isdisjoint(("drip_head", "drip_body", "cut")):
        await _send_raw(transport, wire, by_kind, date)
    elif endless := by_kind.get("endless"):
        await _send_for_ever(transport, wire, endless, date)
    _schedule(transport, wire, by_kind, date)
    return response


def _schedule(transport: asyncio.Transport, wire: Wire, by_kind: dict[str, Fault], date: str) -> None:
    """Schedule what happens on the connection after the response: unsolicited bytes, or its end."""
    later = asyncio.get_running_loop().call_later
    if stray := by_kind.get("stray"):
        later(stray.seconds, transport.write, str(stray.value or TIMED_OUT).encode())
    if again := by_kind.get("again"):
        later(again.seconds, transport.write, _head(wire, date) + wire.body)
    if idle := by_kind.get("idle"):
        later(idle.seconds, transport.close)


def _head(wire: Wire, date: str, length: bool = True) -> bytes:
    lines = [f"HTTP/1.1 {wire.status} OK", f"Date: {date}"]
    lines += [f"Content-Length: {len(wire.body)}" if length else "Connection: close"]
    lines += [f"{name}: {value}" for name, value in wire.headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _send_raw(transport: asyncio.Transport, wire: Wire, by_kind: dict[str, Fault], date: str) -> None:
    """Write the response without aiohttp, byte by byte or with a truncated body, and close the connection."""
    body = wire.body[: len(wire.body) // 2] if "cut" in by_kind else wire.body
    for part, drip in ((_head(wire, date), by_kind.get("drip_head")), (body, by_kind.get("drip_body"))):
        if drip is None:
            transport.write(part)
            continue
        for byte in part:
            transport.write(bytes([byte]))
            await asyncio.sleep(drip.seconds)
    transport.close()


async def _send_for_ever(transport: asyncio.Transport, wire: Wire, endless: Fault, date: str) -> None:
    """Write the response without a length and go on writing for as long as the client reads."""
    transport.write(_head(wire, date, length=False) + wire.body)
    while not transport.is_closing():
        if transport.get_write_buffer_size() < len(FILLER):
            transport.write(FILLER)
        await asyncio.sleep(max(endless.seconds, 0.001))
