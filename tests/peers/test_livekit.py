"""A real LiveKit server, a real publisher, and the vendor's own library for tokens, webhooks and answers."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import yaml

from exporter.fields import Secret, SecretSource
from exporter.model import Call, Credentials, Moment
from exporter.providers import all_providers
from exporter.simulator import World
from exporter.simulator.providers import fakes
from exporter.simulator.sending import build_callback
from exporter.simulator.types import Event
from testbed.processes import Server, exporter, free_port, running, until
from testbed.web import answers, fetch
from tests.deploy.tools import ROOT, library, missing

KEY, SECRET = "devkey", "a-secret-of-at-least-thirty-two-letters"
STARTING = re.compile(r'"portHttp": ?"?(\d+)')
PROVIDER = all_providers()["livekit"]
ATTRIBUTES = {"error": "written by a user", "message": "so is this", "code": "7"}
PATIENCE = 15.0

T = TypeVar("T")


@dataclass
class Studio:
    """A publisher's side: rooms that are joined in a loop of their own, and a picture that is sent all the time."""

    url: str
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    rtc: Any = field(default_factory=lambda: library("livekit.rtc", "pip install livekit"))
    api: Any = field(default_factory=lambda: library("livekit.api", "pip install livekit-api"))

    def __post_init__(self) -> None:
        self.thread = Thread(target=self.loop.run_forever, name="studio", daemon=True)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE)

    def token(self, room: str, identity: str) -> str:
        """Return a token with which a user joins a room, made by the vendor's library."""
        grants = self.api.VideoGrants(room_join=True, room=room)
        made = self.api.AccessToken(KEY, SECRET).with_identity(identity).with_grants(grants)
        return str(made.with_attributes(ATTRIBUTES).to_jwt())

    async def join(self, room: str, identity: str) -> Any:
        """Join a room."""
        joined = self.rtc.Room()
        await joined.connect(self.url, self.token(room, identity))
        return joined

    async def publish(self, room: Any) -> Any:
        """Publish a picture that moves, as a camera does; return the publication."""
        source = self.rtc.VideoSource(160, 96)
        track = self.rtc.LocalVideoTrack.create_video_track("v", source)
        options = self.rtc.TrackPublishOptions(source=self.rtc.TrackSource.SOURCE_CAMERA)

        async def film() -> None:
            while True:
                shade = bytes([int(time.monotonic() * 50) % 256])
                frame = self.rtc.VideoFrame(160, 96, self.rtc.VideoBufferType.RGBA, shade * 160 * 96 * 4)
                source.capture_frame(frame)
                await asyncio.sleep(0.05)

        self.filming = self.loop.create_task(film())
        return await room.local_participant.publish_track(track, options)

    async def listed(self, room: str) -> list[Any]:
        """Return who is in a room, as the vendor's library reads it."""
        async with self.api.LiveKitAPI(self.url, KEY, SECRET) as server:
            found = await server.room.list_participants(self.api.ListParticipantsRequest(room=room))
            return list(found.participants)

    def start(self) -> None:
        """Run the loop in a thread."""
        self.thread.start()

    def close(self) -> None:
        """End what runs in the loop, and the loop."""
        self.do(self._end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


@dataclass(frozen=True)
class Stage:
    """The server, the exporter that watches it and gets its webhooks, and a publisher."""

    server: str
    exporter: Server
    studio: Studio

    def value(self, sample: str) -> float | None:
        """Scrape, and return a sample's value."""
        text = fetch(f"{self.exporter.url}/metrics")
        found = re.search(rf"^{re.escape(sample)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else None

    def becomes(self, sample: str, value: float | None) -> None:
        """Wait until a sample has a value."""
        until(lambda: self.value(sample) == value, f"{sample} is {value}", PATIENCE)

    def media(self, source: str, stream: str = "caster") -> str:
        """Return the sample of a source."""
        return f'stream_media_active{{provider="livekit",stream="{stream}",media="{source}"}}'


def active(stream: str) -> str:
    """Return the sample of a stream's state."""
    return f'stream_active{{provider="livekit",stream="{stream}"}}'


def callbacks(event: str, outcome: str = "accepted") -> str:
    """Return the sample of an event."""
    return f'stream_callbacks_total{{account="main",event="{event}",outcome="{outcome}",provider="livekit"}}'


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A server on loopback that calls back, and an exporter with the right key, and with wrong ones."""
    binary = ROOT / ".peers" / "livekit-server"
    if not binary.is_file():
        missing("LiveKit", "make livekit")
    folder = tmp_path_factory.mktemp("livekit")
    port, tcp, udp, ours = (free_port() for _ in range(4))
    url = f"http://127.0.0.1:{port}"
    config = {
        "port": port,
        "bind_addresses": ["127.0.0.1"],
        "rtc": {
            "tcp_port": tcp, "udp_port": udp, "use_external_ip": False, "node_ip": "127.0.0.1",
            "enable_loopback_candidate": True, "interfaces": {"includes": ["lo"]},
        },
        "keys": {KEY: SECRET},
        "webhook": {"api_key": KEY, "urls": [f"http://127.0.0.1:{ours}/callbacks/main"]},
    }  # fmt: skip
    (folder / "livekit.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    account = {"provider": "livekit", "endpoint": url, "api_key": KEY, "api_secret": SECRET}
    document = {
        "scrape": {"reuse": "0s"},
        "accounts": [
            {"name": "main", **account},
            {"name": "wrong-secret", **account, "api_secret": f"{SECRET}-of-another-server"},
            {"name": "wrong-key", **account, "api_key": "a-key-that-nobody-has"},
        ],
        "streams": [
            {"name": "caster", "account": "main", "room": "stage"},
            {"name": "mic", "account": "main", "room": "stage", "identity": "caster", "sources": ["microphone"]},
            {"name": "elsewhere", "account": "main", "room": "another stage", "identity": "caster"},
            {"name": "feed", "account": "main", "ingress_id": "IN_none"},
            {"name": "refused", "account": "wrong-secret", "room": "stage"},
            {"name": "unknown", "account": "wrong-key", "room": "stage"},
        ],
    }
    with ExitStack() as stack:
        command: list[str | Path] = [binary, "--config", folder / "livekit.yml"]
        stack.enter_context(running(command, folder / "server", STARTING))
        until(lambda: answers(url), "LiveKit answers")
        flags = ("--log.level", "debug")
        ours_url = f"127.0.0.1:{ours}"
        watching = stack.enter_context(exporter(document, *flags, listen=ours_url, folder=folder / "exporter"))
        studio = Studio(url)
        studio.start()
        stack.callback(studio.close)
        yield Stage(url, watching, studio)


def test_a_publisher_is_seen_in_all_that_it_does(stage: Stage) -> None:
    """Absent, in the room, published, muted, unpublished, published again, gone: as the vendor's library sees it."""
    studio = stage.studio
    assert [stage.value(active(name)) for name in ("caster", "mic", "elsewhere")] == [0.0, 0.0, 0.0]
    room = studio.do(studio.join("stage", "caster"))
    assert [one.identity for one in studio.do(studio.listed("stage"))] == ["caster"]
    assert stage.value(active("caster")) == 0
    began = time.time()
    publication = studio.do(studio.publish(room))
    stage.becomes(active("caster"), 1.0)
    assert [stage.value(stage.media(one)) for one in ("camera", "microphone")] == [1.0, 0.0]
    started = stage.value('stream_start_timestamp_seconds{provider="livekit",stream="caster"}')
    assert started is not None
    assert began - 1 < started < time.time()
    assert [stage.value(active(name)) for name in ("mic", "elsewhere")] == [0.0, 0.0]
    assert stage.value(stage.media("camera", "mic")) == 1.0
    (person,) = studio.do(studio.listed("stage"))
    assert [one.muted for one in person.tracks] == [False]
    assert dict(person.attributes) == ATTRIBUTES

    publication.track.mute()
    stage.becomes(stage.media("camera"), 0.0)
    assert stage.value(active("caster")) == 1.0
    publication.track.unmute()
    stage.becomes(stage.media("camera"), 1.0)

    studio.do(room.local_participant.unpublish_track(publication.sid))
    stage.becomes(active("caster"), 0.0)
    studio.do(studio.publish(room))
    stage.becomes(active("caster"), 1.0)
    studio.do(room.disconnect())
    stage.becomes(active("caster"), 0.0)
    changes = 'stream_state_changes_total{provider="livekit",stream="caster"}'
    assert stage.value(changes) == 4


def test_its_webhooks_were_received_and_verified(stage: Stage) -> None:
    """What happened above was called back by the server, and is told as authentic; the push ended by the client."""
    stage.becomes(callbacks("participant_left"), 1.0)
    counted = {event: stage.value(callbacks(event)) for event in ("track_published", "track_unpublished")}
    assert counted["track_published"] == 2
    assert counted["track_unpublished"] in (1, 2)
    ended = 'stream_pushes_ended_total{provider="livekit",stream="caster",reason="client"}'
    assert stage.value(ended) == 1
    assert stage.value(callbacks("unknown", "forged")) is None


def test_a_users_token_is_no_signature(stage: Stage) -> None:
    """Every user has a token that was made with the same key: it covers no body, and is refused."""
    body = json.dumps({"event": "track_published", "room": {"name": "stage"}, "participant": {"identity": "caster"}})
    headers = {"Authorization": stage.studio.token("stage", "caster"), "Content-Type": "application/webhook+json"}
    with pytest.raises(HTTPError, match="403"):
        urlopen(Request(f"{stage.exporter.url}/callbacks/main", body.encode(), headers), timeout=10)
    assert stage.value(callbacks("unknown", "forged")) == 1


@pytest.mark.parametrize(
    ("account", "told"), [("wrong-secret", "invalid token: <secret>"), ("wrong-key", "invalid API key")]
)
def test_a_wrong_key_is_told_and_no_token_is_shown(stage: Stage, account: str, told: str) -> None:
    """The server repeats the whole token in its 401: it is read as auth, and nobody sees the token."""
    shown = fetch(f"{stage.exporter.url}/probe?account={account}&debug=true")
    assert told in shown
    shown += fetch(f"{stage.exporter.url}/api/v1/streams") + stage.exporter.log()
    labels = f'account="{account}",code="unauthenticated",provider="livekit",reason="auth"'
    assert (stage.value(f"stream_probe_errors_total{{{labels}}}") or 0) >= 1
    assert "eyJ" not in shown
    assert SECRET not in shown


def test_an_ingress_is_unknown_where_there_is_no_redis(stage: Stage) -> None:
    """A server without Redis has no ingress and says so: that is no word on whether the stream is live."""
    labels = 'account="main",code="internal",provider="livekit",reason="provider_error"'
    assert (stage.value(f"stream_probe_errors_total{{{labels}}}") or 0) >= 1
    assert stage.value(active("feed")) is None


def test_the_vendors_library_verifies_our_tokens_and_the_fakes_webhooks(stage: Stage) -> None:
    """Our token has the grant of one room; what the simulator calls back with is what LiveKit's own receiver takes."""
    api = stage.studio.api
    account = PROVIDER.account(
        name="main", provider="livekit", endpoint=stage.server,
        api_key=SecretSource.plain(KEY), api_secret=SecretSource.plain(SECRET),
    )  # fmt: skip
    call = Call("ListParticipants", "livekit.RoomService", {"room": "stage"})
    signed = PROVIDER.sign(account, Credentials(KEY, Secret(SECRET)), call, Moment(time.time(), "", 0))
    claims = api.TokenVerifier(KEY, SECRET).verify(signed.headers["Authorization"].removeprefix("Bearer "))
    assert (claims.video.room_admin, claims.video.room, claims.video.room_list) == (True, "stage", None)

    world = World()
    world.add_account("main", "livekit", api_key=KEY, api_secret=SECRET)
    stream, now = world.add_stream("caster", "main", room="stage"), time.time()
    spec = fakes()["livekit"].callbacks
    assert spec is not None
    made = build_callback(spec, Event(stream, True, now, 1, (1, now), now, "7"))
    receiver = api.WebhookReceiver(api.TokenVerifier(KEY, SECRET))
    event = receiver.receive(made.body.decode(), made.headers["Authorization"])
    assert (event.event, event.room.name, event.participant.identity) == ("track_published", "stage", "caster")
