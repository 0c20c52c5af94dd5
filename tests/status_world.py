"""What the status page shows in tests: four clouds, every state, every kind of trouble, hostile names."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from exporter.addresses import PlaybackAddress
from exporter.fields import Secret, SecretSource
from exporter.model import Account, Answer, Fault, Figures, Input, Reason, State
from exporter.providers import all_providers
from exporter.providers.interface import AnyProvider
from exporter.rounds.health import Health
from exporter.rounds.limits import Limits
from exporter.rounds.pace import Breaker, Pace
from exporter.state.board import Board
from exporter.state.counters import Counters
from exporter.state.playback import PlaybackCheck
from exporter.state.record import Instant, Record
from exporter.status import Filter, Site, Snapshot, slices

NOW = Instant(unix=1_800_000_000.0, mono=50_000.0)
MAX_AGE = 120.0
SITE = Site(
    title="production",
    runbook="https://wiki.example/runbook",
    dashboard="https://grafana.example/d/s?var-provider={provider}&var-stream={stream}",
)
HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>'",
    "&lt;b&gt; {braces} %s",
    "live\u202egnp.exe",
    "tab\there\nand\x1b[31mred",
    "👩‍👩‍👧‍👦 🏟️ арена",
    "ردهة-البث",
    "直播间-一号",
    "x" * 256,
)
SECRETS: dict[str, dict[str, Any]] = {
    "zego": {"app_id": 1, "server_secret": SecretSource.plain("s" * 32)},
    "tencent": {"secret_id": SecretSource.plain("i"), "secret_key": SecretSource.plain("k")},
    "alibaba": {"access_key_id": SecretSource.plain("i"), "access_key_secret": SecretSource.plain("k")},
    "volcengine": {"access_key_id": SecretSource.plain("i"), "secret_access_key": SecretSource.plain("k")},
}
ADDRESS: dict[str, dict[str, Any]] = {
    "zego": {},
    "tencent": {"domain": "5000.livepush.example"},
    "alibaba": {"domain": "push.example", "app": "live"},
    "volcengine": {"room_id": "hall"},
}


@dataclass
class FakeAccount:
    """An account as the page sees it."""

    provider: AnyProvider
    account: Account
    health: Health = field(default_factory=lambda: Health(up=True, round_seconds=0.42))
    paces: dict[str, Pace] = field(default_factory=dict)
    slowed: float = 1.0
    shared: Any = field(default_factory=lambda: SimpleNamespace(limits=Limits()))

    def allowed_rates(self) -> dict[str, float]:
        """Return the calls per second allowed now."""
        return {action: pace.limit * self.slowed for action, pace in self.paces.items()}


@dataclass(repr=False)  # a test that fails prints it, and it may hold 70,000 streams
class World:
    """A board with accounts, filled by hand."""

    board: Board = field(default_factory=lambda: Board(MAX_AGE))
    counters: Counters = field(default_factory=Counters)
    accounts: list[Any] = field(default_factory=list)
    streams: list[tuple[str, Any]] = field(default_factory=list)

    def snapshot(self, **changes: Any) -> Snapshot:
        """Return what the page is given."""
        settings = {"now": NOW, "started": NOW.unix - 3600, "site": SITE, **changes}
        return Snapshot(self.board, self.counters, self.accounts, **settings)

    def account(self, name: str, provider: str, **changes: Any) -> FakeAccount:
        """Add an account."""
        kind = all_providers()[provider]
        account = kind.account(name=name, provider=provider, **SECRETS[provider])
        paces = {action: Pace(api.limit(account) * 0.5) for action, api in kind.apis().items()}
        view = FakeAccount(kind, account, paces=paces, **changes)
        self.accounts.append(view)
        return view

    def watch(
        self, view: FakeAccount, *names: str, labels: dict[str, str] | None = None, **fields: Any
    ) -> list[Record]:
        """Watch streams of an account."""
        provider = view.provider.name
        for name in names:
            address = {**ADDRESS[provider], **fields}
            stream = view.provider.stream(name=name, account=view.account.name, labels=labels or {}, **address)
            self.streams.append((provider, stream))
        self.board.watch(self.streams, MAX_AGE)
        return [record for name in names if (record := self.board.get((provider, name))) is not None]

    def answer(self, record: Record, state: State, seconds_ago: float, **told: Any) -> None:
        """Let a provider have said something some time ago, and again just now."""
        answer = Answer(state, **told)
        self.board.answered(record, answer, "DescribeLiveStreamState", earlier(seconds_ago))
        self.board.answered(record, answer, "DescribeLiveStreamState", earlier(4))

    def check(self, record: Record, seconds_ago: float, *checks: PlaybackCheck | None) -> None:
        """Let the addresses of a stream have been checked some time ago, those with None not at all."""
        then = earlier(seconds_ago)
        for address, check in zip(record.stream.playback, checks, strict=True):
            if check is not None:
                until = NOW.mono + MAX_AGE - seconds_ago
                self.board.played(record, address, check._replace(checked=then.unix, until=until), then)

    def fail(self, record: Record, fault: Fault, *seconds_ago: float) -> None:
        """Let attempts fail some time ago."""
        for seconds in seconds_ago:
            self.board.failed(record, fault, earlier(seconds))


def whole_page(known: Snapshot, wanted: Filter) -> str:
    """Return the page in one piece."""
    return "".join(slices(known, wanted))


def earlier(seconds: float) -> Instant:
    """Return a time before now."""
    return Instant(NOW.unix - seconds, NOW.mono - seconds)


def troubled() -> World:
    """A world where everything happens at once."""
    world = World()
    tencent = world.account("tencent-main", "tencent", slowed=0.5)
    tencent.health.unprobed = {"quota": 12}
    zego = world.account("zego-main", "zego")
    dead = Fault(Reason.AUTH, "InvalidAccessKeyId.NotFound", "Specified access key is not found.", "3F1C-77AB-90D2")
    alibaba = world.account(
        "alibaba-eu", "alibaba", health=Health(Breaker(bad_rounds=0), up=False, fault=dead, round_seconds=0.42)
    )
    volc = world.account("volc-rtc", "volcengine", health=Health())
    _tencent_streams(world, tencent)
    _zego_streams(world, zego)
    for record in world.watch(alibaba, "keynote", "stage-b", labels={"team": "events", "tier": "gold"}):
        world.answer(record, State.ACTIVE, 7200)
        world.fail(record, dead, 190, 100, 3)
    world.watch(volc, "host-42", "host-43")
    world.counters.skew["tencent", "tencent-main"] = 0.2
    world.counters.skew["alibaba", "alibaba-eu"] = -94.0
    world.counters.errors["alibaba", "alibaba-eu", "InvalidAccessKeyId.NotFound", "auth"] = 6
    world.counters.errors["tencent", "tencent-main", "timeout", "timeout"] = 3
    return world


def _tencent_streams(world: World, view: FakeAccount) -> None:
    gold, silver = {"team": "esports", "tier": "gold"}, {"team": "esports", "tier": "silver"}
    arena, cup, studio = world.watch(view, "arena-1", "cup-final", "studio-9", labels=gold, inputs=2)
    world.answer(arena, State.INACTIVE, 754)
    primary = Input("5000.livepush.example", "live", "push", primary=True)
    world.answer(cup, State.ACTIVE, 5400, inputs=(primary,), started=NOW.unix - 5400)
    world.answer(studio, State.FORBIDDEN, 90_000)
    (slow,) = world.watch(view, "backstage", labels=silver)
    world.answer(slow, State.ACTIVE, 4000)
    said = "no answer within 3 s"
    world.fail(slow, Fault(Reason.TIMEOUT, Reason.TIMEOUT, said), 61, 31, 1)
    (late,) = world.watch(view, "late-show", labels=silver)
    world.board.answered(late, Answer(State.ACTIVE), "DescribeLiveStreamState", earlier(400))


def _zego_streams(world: World, view: FakeAccount) -> None:
    for number, record in enumerate(world.watch(view, *(f"room-{n:02}" for n in range(1, 9)))):
        world.answer(record, State.ACTIVE, 300 * (number + 1), code="0")
    gone, closed = world.watch(view, "old-room", "closing-room")
    world.answer(gone, State.NOT_FOUND, 86_400 * 3, code="41004")
    world.answer(closed, State.INACTIVE, 42, code="41006")


def hostile() -> World:
    """A world where every name, label and message tries something."""
    world = World()
    for number, name in enumerate(HOSTILE):
        view = world.account(name, ("zego", "tencent", "alibaba", "volcengine")[number % 4])
        fault = Fault(Reason.PROVIDER_ERROR, "other", f"{name} “{name}”", name[:128])
        view.health = Health(up=False, fault=fault, round_seconds=0.42)
        live, failed = world.watch(view, name, f"{name[:200]}-failed", labels={"team": name})
        world.answer(live, State.ACTIVE, 60, inputs=(Input(name, name, "push", primary=True),))
        world.fail(failed, fault, 20)
        world.counters.errors[view.provider.name, name, "other", "provider_error"] = 2
    return world


def crowd(streams: int) -> World:
    """A world of very many streams in all states."""
    world = World()
    view = world.account("tencent-main", "tencent")
    names = [f"stream-{number:05}" for number in range(streams)]
    states = (State.ACTIVE, State.ACTIVE, State.ACTIVE, State.INACTIVE, State.FORBIDDEN, State.UNKNOWN)
    fault = Fault(Reason.TIMEOUT, Reason.TIMEOUT, "no answer within 3 s", "3F1C-77AB-90D2")
    for number, record in enumerate(world.watch(view, *names, labels={"team": "esports", "tier": "gold"})):
        state = states[number % len(states)]
        if state is State.UNKNOWN:
            world.fail(record, fault, 30.0)
        else:
            world.answer(record, state, 60.0 + number)
    return world


PLAYS = PlaybackCheck(True, "the playlist moves and its newest segment comes", age=3.14, first_byte=0.031)
STANDS = PlaybackCheck(False, "the playlist stands still for 18 s: its newest segment is still live-00042.ts", age=95.2)
FAILS = PlaybackCheck(None, "HTTP 403: is the token in the address stale?", Reason.AUTH)


def addresses(*names: str) -> tuple[PlaybackAddress, ...]:
    """Return addresses of these names."""
    return tuple(
        PlaybackAddress(name, Secret(f"https://play.example/{number}.m3u8?token=s3cret"), "https://play.example", ())
        for number, name in enumerate(names)
    )


def viewed() -> World:
    """A world whose streams have addresses, each broken at another hop, beside two that have none."""
    world = World()
    view, two = world.account("tencent-main", "tencent"), addresses("cdn-a", "cdn-b")
    arrives, stalled = Figures((("video", 2.5e6),), frames=25.0, stalled=False), Figures(stalled=True)
    told: dict[str, tuple[State, Figures | None, tuple[PlaybackCheck | None, ...]]] = {
        "well": (State.ACTIVE, arrives, (PLAYS, PLAYS)),
        "edge": (State.ACTIVE, arrives, (PLAYS, STANDS)),
        "nobody": (State.ACTIVE, None, (STANDS, STANDS)),
        "encoder": (State.ACTIVE, stalled, (STANDS, STANDS)),
        "cloud": (State.INACTIVE, None, (STANDS, STANDS)),
        "token": (State.ACTIVE, arrives, (FAILS, PLAYS)),
        "new": (State.ACTIVE, arrives, (None, None)),
    }
    for name, (state, figures, checks) in told.items():
        (record,) = world.watch(view, name, labels={"team": "esports"}, playback=two)
        world.answer(record, state, 600, figures=figures)
        world.check(record, 5, *checks)
    (failed,) = world.watch(view, "failed", playback=addresses("playback-1"))
    world.fail(failed, Fault(Reason.TIMEOUT, Reason.TIMEOUT, "no answer within 3 s"), 20)
    world.check(failed, 8, PLAYS)
    plain, down = world.watch(view, "plain", "plain-down")
    world.answer(plain, State.ACTIVE, 60)
    world.answer(down, State.INACTIVE, 60)
    return world


def outage() -> World:
    """A world whose stream has been live for 9 h, while viewers have had nothing for 12 min, beside others."""
    world = World()
    view, two = world.account("tencent-main", "tencent"), addresses("cdn-a", "cdn-b")
    edge, late, calm, lost = world.watch(view, "edge", "late", "calm", "lost", playback=two)
    for record, hours in ((edge, 9), (late, 9), (calm, 7), (lost, 8)):
        world.answer(record, State.ACTIVE, 36_000)
        world.answer(record, State.INACTIVE, 35_000)
        world.answer(record, State.ACTIVE, 3600 * hours)
    world.answer(late, State.INACTIVE, 3000)
    for record in (edge, late, calm, lost):
        world.check(record, 3000, PLAYS, PLAYS)
    world.check(edge, 720, PLAYS, STANDS)
    world.check(late, 720, STANDS, STANDS)
    world.answer(late, State.ACTIVE, 60)
    world.check(edge, 300, PLAYS, FAILS)
    world.check(edge, 15, PLAYS, STANDS)
    world.check(late, 15, STANDS, STANDS)
    world.check(calm, 15, PLAYS, PLAYS)
    world.board.outdate(earlier(5))
    return world
