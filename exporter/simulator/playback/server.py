"""Answers viewers over HTTP, with the world's faults."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from typing import Final

from aiohttp import web

from exporter.simulator.connection import send
from exporter.simulator.exchange import Names
from exporter.simulator.faults import PLAYBACK, UNANSWERED, Fault, Wire, spoil
from exporter.simulator.playback import flv
from exporter.simulator.playback.site import LIVE_FLV, Asked, burst, find, ranged, write
from exporter.simulator.playback.timeline import push_at
from exporter.simulator.types import Call, Stream
from exporter.simulator.world import World

LONGEST_CATCH_UP: Final = 10.0
"""Seconds of media that FLV viewers get at most at once, should the world's clock jump."""
# These send or keep a finite body, or none, where there would be a stream.
_FINITE: Final = frozenset({"hang", "reset", "close", "cut", "drip_head", "drip_body", "endless"})


async def answer(world: World, request: web.BaseRequest, path: str, raw_query: str, step: float) -> web.StreamResponse:
    """Answer a viewer; `step` is how many seconds of FLV are sent at once."""
    if request.method not in ("GET", "HEAD"):
        return web.Response(status=405, headers={"Allow": "GET, HEAD"})
    asked = find(world.streams, path, raw_query)
    names = _names(asked)
    faults = world.faults_for(names)
    now = world.clock() + sum(fault.seconds for fault in faults if fault.kind == "skew")
    right = write(asked, now)
    wire = spoil(right, faults)
    kinds = {fault.kind for fault in faults}
    streams = asked.file == LIVE_FLV and right.status == wire.status == 200 and right.body == wire.body
    if not streams and wire.status == 200 and "whole" not in kinds:
        wire = ranged(wire, request.headers.get("Range", ""))
    _log(world, names, path, wire, faults)
    if asked.stream is None or not streams or kinds & _FINITE or request.method == "HEAD":
        return await send(request, wire, faults, formatdate(now, usegmt=True))
    await asyncio.sleep(sum(fault.seconds for fault in faults if fault.kind == "delay"))
    return await _stream(world, request, asked.stream, wire, step)


def _names(asked: Asked) -> Names:
    stream = asked.stream
    return Names(PLAYBACK, stream.account.name if stream else "", asked.action, stream.key if stream else "")


def _log(world: World, names: Names, path: str, wire: Wire, faults: list[Fault]) -> None:
    silent = [fault.kind for fault in faults if fault.kind in UNANSWERED]
    code = silent[0] if silent else str(wire.status)
    kinds, verified = tuple(fault.kind for fault in faults), wire.status != 403
    world.log.append(Call(world.clock(), *names, (path,), code, verified, faults=kinds))


async def _stream(
    world: World, request: web.BaseRequest, stream: Stream, wire: Wire, step: float
) -> web.StreamResponse:
    """Send tags as their time comes, until the push ends or the viewer goes away."""
    response = web.StreamResponse(status=wire.status, headers=wire.headers)
    push = push_at(stream, world.clock())
    began = push.began if push else 0.0
    sent = burst(push) if push else 0.0
    try:
        await response.prepare(request)
        await response.write(wire.body)
        while push and push.live and push.began == began and world.streams.get(stream.key) is stream:
            if push.edge > sent:
                await response.write(flv.tags(max(sent, push.edge - LONGEST_CATCH_UP), push.edge, began))
                sent = push.edge
            await asyncio.sleep(step)
            push = push_at(stream, world.clock())
        await response.write_eof()
    except ConnectionError:
        pass  # the viewer has gone
    return response
