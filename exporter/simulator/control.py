"""The control interface: the same world over HTTP, for tests and tools in another process; loopback only."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from ipaddress import ip_address
from itertools import islice
from typing import Any

from aiohttp import web

from exporter.simulator.load import (
    read_fault,
    read_inputs,
    read_manners,
    read_quirks,
    read_script,
    read_tricks,
)
from exporter.simulator.world import World

PREFIX = "/-/simulator/"
Body = dict[str, Any]


def _is_loopback(request: web.BaseRequest) -> bool:
    try:
        return ip_address(request.remote or "").is_loopback
    except ValueError:
        return False


def answer(world: World, request: web.BaseRequest, path: str, body: bytes) -> web.Response:
    """Answer one request to the control interface: 200 with JSON, 400 with the error, 403 from elsewhere, or 404."""
    action = ACTIONS.get((request.method, path.removeprefix(PREFIX)))
    if not _is_loopback(request):
        return _json({"error": "the control interface is for this machine alone"}, 403)
    if action is None:
        return _json({"error": "unknown; see docs/simulator.md"}, 404)
    # A page in a browser on this machine cannot send this type without being asked first.
    if request.method == "POST" and request.headers.get("Content-Type", "").partition(";")[0] != "application/json":
        return _json({"error": "Content-Type must be application/json"}, 415)
    try:
        return _json(action(world, _document(body)))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        return _json({"error": str(error)}, 400)


def _json(payload: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, text=json.dumps(payload) + "\n", content_type="application/json")


def _document(body: bytes) -> Body:
    found = json.loads(body or b"{}")
    if not isinstance(found, dict):
        raise ValueError("the body is not a JSON object")
    return found


def _show(world: World, _sent: Body) -> Any:
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


def _set_stream(world: World, sent: Body) -> Any:
    key, state = sent.pop("stream"), sent.pop("state", None)
    if "inputs" in sent:
        sent["inputs"] = read_inputs(sent["inputs"])
    stream = world.set(key, None if state is None else read_script(state, world.clock()), **sent)
    return {"stream": key, "state": stream.script.state(world.clock())}


def _set_account(world: World, sent: Body) -> Any:
    account = world.accounts[sent.pop("account")]
    readers: dict[str, Callable[[Any], Any]] = {"quota": dict, "denied": set, "fields": dict, "token_expires": float}
    for name, value in sent.items():
        if name not in readers:
            raise ValueError(f"unknown field {name}")
        setattr(account, name, {**account.fields, **value} if name == "fields" else readers[name](value))
    return {"account": account.name}


def _add_fault(world: World, sent: Body) -> Any:
    fault = world.put(read_fault(sent))
    return {"faults": len(world.faults), "fault": asdict(fault)}


def _clear_faults(world: World, _sent: Body) -> Any:
    world.clear()
    return {"faults": 0}


def _set_quirks(world: World, sent: Body) -> Any:
    world.quirks = read_quirks({**asdict(world.quirks), **sent})
    return asdict(world.quirks)


def _set_callbacks(world: World, sent: Body) -> Any:
    to = sent.pop("to")
    if sent or not isinstance(to, str):
        raise ValueError("give to, where callbacks are sent, as text")
    world.callbacks = to
    return {"to": to}


def _tell(world: World, sent: Body) -> Any:
    key, live = sent.pop("stream"), sent.pop("live")
    if sent or not isinstance(live, bool):
        raise ValueError("give stream, and live as true or false")
    world.tell(key, live)
    return {"stream": key, "live": live}


def _clear_calls(world: World, _sent: Body) -> Any:
    world.log.clear()
    return {"calls": 0}


def _since(name: str, log: Sequence[Any], sent: Body) -> Any:
    return {name: [asdict(entry) for entry in islice(log, int(sent.get("since", 0)), None)], "next": len(log)}


ACTIONS: dict[tuple[str, str], Callable[[World, Body], Any]] = {
    ("GET", "world"): _show,
    ("POST", "streams"): _set_stream,
    ("POST", "accounts"): _set_account,
    ("POST", "faults"): _add_fault,
    ("DELETE", "faults"): _clear_faults,
    ("POST", "quirks"): _set_quirks,
    ("POST", "listings"): lambda world, sent: asdict(world.mislead(sent.pop("provider"), read_tricks(sent))),
    ("POST", "callbacks"): _set_callbacks,
    ("POST", "manners"): lambda world, sent: asdict(world.behave(sent.pop("provider"), **read_manners(sent))),
    ("POST", "tell"): _tell,
    ("GET", "letters"): lambda world, sent: _since("letters", world.deliveries, sent),
    ("POST", "letters"): lambda world, sent: _since("letters", world.deliveries, sent),
    ("GET", "calls"): lambda world, sent: _since("calls", world.log, sent),
    ("POST", "calls"): lambda world, sent: _since("calls", world.log, sent),
    ("DELETE", "calls"): _clear_calls,
}
