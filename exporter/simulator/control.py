"""The control interface: changes a world over HTTP, for tests and tools in another process; loopback only."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from ipaddress import ip_address
from itertools import islice
from typing import Any

from aiohttp import web

from exporter.simulator.faults import Fault
from exporter.simulator.load import read, read_figures, read_inputs, read_playback, read_script
from exporter.simulator.providers import quirks
from exporter.simulator.types import Manners, Tricks
from exporter.simulator.world import World

PREFIX = "/-/simulator/"
Body = dict[str, Any]
DETAIL_READERS: dict[str, Callable[[Any, float], Any]] = {"inputs": read_inputs, "figures": read_figures}


def _is_loopback(request: web.BaseRequest) -> bool:
    try:
        return ip_address(request.remote or "").is_loopback
    except ValueError:
        return False


def answer(world: World, request: web.BaseRequest, path: str, body: bytes) -> web.Response:
    """Handle a request to the control interface; every response is JSON, errors included."""
    action = ACTIONS.get((request.method, path.removeprefix(PREFIX)))
    if not _is_loopback(request):
        return _json({"error": "the control interface is for this machine alone"}, 403)
    if action is None:
        return _json({"error": "unknown; see docs/simulator.md"}, 404)
    # A page in a browser on this machine cannot send this type without a preflight request.
    if request.method == "POST" and request.headers.get("Content-Type", "").partition(";")[0] != "application/json":
        return _json({"error": "Content-Type must be application/json"}, 415)
    try:
        return _json(action(world, _document(body)))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        return _json({"error": str(error)}, 400)


def _json(payload: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, text=json.dumps(payload) + "\n", content_type="application/json")


def _document(body: bytes) -> Body:
    document = json.loads(body or b"{}")
    if not isinstance(document, dict):
        raise ValueError("the body is not a JSON object")
    return document


def _show(world: World, _fields: Body) -> Any:
    now = world.clock()
    return {
        "now": now,
        "accounts": [{"name": account.name, "provider": account.provider} for account in world.accounts.values()],
        "streams": {
            key: {"account": stream.account.name, "state": stream.script.state(now), **stream.address}
            for key, stream in world.streams.items()
        },
        "faults": [asdict(fault) for fault in world.faults],
        "quirks": asdict(world.quirks),
        "listings": {name: asdict(tricks) for name, tricks in world.listings.items()},
        "callbacks": world.callbacks,
        "manners": {name: asdict(manners) for name, manners in world.manners.items()},
        "calls": len(world.log),
    }


def _set_stream(world: World, fields: Body) -> Any:
    key, state, now = fields.pop("stream"), fields.pop("state", None), world.clock()
    for name in DETAIL_READERS.keys() & fields.keys():
        fields[name] = DETAIL_READERS[name](fields[name], now)
    if "playback" in fields:
        fields["playback"] = read_playback(fields["playback"], now, world.streams[key].playback)
    stream = world.set(key, None if state is None else read_script(state, now), **fields)
    return {"stream": key, "state": stream.script.state(world.clock())}


def _set_account(world: World, fields: Body) -> Any:
    account = world.accounts[fields.pop("account")]
    readers: dict[str, Callable[[Any], Any]] = {"quota": dict, "denied": set, "fields": dict, "token_expires": float}
    for name, value in fields.items():
        if name not in readers:
            raise ValueError(f"unknown field {name}")
        setattr(account, name, {**account.fields, **value} if name == "fields" else readers[name](value))
    return {"account": account.name}


def _add_fault(world: World, fields: Body) -> Any:
    fault = world.add_fault(read(Fault, fields))
    return {"faults": len(world.faults), "fault": asdict(fault)}


def _clear_faults(world: World, _fields: Body) -> Any:
    world.clear()
    return {"faults": 0}


def _set_quirks(world: World, fields: Body) -> Any:
    world.quirks = read(quirks(), {**asdict(world.quirks), **fields})
    return asdict(world.quirks)


def _set_tricks(world: World, fields: Body) -> Any:
    return asdict(world.set_tricks(fields.pop("provider"), read(Tricks, fields)))


def _set_manners(world: World, fields: Body) -> Any:
    return asdict(world.set_manners(fields.pop("provider"), read(Manners, fields)))


def _set_callbacks(world: World, fields: Body) -> Any:
    to = fields.pop("to")
    if fields or not isinstance(to, str):
        raise ValueError("give to, where callbacks are sent, as text")
    world.callbacks = to
    return {"to": to}


def _send_callback(world: World, fields: Body) -> Any:
    key, live = fields.pop("stream"), fields.pop("live")
    if fields or not isinstance(live, bool):
        raise ValueError("give stream, and live as true or false")
    world.send_callback(key, live)
    return {"stream": key, "live": live}


def _clear_calls(world: World, _fields: Body) -> Any:
    world.log.clear()
    return {"calls": 0}


def _deliveries(world: World, fields: Body) -> Any:
    return _since("letters", world.deliveries, fields)


def _calls(world: World, fields: Body) -> Any:
    return _since("calls", world.log, fields)


def _since(name: str, log: Sequence[Any], fields: Body) -> Any:
    return {name: [asdict(entry) for entry in islice(log, int(fields.get("since", 0)), None)], "next": len(log)}


ACTIONS: dict[tuple[str, str], Callable[[World, Body], Any]] = {
    ("GET", "world"): _show,
    ("POST", "streams"): _set_stream,
    ("POST", "accounts"): _set_account,
    ("POST", "faults"): _add_fault,
    ("DELETE", "faults"): _clear_faults,
    ("POST", "quirks"): _set_quirks,
    ("POST", "listings"): _set_tricks,
    ("POST", "callbacks"): _set_callbacks,
    ("POST", "manners"): _set_manners,
    ("POST", "tell"): _send_callback,
    ("GET", "letters"): _deliveries,
    ("POST", "letters"): _deliveries,
    ("GET", "calls"): _calls,
    ("POST", "calls"): _calls,
    ("DELETE", "calls"): _clear_calls,
}
