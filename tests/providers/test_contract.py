"""The promises of a provider. Every folder in `exporter/providers/` is found by itself and held to all of them."""

from __future__ import annotations

import copy
import json
import re
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import exporter
import exporter.providers
from exporter.config.secret_values import secret_fields
from exporter.fields import Secret
from exporter.model import Account, Answer, Call, Credentials, Reply, Request, State, Stream
from exporter.providers import all_providers
from exporter.providers import codes as catalogue
from exporter.providers.interface import (
    AnyProvider,
    Callback,
    Listing,
    Malformed,
    NoEnvelope,
    Page,
    ProviderError,
    Refused,
)
from exporter.simulator.providers import fakes
from testbed.recorded import HERE, document, make

from .exchanges import MOMENT, Exchange, load, read, written
from .facts import facts

ROOT = Path(__file__).parents[2]
PROVIDERS = all_providers()
EVERY = pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
KEY, TOKEN = "canary-of-the-key", "canary-of-the-token"
CREDENTIALS = Credentials("made-up-key-id", Secret(KEY), Secret(TOKEN))
NONSENSE = (
    "state missing", "state unknown", "state of another type", "state is true", "a name twice", "cut short",
    "not JSON", "not an object",
)  # fmt: skip
NO_ENVELOPE = ("HTML page", "redirect", "success under an error status")


@cache
def recorded(name: str) -> list[Exchange]:
    """Return a provider's recorded exchanges."""
    return load(PROVIDERS[name])


def example(provider: AnyProvider) -> tuple[Account, Stream]:
    """Return the account and stream of a provider's recorded exchanges, or fail with what these lack."""
    return _example(provider.name)


@cache
def _example(name: str) -> tuple[Account, Stream]:
    if problem := unmakeable(PROVIDERS[name], HERE):
        pytest.fail(problem)
    return make(PROVIDERS[name], document(name))


def unmakeable(provider: AnyProvider, folder: Path) -> str:
    """Say why the fields in a provider's file make no account and stream; nothing where they do."""
    file = f"tests/providers/{provider.name}/exchanges.yml"
    fields = document(provider.name, folder)
    if not fields:
        return f"{file}: recorded exchanges, as tests/providers/exchanges.py says"
    try:
        make(provider, fields)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        return f"{file}: `account` and `stream` with which {provider.name} can be asked ({wrong})"
    return ""


def calls(provider: AnyProvider) -> Iterator[Call]:
    """Build one call of each API."""
    account, stream = example(provider)
    if provider.single is not None:
        yield provider.single.ask(account, stream)
    for listing in (*provider.listings, *provider.figures):
        yield listing.ask(account, listing.scope(account, stream) or "scope", 1)


def signed(provider: AnyProvider, credentials: Credentials = CREDENTIALS) -> list[Request]:
    """Sign one call of each API."""
    account, _ = example(provider)
    return [provider.sign(account, credentials, call, MOMENT) for call in calls(provider)]


# --- what belongs to a cloud ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Surroundings:
    """Where the things are that belong to a provider beside its own file."""

    catalogues: tuple[str, ...]
    fakes: tuple[str, ...]
    facts: tuple[str, ...]
    exchanges: Path
    documentation: str


def surroundings() -> Surroundings:
    """Return those of this project."""
    documentation = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md")))
    return Surroundings(catalogue.providers(), tuple(fakes()), tuple(facts()), HERE, documentation)


def missing(provider: AnyProvider, around: Surroundings) -> list[str]:
    """Say what a provider lacks beside its own file, each with where to put it."""
    name = provider.name
    lacks = []
    if name not in around.catalogues:
        lacks.append(f"exporter/providers/{name}/codes.yml: meaning, reason and advice of each code")
    if not (around.exchanges / name / "codes.json").is_file():
        lacks.append(f"tests/providers/{name}/codes.json: what each code must mean, as tests/test_catalogue.py says")
    if name not in around.fakes:
        lacks.append(f"exporter/simulator/{name}.py: the fake cloud")
    lacks += [f"tests/providers/{name}/facts.py: {gap}" for gap in unjudged(provider, around.facts)]
    if f"`provider: {name}`" not in around.documentation:
        lacks.append(f"docs/configuration.md: the fields of `provider: {name}` (run `make docs`)")
    if f"(`{name}`)" not in around.documentation:
        lacks.append(f"docs/codes.md: the codes of `{name}` (run `make docs`)")
    if problem := unmakeable(provider, around.exchanges):
        return [*lacks, problem]
    gaps = unrecorded(provider, load(provider, around.exchanges), name in around.catalogues)
    return lacks + [f"tests/providers/{name}/exchanges.yml: {gap}" for gap in gaps]


