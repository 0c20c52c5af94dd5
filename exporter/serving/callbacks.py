"""`/callbacks/ACCOUNT`: verify and count a callback, then ask the provider's API. A callback sets no state itself."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from aiohttp import web

from exporter.providers.interface import Callback
from exporter.serving.events import Events
from exporter.serving.sending import text
from exporter.serving.service import Service
from exporter.state.callbacks import CallbackReceiver, Received, Verdict

log = structlog.get_logger("callbacks")

RECEIVE_SECONDS: Final = 4.0  # shorter than any cloud's timeout
MOST_CALLBACK: Final = 1 << 16


async def receive(service: Service, events: Events, request: web.Request) -> web.Response:
    """Receive a callback, tell it to the followers of events, and respond as its vendor expects."""
    receiver = service.receivers.get(request.match_info["account"])
    if receiver is None:
        return text("no account of this name has a callback secret\n", 404)
    try:
        callback = await _read(request)
    except (web.HTTPException, web.RequestPayloadError, TimeoutError, ConnectionError, ValueError) as error:
        _log(receiver, receiver.refuse(service.clock.unix()))
        response = text("not a whole callback\n", error.status if isinstance(error, web.HTTPException) else 400)
        # Do not wait for the rest of the request.
        response.force_close()
        return response
    verdict = await _judge(service, receiver, callback)
    _log(receiver, verdict)
    if verdict.event is None:
        return text(f"{verdict.outcome}\n", 403)
    for record in verdict.records:
        events.publish(Received(service.clock.unix(), *record.key, verdict.event.event, receiver.callbacks.authentic))
        service.follow_ups.give(record, verdict.event.live)
    answer = receiver.callbacks.answer
    return web.Response(text=answer, content_type="application/json" if answer else "text/plain")


async def _judge(service: Service, receiver: CallbackReceiver, callback: Callback) -> Verdict:
    """Judge and count a callback; of all replicas that hear it, one accepts it."""
    now, replicas = service.clock.unix(), service.prober.shared.replicas
    owner = receiver.provider.name, receiver.account.name
    event = receiver.verify(callback, now)
    if isinstance(event, Verdict):
        return event
    heard = bool(receiver.records(event)) and not await replicas.first(owner, event)
    verdict = receiver.take(event, now, heard=heard)
    if verdict.records:
        replicas.heard(owner, verdict.records)
    return verdict


async def _read(request: web.Request) -> Callback:
    """Read a callback; raises aiohttp's errors if it is too large, malformed or cut off."""
    async with asyncio.timeout(RECEIVE_SECONDS):
        body = await request.read()
    headers = {key.lower(): value for key, value in request.headers.items()}
    return Callback(request.method, request.host.partition(":")[0], headers, dict(request.query), body)


def _log(receiver: CallbackReceiver, verdict: Verdict) -> None:
    if verdict.advice:
        log.warning(
            "callback refused" if verdict.event is None else "callback of no use", provider=receiver.provider.name,
            account=receiver.account.name, callback=verdict.label, outcome=verdict.outcome, advice=verdict.advice,
        )  # fmt: skip
