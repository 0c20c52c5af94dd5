"""The recorded exchanges of a provider: `<provider>/exchanges.yml` beside this file.

account, stream   fields that make an account and a stream of the provider, besides `name`, `account`, `provider`
depends_on        the parts of a `Moment` on which its requests depend: now, nonce, sequence
exchanges         a list of
  name            what it is about; unique
  account, stream fields that differ from those above, null for unset
  action          a listing's action; without it the stream itself is asked for
  scope, page     what the listing is asked for
  request         what the request has to hold: method, query and headers (at least these), body (all of it, as
                  JSON), absent (names that are neither in the query nor a header)
  answer          status (200), headers, and the body as `json`, `xml` (an object with the root) or `text`
  expect          `state` with code, started, media, inputs, ingest, figures, request_id; or `rows` with pages,
                  complete, code, size (where it is not the number of keys), origin, and the figures of keys; or
                  `fault` (a reason) with code and request_id
  absent          what a list proves of keys that it lacks, null for nothing, where it says so itself: pairs of key and
                  state
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from exporter.fields import Secret
from exporter.model import Account, Answer, Call, Credentials, Figures, Moment, Reason, Reply, Request, Stream
from exporter.providers import codes as catalogue
from exporter.providers.interface import AnyProvider, Api, Listing, Malformed, NoEnvelope, Page, ProviderError
from exporter.simulator.exchange import dump_xml
from testbed.recorded import HERE, document, make

MOMENT = Moment(1673334120.5, "0123456789abcdef0123456789abcdef", 1673334120500)
KEYS = Credentials("made-up-key-id", Secret("made-up-key-secret"))
TOP = {"account", "stream", "depends_on", "exchanges"}
LISTED = ("started", "lasted", "media", "inputs", "figures")
PARTS = {"name", "account", "stream", "action", "scope", "page", "request", "answer", "expect", "absent"}


@dataclass(frozen=True)
class Exchange:
    """One exchange, and the account and stream that it is made with."""

    provider: AnyProvider
    given: dict[str, Any] = field(repr=False)
    fields: dict[str, Any] = field(repr=False)

    @cached_property
    def _made(self) -> tuple[Account, Stream]:
        return make(self.provider, self.fields, self.given)

    @property
    def account(self) -> Account:
        """The account it is made with."""
        return self._made[0]

    @property
    def stream(self) -> Stream:
        """The stream it is made with."""
        return self._made[1]

    @property
    def name(self) -> str:
        """What it is about."""
        return str(self.given["name"])

    @property
    def api(self) -> Api[Any, Any] | Listing[Any, Any]:
        """The API that is asked."""
        if "action" not in self.given:
            return self.provider.main
        lists = (*self.provider.listings, *self.provider.figures)
        return next(one for one in lists if one.action == self.given["action"])

    @property
    def expected(self) -> dict[str, Any]:
        """What the answer means."""
        expect: dict[str, Any] = self.given["expect"]
        return expect

    @property
    def reply(self) -> Reply:
        """The answer."""
        answer = self.given["answer"]
        body, headers = written(answer), answer.get("headers", {"content-type": "application/json"})
        return Reply(answer.get("status", 200), headers, body)

    @property
    def scope(self) -> str:
        """What its listing was asked for; nothing where the stream itself was."""
        return str(self.given.get("scope", ""))

    def call(self) -> Call:
        """Build the call."""
        if isinstance(self.api, Listing):
            return self.api.ask(self.account, self.scope, self.given.get("page", 1))
        return self.api.ask(self.account, self.stream)

    def request(self, moment: Moment = MOMENT) -> Request:
        """Build and sign the call."""
        return self.provider.sign(self.account, KEYS, self.call(), moment)

    def read(self, reply: Reply) -> Answer | Page:
        """Read a reply to the call."""
        return read(self.api, self.account, self.stream, self.scope, reply)

    def judged(self) -> dict[str, Any]:
        """Read the answer, and tell what it means in the form of `expect`."""
        try:
            return _told(self.read(self.reply))
        except ProviderError as error:
            entry = catalogue.load(self.provider.name).lookup(self.api.action, error.code, self.reply.status)
            code = {"fault": entry.reason, "code": catalogue.label(entry)}
            return code | ({"request_id": error.request_id} if error.request_id else {})
        except NoEnvelope:
            return {"fault": str(Reason.HTTP)}
        except Malformed:
            return {"fault": str(Reason.MALFORMED)}


def written(answer: dict[str, Any]) -> bytes:
    """Return the body of a recorded answer."""
    if "xml" in answer:
        ((root, content),) = answer["xml"].items()
        return dump_xml(root, content)
    text = answer["text"] if "text" in answer else json.dumps(answer["json"])
    return str(text).encode()


def read(
    api: Api[Any, Any] | Listing[Any, Any], account: Account, stream: Stream, scope: str, reply: Reply
) -> Answer | Page:
    """Read a reply by its API, as one to the first page of a list or to the call for the stream."""
    if isinstance(api, Listing):
        return api.read(account, scope, api.ask(account, scope, 1), reply)
    return api.read(account, stream, api.ask(account, stream), reply)


def _told(found: Answer | Page) -> dict[str, Any]:
    if isinstance(found, Answer):
        return {"state": str(found.state), "code": found.code} | _details(found)
    rows = [
        {"key": list(key) if isinstance(key, tuple) else key}
        | ({"state": None} if answer is None else {"state": str(answer.state)} | _details(answer, *LISTED))
        for key, answer in found.rows.items()
    ]
    told: dict[str, Any] = {"rows": rows, "pages": found.pages, "complete": found.complete, "code": found.code}
    if found.figures:
        told["figures"] = [{"key": list(key), **_figures(figures)} for key, figures in found.figures.items()]  # type: ignore[call-overload]
    if found.origin:
        told["origin"] = found.origin
    return told if found.size in (None, len(rows)) else {**told, "size": found.size}


def _figures(figures: Figures) -> dict[str, Any]:
    told = {name: value for name, value in figures._asdict().items() if value != Figures._field_defaults[name]}
    return {**told, "bits": dict(figures.bits)} if figures.bits else told


def _details(answer: Answer, *wanted: str) -> dict[str, Any]:
    found = {
        "started": answer.started,
        "lasted": answer.lasted,
        "media": dict(answer.media) or None,
        "inputs": None
        if answer.inputs is None
        else [[one.domain, one.app, one.source, one.primary] for one in answer.inputs],
        "ingest": answer.ingest,
        "figures": None if answer.figures is None else _figures(answer.figures),
        "request_id": answer.request_id or None,
    }
    return {name: value for name, value in found.items() if value is not None and (not wanted or name in wanted)}


def load(provider: AnyProvider, folder: Path = HERE) -> list[Exchange]:
    """Return a provider's exchanges; raises ValueError where the file has a part that nobody reads."""
    fields = document(provider.name, folder)
    unread = fields.keys() - TOP
    found = []
    for given in fields.get("exchanges", []):
        unread |= given.keys() - PARTS
        found.append(Exchange(provider, given, fields))
    if unread:
        raise ValueError(f"{provider.name}/exchanges.yml: unknown {', '.join(sorted(unread))}")
    return found