def unjudged(provider: AnyProvider, known: tuple[str, ...]) -> Iterator[str]:
    """Say what tests do not know of a cloud beside its own code."""
    if provider.name not in known:
        yield "what its answers may be taken for, as tests/providers/facts.py says"
        return
    cloud = facts()[provider.name]
    for listing in provider.listings:
        if listing.action not in cloud.lists:
            yield f"what a list of {listing.action} proves"
    if provider.callbacks and not cloud.callback:
        yield "how it signs its callbacks"


def unrecorded(provider: AnyProvider, exchanges: list[Exchange], catalogued: bool) -> Iterator[str]:
    """Say which exchanges are not recorded."""
    single = [one for one in exchanges if one.api is provider.main]
    by_name = {one.name: one.expected for one in single}
    if not any("request" in one.given for one in single):
        yield "an exchange with the request to the single-stream API"
    for name in NONSENSE:
        if "fault" not in by_name.get(name, {}):
            yield f"an exchange named `{name}` that ends in a fault"
    for name in NO_ENVELOPE:
        if by_name.get(name, {}).get("fault") != "http":
            yield f"an exchange named `{name}` with fault http"
    wanted = [(listing, "rows") for listing in (*provider.listings, *provider.figures)]
    for listing, part in (*wanted, *((listing, "figures") for listing in provider.figures)):
        if not any(one.api is listing and part in one.expected for one in exchanges):
            yield f"an exchange with the {part} of {listing.action}"
    if catalogued:
        yield from _uncovered(provider, single)


def _uncovered(provider: AnyProvider, single: list[Exchange]) -> Iterator[str]:
    """Say which states and reasons of the single-stream API no exchange shows."""
    codes = catalogue.load(provider.name)
    entries = list(codes.entries())
    elsewhere = {listing.elsewhere for listing in provider.listings}  # of streams, and no answers
    answered = [entry for entry in entries if codes.lookup(provider.main.action, entry.code) == entry]
    answered = [entry for entry in answered if entry.code not in elsewhere]
    shown = [one.expected for one in single]
    told = {row.get("state") for expected in shown for row in (expected, *expected.get("rows", ()))}
    told |= {state for one in single for _, state in one.given.get("absent", ())}
    told |= {listing.absent.state for listing in provider.listings if listing.absent is not None}
    for state in sorted({entry.state for entry in entries if entry.state}):
        if state not in told:
            yield f"an answer with the state {state}"
    for reason in sorted({entry.reason for entry in answered if entry.reason}):
        if not any(expected.get("fault") == reason and expected["code"] != "other" for expected in shown):
            yield f"an error code of reason {reason}"
    if (codes.http or codes.fallbacks) and not any(expected.get("code") == "other" for expected in shown):
        yield "an error code that no table lists (code other)"


@EVERY
def test_a_provider_has_all_that_belongs_to_it(provider: AnyProvider) -> None:
    """Catalogue, fake, documentation, and exchanges for each state, each class of code, and each kind of nonsense."""
    assert missing(provider, surroundings()) == []


def test_a_new_clouds_missing_parts_are_reported(tmp_path: Path) -> None:
    """The contract test tells the author of a new cloud everything that is still missing, and where."""
    new = replace(PROVIDERS["tencent"], name="newcloud")
    around = Surroundings((), (), (), tmp_path, "")
    assert [line.partition(":")[0] for line in missing(new, around)] == [
        "exporter/providers/newcloud/codes.yml",
        "tests/providers/newcloud/codes.json",
        "exporter/simulator/newcloud.py",
        "tests/providers/newcloud/facts.py",
        "docs/configuration.md",
        "docs/codes.md",
        "tests/providers/newcloud/exchanges.yml",
    ]


