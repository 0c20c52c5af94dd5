"""Clouds that repeat the signatures and keys they were sent, and everything that an exporter shows meanwhile."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from exporter.fields import Secret
from exporter.model import Credentials, Reply, Request
from exporter.providers.interface import AnyProvider
from testbed.processes import Server, exporter
from testbed.recorded import HERE, document, make

from .exchanges import MOMENT, load
from .facts import facts

TOKEN = re.compile(r"[A-Za-z0-9+/_.%~-]{8,}")
STREAMS = 4
PLENTY = 100_000


@dataclass
class Signed:
    """What of a provider's requests depends on its credentials.

    Attributes:
        headers: Names of headers, in lower case.
        parameters: Names of parameters of the URL.
        bodies: Whether bodies do.
        public: Words in these headers and parameters that do not, such as the algorithm's name.
    """

    headers: set[str] = field(default_factory=set)
    parameters: set[str] = field(default_factory=set)
    bodies: bool = False
    public: set[str] = field(default_factory=set)

    def words(self, request: Request) -> set[str]:
        """Return the words in these headers and parameters, as they were sent and decoded."""
        texts = [value for name, value in request.headers.items() if name.lower() in self.headers]
        for pair in urlsplit(request.url).query.split("&"):
            name, _, value = pair.partition("=")
            texts += [value, unquote(value)] if unquote(name) in self.parameters else []
        return {word for text in texts for word in TOKEN.findall(text)} - self.public


def signed(provider: AnyProvider, folder: Path = HERE) -> Signed:
    """Find out by signing one call of each API with different credentials."""
    account, stream = make(provider, document(provider.name, folder))
    calls = [provider.single.ask(account, stream)] if provider.single is not None else []
    lists = (*provider.listings, *provider.figures)
    calls += [one.ask(account, one.scope(account, stream) or "scope", 1) for one in lists]
    keys = [Credentials(f"{one}-key-id", Secret(f"{one}-key-secret"), Secret(f"{one}-token")) for one in ("my", "your")]
    found = Signed()
    for call in calls:
        mine, yours = (provider.sign(account, one, call, MOMENT) for one in keys)
        found.headers |= {name.lower() for name, value in mine.headers.items() if yours.headers[name] != value}
        theirs = dict(parse_qsl(urlsplit(yours.url).query))
        found.parameters |= {name for name, value in parse_qsl(urlsplit(mine.url).query) if theirs[name] != value}
        found.bodies |= mine.body != yours.body
        found.public |= found.words(mine) & found.words(yours)
    return found


@dataclass
class Parrot:
    """One cloud.

    Attributes:
        error: An error as the cloud answers it, which is answered with what was sent in place of its texts.
        head: Status and headers of that error.
        truth: What is answered instead, where set.
        live: The answer about streams whose figures are to be asked for: only live ones have any.
        said: What was repeated, and must be seen nowhere.
        heads: How many requests came.
    """

    provider: AnyProvider
    signed: Signed
    error: Any
    head: tuple[int, dict[str, str]] = (200, {})
    truth: Any = None
    live: Any = None
    said: set[str] = field(default_factory=set)
    heads: int = 0

    def answer(self, request: Request) -> Reply:
        """Return the answer to a request."""
        if self.truth is not None:
            return Reply(200, {}, json.dumps(self.truth).encode())
        asked = f"{request.url} {dict(request.headers)} {request.body.decode()}"
        if any(f"{one.action}-" in asked for one in self.provider.figures) and self.provider.main.action in asked:
            return Reply(200, {}, json.dumps(self.live).encode())
        words = sorted(self.signed.words(request))
        self.said |= {*words}
        word = words[self.heads % len(words)]
        text = (word, f"{word} is wrong", asked, unquote(asked))[self.heads // len(words) % 4]
        self.heads += 1
        # The code is repeated too, in every second answer: with a code that is listed, the message alone is shown.
        return Reply(*self.head, json.dumps(_repeated(self.error, text, self.heads % 2 == 0)).encode())


def _repeated(value: Any, text: str, codes: bool, name: str = "") -> Any:
    """Return a document with a text in place of its texts; in place of codes only where wanted."""
    if isinstance(value, dict):
        return {key: _repeated(inner, text, codes, key) for key, inner in value.items()}
    return text if isinstance(value, str) and (codes or name.lower() not in ("code", "error_code", "broken")) else value


@contextmanager
def parrot(provider: AnyProvider, folder: Path = HERE) -> Iterator[tuple[Parrot, str]]:
    """Serve a cloud from a thread while the block runs; yield it and its address."""
    errors = [one for one in load(provider, folder) if one.expected.get("fault") == "bad_request"]
    nothing = {"answer": {"json": {"broken": "text"}}}  # where no error has a body that is read
    error = next((one.given for one in errors if one.api is provider.main), nothing)
    bird = Parrot(provider, signed(provider, folder), error)
    told = bird.error["answer"]
    bird.error, bird.head = told["json"], (told.get("status", 200), told.get("headers", {}))
    live = [one for one in load(provider, folder) if one.expected.get("state") == "active" and one.api is provider.main]
    bird.live = live[0].given["answer"]["json"] if live else None

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = bird.answer(Request("GET", self.path, dict(self.headers.items()), body))
            self.send_response(answer.status)
            for name, value in {"content-type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield bird, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def configuration(provider: AnyProvider, endpoint: str, folder: Path = HERE) -> dict[str, Any]:
    """Return accounts and streams of one cloud: an account that asks singly, one for each list, one for figures."""
    name, fields = provider.name, document(provider.name, folder)
    quota = dict.fromkeys(provider.apis(), PLENTY)
    secrets = {one: f"CANARY0{name}0{one.replace('_', '0')}" for one in provider.credentials if one}
    lists = facts()[name].lists if name in facts() else {}
    accounts, streams = [], []
    asked = {"single": {}, **{action: listed.fields for action, listed in lists.items()}}
    asked |= {one.action: {} for one in provider.figures}
    for action, differs in asked.items():
        plan = "list" if action in lists else "single"
        own = {"name": f"{name}-{action}", "provider": name, "endpoint": endpoint, "plan": plan, "quota": quota}
        account = {**fields.get("account", {}), **differs.get("account", {}), **secrets, **own}
        accounts.append({key: value for key, value in account.items() if value is not None})
        address = {**fields["stream"], **differs.get("stream", {}), "account": own["name"]}
        streams += [{**address, "name": f"{action}-{number}"} for number in range(STREAMS)]
    return {"accounts": accounts, "streams": streams}


def fetch(server: Server, path: str) -> str:
    """Return a page."""
    asked = urllib.request.Request(server.url + path, headers={"X-Prometheus-Scrape-Timeout-Seconds": "5"})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        text: str = answer.read().decode()
        return text


def run(config: Path, environ: dict[str, str], *argv: str) -> subprocess.CompletedProcess[str]:
    """Run a command on a configuration."""
    command = [sys.executable, "-m", "exporter", *argv]
    command += ["--config.file", str(config)] if argv[0] in ("probe", "check") else []
    return subprocess.run(command, env={"PATH": "", **environ}, capture_output=True, text=True, check=False)


def everything(config: dict[str, Any], home: Path, environ: dict[str, str]) -> dict[str, str]:
    """Run the exporter and its commands on a configuration; return all that they show, by place."""
    shown = {}
    config = {"scrape": {"reuse": "0s"}, **config}
    stream = f"{config['accounts'][0]['provider']}/{config['streams'][0]['name']}"
    with exporter(config, "--log.level", "debug", folder=home, environ=environ) as server:
        for number in range(4):
            for path in ("/metrics", "/", "/api/v1/streams", "/config"):
                shown[f"{number} {path}"] = fetch(server, path)
            for account in config["accounts"]:
                shown[f"{number} {account['name']}"] = fetch(server, f"/probe?account={account['name']}&debug=true")
            shown[f"{number} {stream}"] = fetch(server, f"/probe?target={quote(stream)}&debug=true")
        assert server.stop() == 0
        shown["log"] = server.log()
    for argv in (["probe"], ["probe", "--output", "json"], ["probe", stream], ["probe", stream, "--output", "json"]):
        done = run(home / "config.yml", environ, *argv)
        shown[" ".join(argv)] = done.stdout + done.stderr
    return shown


def leaks(shown: dict[str, str], secrets: set[str]) -> list[str]:
    """Return where a secret stands, with what stands around it."""
    forms = {form for text in secrets for form in (text, text.lower(), text.upper(), quote(text, safe=""))}
    return [
        f"{place}: …{text[max(0, at - 90) : at + 60]}…"
        for place, text in shown.items()
        for form in forms
        if (at := text.find(form)) >= 0
    ]


@contextmanager
def parrots(providers: list[AnyProvider], folder: Path = HERE) -> Iterator[tuple[list[Parrot], dict[str, Any]]]:
    """Serve several clouds; yield them and a configuration with all of them."""
    with ExitStack() as stack:
        birds, parts = [], []
        for provider in providers:
            bird, url = stack.enter_context(parrot(provider, folder))
            birds.append(bird)
            parts.append(configuration(provider, url, folder))
        yield birds, {name: [one for part in parts for one in part[name]] for name in ("accounts", "streams")}