def test_invalid_exchanges_are_reported(tmp_path: Path) -> None:
    """A missing field is named, instead of an error during test collection."""
    new = replace(PROVIDERS["tencent"], name="newcloud")
    (tmp_path / "newcloud").mkdir()
    (tmp_path / "newcloud" / "exchanges.yml").write_text("stream: {app: live}\n", encoding="utf-8")
    report = missing(new, Surroundings((), (), (), tmp_path, ""))[-1]
    assert report.startswith(
        "tests/providers/newcloud/exchanges.yml: `account` and `stream` with which newcloud can be"
    )
    assert "domain: Field required" in report


def test_missing_exchanges_are_reported(tmp_path: Path) -> None:
    """For an incomplete file of exchanges, every missing state and class of code is named."""
    whole = document("tencent")
    dropped = {"forbidden", "throttled", "state is true", "redirect"}
    whole["exchanges"] = [
        one
        for one in whole["exchanges"]
        if one["name"] not in dropped and one.get("action") != "DescribeBackupStreamList"
    ]
    (tmp_path / "tencent").mkdir()
    (tmp_path / "tencent" / "codes.json").write_text("[]", encoding="utf-8")
    (tmp_path / "tencent" / "exchanges.yml").write_text(yaml.safe_dump(whole, allow_unicode=True), encoding="utf-8")
    report = missing(PROVIDERS["tencent"], replace(surroundings(), exchanges=tmp_path))
    assert [line.partition(": ")[2] for line in report] == [
        "an exchange named `state is true` that ends in a fault",
        "an exchange named `redirect` with fault http",
        "an exchange with the rows of DescribeBackupStreamList",
        "an answer with the state forbidden",
        "an error code of reason throttled",
    ]


# Names that HTTP and everybody use.
COMMON = {"authorization", "signature"}


@EVERY
def test_nothing_outside_its_folders_names_a_cloud(provider: AnyProvider) -> None:
    """The core knows no cloud and no cloud's headers: only files and folders named after a cloud or its vendor do."""
    names = {provider.name, _vendor(provider)}
    clouds = {word for one in PROVIDERS.values() for word in (one.name, _vendor(one))}
    package = Path(exporter.__file__).parent
    for path in package.rglob("*.py"):
        place = path.relative_to(package).with_suffix("").parts
        # The simulator's types and built-in world are about all clouds.
        if any(part.startswith(tuple(names)) for part in place) or place[0] == "simulator":
            continue
        # Two clouds may hide a header of the same name.
        of_a_cloud = any(part.startswith(tuple(clouds)) for part in place)
        words = names if of_a_cloud else names | {name.lower() for name in provider.hides} - COMMON
        own = re.compile(rf"(?<![a-z_])(?:{'|'.join(map(re.escape, sorted(words)))})")
        named = [line for line in path.read_text(encoding="utf-8").splitlines() if own.search(line.lower())]
        assert named == [], path


def _vendor(provider: AnyProvider) -> str:
    return provider.title.split()[0].lower()


# --- names, tables and types ------------------------------------------------------------------------------------------


@EVERY
def test_file_name_configuration_word_and_label_are_one(provider: AnyProvider) -> None:
    """One word names a cloud everywhere, and every file of the folder is a cloud."""
    files = {path.parent.name for path in Path(exporter.providers.__file__).parent.glob("*/provider.py")}
    assert set(PROVIDERS) == files
    assert PROVIDERS[provider.name] is provider
    assert re.fullmatch(r"[a-z][a-z0-9_]*", provider.name)
    assert provider.title
    assert provider.title == catalogue.load(provider.name).title


@EVERY
def test_every_api_has_a_documented_limit(provider: AnyProvider) -> None:
    """Every API has a rate limit for every account; what has one name has one limit, and no two lists have one."""
    account, _ = example(provider)
    apis = provider.apis()
    lists = [listing.action for listing in (*provider.listings, *provider.figures)]
    assert len(set(lists)) == len(lists)
    assert set(apis) == {provider.main.action, *lists}
    assert all(apis[one.action].limit(account) == one.limit(account) for one in provider.listings)
    for action, api in apis.items():
        assert action == api.action
        assert re.fullmatch(r"[A-Za-z0-9_.]+", action)
        assert api.limit(account) > 0
        assert 1 << 16 <= api.largest <= 16 << 20
    for listing in (*provider.listings, *provider.figures):
        assert listing.lag >= 0
        assert listing.every(example(provider)[0]) >= 0
        assert listing.pages(account, 1) >= 1
        assert listing.absent is None or listing.absent.state is not State.UNKNOWN


def largest_page(provider: AnyProvider, action: str) -> bytes:
    """Return a page of a list as large as it can become: as many rows as are asked for, each of the longest words."""
    account, _ = example(provider)
    name, domain, app = "n" * 256, ".".join(["d" * 49] * 5), "a" * 64
    lists = (*provider.listings, *provider.figures)
    call = next(listing for listing in lists if listing.action == action).ask(account, domain, 1)
    if action == "DescribeLiveStreamPushInfoList":
        row = {
            "AppName": app, "PushDomain": domain, "ClientIp": "2001:0db8:0000:0000:0000:0000:0000:0001",
            "ServerIp": "2001:0db8:0000:0000:0000:0000:0000:0001", "VideoFps": 100, "VideoSpeed": 100_000_000,
            "AudioFps": 100, "AudioSpeed": 1_000_000, "BeginPushTime": "2019-02-01 00:00:00", "Acodec": "AAC",
            "Vcodec": "H264", "Resolution": "3840*2160", "AsampleRate": 48000, "MetaAudioSpeed": 1_000_000,
            "MetaFps": 100, "MetaVideoSpeed": 100_000_000,
        }  # fmt: skip
        rows = [{"StreamName": f"{number:06d}{name[6:]}", **row} for number in range(int(call.params["PageSize"]))]
        return json.dumps({"Response": {"TotalPage": 3, "DataInfoList": rows, "RequestId": "r"}}).encode()
    if action == "DescribeLiveDomainFrameRateAndBitRateData":
        row = {"VideoFrameRate": 24.9, "AudioFrameRate": 42.9, "BitRate": 30693.96}
        rows = [{"StreamUrl": f"rtmp://{domain}/{app}/{number:06d}{name[6:]}", **row} for number in range(10_000)]
        infos = {"FrameRateAndBitRateInfo": rows}
        return json.dumps({"RequestId": "r", "FrameRateAndBitRateInfos": infos}).encode()
    if provider.name == "tencent":
        times = [{"PublishTime": "2017-10-24T12:00:00Z"}] * 2
        row = {"AppName": app, "DomainName": domain, "PublishTimeList": times, "PushToDelay": 0}
        rows = [{"StreamName": f"{number:06d}{name[6:]}", **row} for number in range(int(call.params["PageSize"]))]
        return json.dumps({"Response": {"TotalPage": 3, "OnlineInfo": rows, "RequestId": "r"}}).encode()
    row = {
        "DomainName": domain, "AppName": app, "PublishTime": "2018-06-29T19:00:00Z", "PublishDomain": domain,
        "PublishUrl": f"rtmp://{domain}/{app}/{name}?auth_key=1700000000-0-0-00000000000000000000000000000000",
        "PublishType": "edge", "Transcoded": "no", "ClientIp": "192.0.2.1", "ServerIp": "192.0.2.1", "FrameRate": 30,
        "Width": 1280, "Height": 720, "VideoBitRate": 10000, "VideoDataRate": 600, "AudioDataRate": 600,
    }  # fmt: skip
    rows = [{"StreamName": f"{number:06d}{name[6:]}", **row} for number in range(int(call.params["PageSize"]))]
    return json.dumps({"TotalPage": 3, "OnlineInfo": {"LiveStreamOnlineInfo": rows}, "RequestId": "r"}).encode()


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("tencent", "DescribeLiveStreamOnlineList"),
        ("tencent", "DescribeLiveStreamPushInfoList"),
        ("alibaba", "DescribeLiveStreamsOnlineList"),
        ("alibaba", "DescribeLiveDomainFrameRateAndBitRateData"),
    ],
)
@pytest.mark.no_cover
def test_the_largest_page_fits_and_costs_little_memory(name: str, action: str) -> None:
    """A full page of the longest words is within what is accepted, and is read in less than 48 MiB, itself included."""
    provider = PROVIDERS[name]
    account, _ = example(provider)
    listing = next(one for one in (*provider.listings, *provider.figures) if one.action == action)
    largest = largest_page(provider, action)
    assert len(largest) <= listing.largest
    tracemalloc.start()
    try:
        body = bytes(bytearray(largest))
        scope = ".".join(["d" * 49] * 5)
        page = listing.read(account, scope, listing.ask(account, scope, 1), Reply(200, {}, body))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(page.rows) >= 3000
    assert peak < 48 << 20


@EVERY
def test_the_types_have_defaults(provider: AnyProvider) -> None:
    """An account needs no secret in the file, and an endpoint only for a server; a stream needs only its address."""
    account, stream = example(provider)
    endpoint = urlsplit(account.endpoint)
    assert endpoint.scheme == "https" or endpoint.hostname == "127.0.0.1", "keys would go in clear to somebody else"
    secrets = secret_fields(provider.account)
    assert all(not provider.account.model_fields[name].is_required() for name in secrets)
    required = {name for name, one in provider.stream.model_fields.items() if one.is_required()}
    given = {name: getattr(stream, name) for name in required}
    assert provider.stream(**given).labels == {}
    with pytest.raises(ValidationError):
        provider.stream(**given, surely_unknown=1)


@EVERY
def test_credentials_and_environment_name_fields_that_exist(provider: AnyProvider) -> None:
    """Calls are signed with secret fields, and the vendor's variables set only such fields."""
    secrets = set(secret_fields(provider.account))
    key_id, key_secret, token = provider.credentials
    assert key_secret in secrets
    assert {key_id, token} - {""} <= secrets
    assert provider.environment.keys() <= secrets
    assert provider.keyless or {key_id, key_secret} - {""} <= provider.environment.keys()
    variables = [name for names in provider.environment.values() for name in names]
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]+", name) for name in variables)
    assert len(set(variables)) == len(variables)
    if provider.callbacks is not None:
        # With the key of calls only where the signature covers what a callback says: nothing signed can be made use of.
        assert provider.callbacks.key_field in secrets
        assert provider.callbacks.authentic or provider.callbacks.key_field not in provider.credentials


@EVERY
def test_a_provider_explains_itself(provider: AnyProvider) -> None:
    """The generated documentation has words for each type and each field that is no secret."""
    assert __import__(f"exporter.providers.{provider.name}", fromlist=["x"]).__doc__
    for shape in (provider.account, provider.stream):
        assert shape.__doc__
        for name, field in shape.model_fields.items():
            assert field.description or name in secret_fields(provider.account), f"{name} has no description"


# --- requests ---------------------------------------------------------------------------------------------------------


@EVERY
def test_asking_needs_the_configuration_alone(provider: AnyProvider) -> None:
    """A call is a function of account and stream, names its own API, and holds nothing but text and numbers."""
    for one, again in zip(calls(provider), calls(provider), strict=True):
        assert one == again
        assert one.action in provider.apis()
        assert one.version
        assert all(type(value) in (str, int) for value in one.params.values())


@EVERY
def test_signing_is_a_pure_function_of_the_moment(provider: AnyProvider) -> None:
    """The same call at the same moment is the same request, to the last byte, and leaves the call as it was."""
    account, _ = example(provider)
    for call in calls(provider):
        before = json.dumps(call.params)
        assert provider.sign(account, CREDENTIALS, call, MOMENT) == provider.sign(account, CREDENTIALS, call, MOMENT)
        assert json.dumps(call.params) == before


@EVERY
def test_a_request_goes_to_the_endpoint_encoded(provider: AnyProvider) -> None:
    """Requests go only to the configured host, and their URL is ASCII and fully encoded."""
    account, stream = example(provider)
    for request in signed(provider):
        assert request.url.startswith(f"{account.endpoint}/")
        assert re.fullmatch(r"[!-~]+", request.url)
        assert not urlsplit(request.url).fragment
        assert all(re.fullmatch(r"[ -~]*", value) for value in request.headers.values())
    del stream


@EVERY
def test_no_secret_is_in_a_request_in_clear(provider: AnyProvider) -> None:
    """The key is never sent; a session token goes in a header of its own and never in URL or body."""
    has_token = bool(provider.credentials[2])
    for request in signed(provider):
        visible = request.url + request.body.decode()
        assert KEY not in visible + json.dumps(request.headers)
        assert TOKEN not in visible
        assert (not {TOKEN, f"Bearer {TOKEN}"}.isdisjoint(request.headers.values())) is has_token
        assert KEY not in repr(request)
        assert TOKEN not in repr(request)


@EVERY
def test_another_secret_makes_another_signature(provider: AnyProvider) -> None:
    """Another secret gives another signature, and so does another token."""
    alone = replace(CREDENTIALS, token=None)
    other = replace(alone, key_secret=Secret("another"))
    assert all(one != two for one, two in zip(signed(provider, alone), signed(provider, other), strict=True))
    if provider.credentials[2]:
        another = replace(CREDENTIALS, token=Secret("another"))
        assert all(one != two for one, two in zip(signed(provider), signed(provider, another), strict=True))


@EVERY
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_name_that_the_configuration_takes_can_be_asked_for(provider: AnyProvider, data: st.DataObject) -> None:
    """Any text in the stream's fields gives a request in ASCII without line breaks."""
    account, stream = example(provider)
    texts = [name for name, value in stream if isinstance(value, str) and name not in ("account", "name")]
    word = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40)
    fields = {name: data.draw(word) for name in texts}
    changed = stream.model_copy(update={**fields, "name": data.draw(word)})
    main = provider.main
    call = (
        main.ask(account, main.scope(account, changed) or "", 1)
        if isinstance(main, Listing)
        else main.ask(account, changed)
    )
    request = provider.sign(account, CREDENTIALS, call, MOMENT)
    assert re.fullmatch(r"[!-~]+", request.url)
    assert request.body.isascii()


# --- answers ----------------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(), max_size=10), inner, max_size=4)
    ),
    max_leaves=10,
)
BODIES = st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode())
HEADERS = st.dictionaries(
    st.sampled_from(["content-type", "date", "retry-after", "x-acs-retry-after", "x-ratelimit-user-api"]),
    st.text(st.characters(), max_size=20) | st.just("text/html"),
)
REPLIES = st.builds(Reply, st.integers(100, 599) | st.just(200), HEADERS, BODIES)


@EVERY
@settings(max_examples=100, deadline=None)
@given(reply=REPLIES)
def test_only_an_envelope_gives_a_state(provider: AnyProvider, reply: Reply) -> None:
    """Arbitrary bytes, documents, statuses and headers raise one of three errors and never give a state."""
    account, stream = example(provider)
    for api in provider.apis().values():
        scope = (api.scope(account, stream) or "") if isinstance(api, Listing) else ""
        with pytest.raises((ProviderError, NoEnvelope, Malformed)):
            read(api, account, stream, scope, reply)


@EVERY
@settings(max_examples=100, deadline=None)
@given(data=st.data(), status=st.integers(100, 599), junk=JSON)
def test_an_envelope_with_a_spoilt_part_is_read_or_refused(
    provider: AnyProvider, data: st.DataObject, status: int, junk: Any
) -> None:
    """With any part of a true answer replaced by anything, reading gives an answer, a page or one of three errors."""
    exchange = data.draw(st.sampled_from([one for one in recorded(provider.name) if "text" not in one.given["answer"]]))
    ((kind, value),) = [one for one in exchange.given["answer"].items() if one[0] in ("json", "xml")]
    value = copy.deepcopy(value)
    part = next(iter(value.values())) if kind == "xml" else value
    if isinstance(part, dict) and part:
        part[data.draw(st.sampled_from(sorted(part)))] = junk
    reply = Reply(status, exchange.reply.headers, written({kind: value}))
    try:
        answer = exchange.read(reply)
    except (ProviderError, NoEnvelope, Malformed):
        return
    # A cloud may tell a state by an error, with the error's status.
    assert status in (200, exchange.reply.status)
    assert isinstance(answer, Page if isinstance(exchange.api, Listing) else Answer)
    assert not isinstance(answer, Answer) or answer.state is not State.UNKNOWN


def _objects(value: Any, free: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = [part for name, part in value.items() if name not in free]
    for part in value if isinstance(value, list) else ():
        yield from _objects(part, free)


def _definite(provider: AnyProvider) -> list[Exchange]:
    definite = [one for one in recorded(provider.name) if "text" not in one.given["answer"]]
    return [one for one in definite if "state" in one.expected or "rows" in one.expected]


@EVERY
def test_only_200_fresh_from_the_cloud_is_definite(provider: AnyProvider) -> None:
    """A real answer with another status, or with an Age above 0, does not count."""
    for one in _definite(provider):
        headers = dict(one.reply.headers)
        spoilt = [Reply(status, headers, one.reply.body) for status in (201, 202, 203, 204, 205, 206, 207, 226, 299)]
        spoilt += [
            Reply(one.reply.status, {**headers, "Age": age}, one.reply.body)
            for age in ("1", "99999", "0.5", "-1", "old", "")
        ]
        for reply in spoilt:
            with pytest.raises(NoEnvelope):
                one.read(reply)
        fresh = Reply(one.reply.status, {**headers, "age": "0"}, one.reply.body)
        assert one.read(fresh)


@EVERY
@pytest.mark.parametrize("name", ["error", "ERROR", "code", "message", "errCode", "Errors"])
def test_an_error_field_beside_a_state_counts(provider: AnyProvider, name: str) -> None:
    """A field named like an error's makes a real answer malformed, wherever it is, unless it is null."""
    free = facts()[provider.name].free
    for one in (each for each in _definite(provider) if each.reply.status == 200 and "json" in each.given["answer"]):
        for place in range(len(list(_objects(json.loads(one.reply.body), free)))):
            for value in ("busy", 0, {"Code": "InternalError"}, None):
                document = json.loads(one.reply.body)
                holder = list(_objects(document, free))[place]
                if name in holder:  # the API's own
                    continue
                holder[name] = value
                reply = Reply(200, one.reply.headers, json.dumps(document).encode())
                if value is None:
                    assert one.read(reply)
                else:
                    with pytest.raises((Malformed, ProviderError)):
                        one.read(reply)


@EVERY
@pytest.mark.parametrize("status", [400, 404, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("page", [{}, {"code": 1}, {"Code": 429}, {"Code": None}, {"error": {"code": "busy"}}, [], 1])
def test_an_intermediarys_json_is_not_an_envelope(provider: AnyProvider, status: int, page: Any) -> None:
    """An intermediary's error page in JSON is not taken for an error of the account."""
    account, stream = example(provider)
    reply = Reply(status, {"content-type": "application/json"}, json.dumps(page).encode())
    for api in provider.apis().values():
        scope = (api.scope(account, stream) or "") if isinstance(api, Listing) else ""
        with pytest.raises(NoEnvelope):
            read(api, account, stream, scope, reply)


def test_retired_fields_do_not_exist() -> None:
    """A retired key is not a present one."""
    for provider in PROVIDERS.values():
        assert provider.retired.keys().isdisjoint(provider.stream.model_fields)


@EVERY
def test_a_stream_is_found_in_its_own_lists(provider: AnyProvider) -> None:
    """A listing that covers a stream has at least one key for it, of the same form as its rows' keys."""
    account, stream = example(provider)
    for listing in (*provider.listings, *provider.figures):
        if listing.scope(account, stream) is None:
            continue
        keys = listing.keys(account, stream)
        listed = next(one for one in recorded(provider.name) if one.api is listing and one.expected.get("rows"))
        page = listed.read(listed.reply)
        assert isinstance(page, Page)
        row = page.rows
        assert keys
        assert {type(key) for key in keys} == {type(key) for key in row}


@pytest.mark.parametrize(
    "provider", [one for one in PROVIDERS.values() if one.callbacks], ids=lambda one: str(one.name)
)
@given(method=st.sampled_from(["GET", "POST"]), texts=st.dictionaries(st.text(), st.text(st.characters())), body=BODIES)
def test_nothing_that_is_not_signed_is_accepted(
    provider: AnyProvider, method: str, texts: dict[str, str], body: bytes
) -> None:
    """Any request at all to the callback's address is refused, never believed, and breaks nothing."""
    assert provider.callbacks is not None
    account, _ = example(provider)
    callback = Callback(method, "host", texts, texts, body)
    with pytest.raises(Refused):
        provider.callbacks.verify(account, "a secret nobody knows", callback, MOMENT.now)
