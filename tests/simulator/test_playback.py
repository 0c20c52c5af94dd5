"""What viewers of the simulated streams get: HLS and FLV that go, stand still and end with the world."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any, NamedTuple

import aiohttp
import m3u8
import pytest
from yarl import URL

from exporter.model import State
from exporter.simulator import Figures, Playback, Script, Simulator, World, WorldError, parse_world
from exporter.simulator.playback import flv, mpegts, tokens
from exporter.simulator.playback.playlists import LONGEST_EVENT
from exporter.simulator.playback.site import find, write

from .test_control import control

NOW = 1_767_323_045.0
HLS = ("index.m3u8", "high.m3u8", "low.m3u8", "low-latency.m3u8", "event.m3u8")


class Site:
    """A world with one stream, whose time passes when told."""

    def __init__(self, state: Any = "active", name: str = "s", **details: Any) -> None:
        self.now = NOW
        self.world = World(clock=lambda: self.now)
        self.world.add_account("main", "zego", app_id=1, server_secret="secret")
        self.key = self.world.add_stream(name, "main", state=state, **details).key

    def get(self, file: str, path: str = "/playback/zego/s/") -> tuple[int, bytes]:
        """Return status and body of a file, by now."""
        address, _, query = file.partition("?")
        wire = write(find(self.world.streams, path + address, query), self.now)
        return wire.status, wire.body

    def playlist(self, file: str = "index.m3u8") -> m3u8.M3U8:
        """Return a playlist, read by PyPI's m3u8."""
        status, body = self.get(file)
        assert status == 200
        return m3u8.loads(body.decode())

    def rows(self, file: str = "index.m3u8") -> list[str]:
        """Return the addresses of a playlist's segments and parts."""
        segments = self.playlist(file).segments
        return [each for one in segments for each in (*(part.uri for part in one.parts), one.uri) if each]


@pytest.mark.parametrize("file", HLS)
def test_rows_come_as_time_passes_and_can_be_fetched(file: str) -> None:
    """A playlist that slides or grows: the newest segment's end is by its date never older than a segment."""
    site = Site()
    seen: list[str] = []
    for _ in range(20):
        rows = site.rows(file)
        assert set(seen[-1:]) <= set(rows)  # no gap
        assert len(rows) <= (6 + 3 * 4 if file != "event.m3u8" else 22)
        playlist = site.playlist(file)
        whole = [each for each in playlist.segments if each.uri]
        newest = whole[-1].program_date_time
        assert playlist.target_duration == 2
        assert newest is not None
        assert 0 <= site.now - (newest.timestamp() + 2) < 2
        assert not playlist.is_endlist
        assert site.get(rows[-1])[0] == 200
        seen += [each for each in rows if each not in seen]
        site.now += 2
    assert len([each for each in seen if each.count(".") == 1]) == 20


def test_a_master_playlist_has_two_variants() -> None:
    """Both lead to playlists beside it, with segments of their own."""
    site = Site()
    variants = site.playlist("master.m3u8").playlists
    assert [(each.uri, each.stream_info.resolution) for each in variants] == [
        ("high.m3u8", (1280, 720)), ("low.m3u8", (640, 360)),
    ]  # fmt: skip
    bodies = [site.get(site.rows(str(each.uri))[-1])[1] for each in variants]
    assert bodies[0] != bodies[1]


def test_an_event_list_keeps_its_sequence_and_is_bounded() -> None:
    """Its sequence stands at 0 while rows come; a full one is followed by a new one, and never by an empty one."""
    site = Site(Script((State.ACTIVE,), since=NOW))
    counts = []
    for seconds in (0, 1, 2, 2 * LONGEST_EVENT - 2, 2 * LONGEST_EVENT, 2 * LONGEST_EVENT + 2):
        site.now = NOW + seconds
        body = site.get("event.m3u8")[1]
        assert b"#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:EVENT\n" in body
        counts.append(body.count(b"#EXTINF"))
    assert counts == [1, 2, 2, LONGEST_EVENT, 1, 2]


def test_parts_come_before_their_segment_and_make_it_up() -> None:
    """Low-latency HLS moves every half second, and four parts are the segment that follows them."""
    site = Site()
    site.now += 20
    before = site.get("low-latency.m3u8")[1]
    site.now += 0.5
    after = site.playlist("low-latency.m3u8")
    assert site.get("low-latency.m3u8")[1] != before
    assert after.media_sequence == m3u8.loads(before.decode()).media_sequence
    last = [each for each in after.segments if each.uri][-1]
    assert len(last.parts) == 4
    assert b"".join(site.get(part.uri)[1] for part in last.parts) == site.get(str(last.uri))[1]
    hint = after.preload_hint
    assert hint is not None
    assert site.get(hint.uri)[0] == 404
    site.now += 0.5
    assert site.get(hint.uri)[0] == 200


@pytest.mark.parametrize("details", [{"figures": Figures(moving=False)}, {"playback": Playback(moving=False)}])
@pytest.mark.parametrize("file", HLS)
def test_playlists_stand_still_where_nothing_moves(details: dict[str, Any], file: str) -> None:
    """Whether nothing arrives or the CDN stands still: rows stay, can be fetched, and go on when it moves again."""
    site = Site()
    site.now += 61
    site.world.set(site.key, **details)
    before = site.get(file)
    site.now += 600
    assert site.get(file) == before
    assert site.get(site.rows(file)[-1])[0] == 200
    assert site.world.state(site.key) is State.ACTIVE
    site.world.set(site.key, figures=Figures(), playback=Playback())
    assert site.get(file) != before


def test_a_script_freezes_the_cdn_part_of_the_time() -> None:
    """While the cloud says active, viewers' media moves and stands still by turns, a function of the clock alone."""
    moving = Script((State.ACTIVE, State.INACTIVE), every=30.0)
    site = Site(Script((State.ACTIVE,), since=NOW - 3600), playback=Playback(moving=moving))
    fresh = []
    for _ in range(60):
        before = site.get("index.m3u8")
        site.now += 2
        fresh.append(site.get("index.m3u8") != before)
    assert 28 <= sum(fresh) <= 32
    assert 3 <= sum(first != second for first, second in pairwise(fresh)) <= 4


@pytest.mark.parametrize("file", [*HLS, "master.m3u8"])
@pytest.mark.parametrize("scripted", [True, False])
def test_a_push_that_ends_is_told_for_half_a_minute(file: str, scripted: bool) -> None:
    """ENDLIST for 30 seconds, then 404, whether the script or somebody ended it; a new push is there at once."""
    cycle = Script((State.ACTIVE, State.INACTIVE), every=60.0, offset=-NOW % 120)
    site = Site(cycle if scripted else "active")
    site.now += 59
    live = site.get(file)[1]
    if not scripted:
        site.world.set(site.key, "inactive")
    site.now += 2
    assert site.world.state(site.key) is State.INACTIVE
    if file != "master.m3u8":
        ended = site.get(file)
        assert ended[1].endswith(b"#EXT-X-ENDLIST\n")
        assert b"ENDLIST" not in live
        assert site.get(site.rows(file)[-1])[0] == 200
        site.now += 20
        assert site.get(file) == ended
    site.now += 30
    assert site.get(file)[0] == 404
    site.world.set(site.key, "active")
    assert site.get(file)[0] == 200


@pytest.mark.parametrize("state", ["inactive", "forbidden", "not_found"])
@pytest.mark.parametrize("file", [*HLS, "master.m3u8", "live.flv"])
def test_what_is_not_live_is_not_found(state: str, file: str) -> None:
    """Neither a stream that was never pushed nor one that is forbidden has anything; nor has an unknown one."""
    assert Site(state).get(file)[0] == 404
    site = Site()
    site.world.set(site.key, state)
    assert site.get(file)[0] == (200 if state == "inactive" and file != "live.flv" else 404)
    assert site.get(file, "/playback/zego/other/")[0] == 404
    assert site.get("nothing.m3u8")[0] == 404


class Packet(NamedTuple):
    """What the head of an MPEG-TS packet says."""

    identifier: int
    counter: int
    begins: bool


def packets(body: bytes) -> Iterator[Packet]:
    """Yield the packets of a transport stream."""
    assert body
    assert len(body) % mpegts.PACKET == 0
    for start in range(0, len(body), mpegts.PACKET):
        sync, middle, low, last = body[start : start + 4]
        assert sync == 0x47
        yield Packet((middle & 0x1F) << 8 | low, last & 0x0F, bool(middle & 0x40))


def test_segments_are_a_transport_stream_without_gaps() -> None:
    """Whole packets; tables first; each counter goes on from one segment to the next."""
    site = Site(Script((State.ACTIVE,), since=NOW - 60))
    counters: dict[int, int] = {}
    for row in site.rows():
        found = list(packets(site.get(row)[1]))
        assert [each.identifier for each in found[:2]] == [0, 0x1000]
        for identifier, counter, _ in found:
            assert counters.get(identifier, counter - 1) == (counter - 1) % 16 or identifier not in counters
            counters[identifier] = counter
    assert counters.keys() == {0, 0x1000, 0x100, 0x101}


def test_segments_that_are_not_there_are_not_found() -> None:
    """Neither those to come nor those from before the push, nor what is named otherwise."""
    site = Site()
    site.now += 10
    rows = site.rows()
    number = int(rows[0].split("-")[1].removesuffix(".ts"))
    assert site.get(f"s-{number}.ts")[0] == 200
    for name in (f"s-{number - 1}.ts", f"s-{number + len(rows)}.ts", f"t-{number}.ts", f"s-{number}.4.ts", "s-.ts"):
        assert site.get(name)[0] == 404


class Tag(NamedTuple):
    """A tag of FLV."""

    kind: int
    time: int
    data: bytes


def flv_tags(body: bytes) -> list[Tag]:
    """Read FLV: the header, then whole tags, and what may be left of the last one."""
    assert body[:13] == b"FLV\x01\x05\0\0\0\x09\0\0\0\0"
    found, at = [], 13
    while len(body) >= at + 15 and len(body) >= at + 15 + (size := int.from_bytes(body[at + 1 : at + 4], "big")):
        time = int.from_bytes(body[at + 7 : at + 8] + body[at + 4 : at + 7], "big")
        found.append(Tag(body[at], time, body[at + 11 : at + 11 + size]))
        assert struct.unpack(">I", body[at + 11 + size : at + 15 + size]) == (size + 11,)
        at += size + 15
    return found


def test_flv_begins_with_what_decoders_need() -> None:
    """Metadata, then H.264's and AAC's configurations, then frames whose times advance and never go back."""
    found = flv_tags(flv.head(5_000) + flv.tags(NOW + 5, NOW + 7, NOW))
    assert [each.kind for each in found[:3]] == [flv.SCRIPT, flv.VIDEO, flv.AUDIO]
    assert [each.data[:2] for each in found[1:3]] == [b"\x17\0", b"\xaf\0"]
    times = [each.time for each in found[1:]]
    assert times == sorted(times)
    assert (times[0], times[-1] // 100) == (5_000, 69)
    assert sum(each.kind == flv.VIDEO for each in found[3:]) == 20
    assert 85 <= sum(each.kind == flv.AUDIO for each in found[3:]) <= 87


@asynccontextmanager
async def opened(
    site: Site, path: str, headers: dict[str, str] | None = None, method: str = "GET"
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Ask for a path below a site's folder over HTTP."""
    async with (
        Simulator(site.world, step=0.001) as simulator,
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.request(
            method,
            URL(f"{simulator.url}/playback/zego/{path}", encoded=True),
            headers=headers,
            allow_redirects=False,
        ) as response,
    ):
        yield response


async def fetched(site: Site, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> Any:
    """Fetch a path over HTTP; return status, headers and body."""
    async with opened(site, path, headers, method) as response:
        return response.status, response.headers, await response.read()


def test_flv_goes_as_time_passes_falls_silent_and_ends() -> None:
    """A second at once, then what time brings; nothing while nothing moves; the end with the push."""

    async def run() -> None:
        site = Site(Script((State.ACTIVE,), since=NOW - 60))
        async with opened(site, "s/live.flv") as response:
            assert response.headers["Content-Type"] == "video/x-flv"
            body = b""

            async def until(time: int) -> None:
                nonlocal body
                async with asyncio.timeout(30):
                    while flv_tags(body)[-1].time < time if len(body) > 13 else True:
                        body += await response.content.readany()

            await until(59_900)
            site.now += 2
            await until(61_900)
            site.world.set(site.key, playback=Playback(moving=False))
            site.now += 60
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    body += await response.content.readany()
            site.world.set(site.key, "inactive")
            async with asyncio.timeout(30):
                body += await response.content.read()
        times = [each.time for each in flv_tags(body)[1:]]
        assert times == sorted(times)
        assert (times[0], times[-1] // 100) == (59_000, 619)

    asyncio.run(run())


@pytest.mark.parametrize("path", ["a%2Fb%20%E6%B5%81-1", "a/b%20%E6%B5%81-1"])
def test_any_name_can_be_asked_for(path: str) -> None:
    """A name with slashes, blanks and other scripts; its playlists lead to its segments."""
    site = Site(name="a/b 流-1", stream_id="x")

    async def run() -> None:
        status, headers, body = await fetched(site, f"{path}/index.m3u8")
        assert (status, headers["Content-Type"]) == (200, "application/vnd.apple.mpegurl")
        row = body.decode().split()[-1]
        assert row.isascii()
        status, headers, body = await fetched(site, f"{path}/{row}")
        assert (status, headers["Content-Type"]) == (200, "video/mp2t")
        assert len(list(packets(body))) > 10

    asyncio.run(run())


@pytest.mark.parametrize(
    ("header", "status", "first", "last"),
    [
        ("bytes=0-187", 206, 0, 187),
        ("bytes=188-", 206, 188, None),
        ("bytes=-188", 206, -188, None),
        ("bytes=0-99999999", 206, 0, None),
        ("bytes=99999999-", 416, 0, 0),
        ("bytes=0-1,5-6", 200, 0, None),
        ("bytes=-", 200, 0, None),
        ("lines=1-2", 200, 0, None),
    ],
)
def test_ranges_are_honoured(header: str, status: int, first: int, last: int | None) -> None:
    """One range of bytes is served with 206 and says where it lies; what is no such thing gets all."""
    site = Site()
    row = site.rows()[-1]
    whole = site.get(row)[1]
    got, headers, body = asyncio.run(fetched(site, f"s/{row}", {"Range": header}))
    start = first % len(whole)
    want = b"" if status == 416 else whole[start : None if last is None else last + 1]
    assert (got, body) == (status, want)
    said = {206: f"bytes {start}-{start + len(want) - 1}/{len(whole)}", 416: f"bytes */{len(whole)}"}.get(status)
    assert headers.get("Content-Range") == said


@pytest.mark.parametrize(
    ("fault", "status", "header", "body"),
    [
        *(({"kind": "status", "status": each}, each, None, None) for each in (401, 403, 404, 410, 429, 500)),
        ({"kind": "html", "status": 200}, 200, ("Content-Type", "text/html"), b"<!DOCTYPE"),
        ({"kind": "content_type", "value": "text/plain"}, 200, ("Content-Type", "text/plain"), b"#EXTM3U"),
        ({"kind": "redirect", "value": "high.m3u8"}, 302, ("Location", "high.m3u8"), b"moved"),
        ({"kind": "gzip"}, 200, ("Content-Encoding", "gzip"), b"\x1f\x8b"),
        ({"kind": "empty"}, 200, None, b""),
        ({"kind": "text", "value": "busy"}, 200, None, b"busy"),
        ({"kind": "skew", "seconds": 3600}, 200, ("Date", "Fri, 02 Jan 2026 04:04:05 GMT"), b"#EXTM3U"),
    ],
)
def test_faults_spoil_what_viewers_get(fault: dict[str, Any], status: int, header: Any, body: bytes | None) -> None:
    """The clouds' faults hit viewers too, where they name them."""
    site = Site()
    site.world.fault(provider="playback", action="index.m3u8", stream="zego/s", **fault)
    found, headers, got = asyncio.run(fetched(site, "s/index.m3u8"))
    assert found == status
    assert header is None or headers[header[0]] == header[1]
    assert body is None or got.startswith(body)
    assert [(each.provider, each.action, each.stream, each.code) for each in site.world.log] == [
        ("playback", "index.m3u8", "zego/s", str(status))
    ]
    assert asyncio.run(fetched(site, "s/high.m3u8"))[0] == 200


def test_a_fault_hits_viewers_only_by_name() -> None:
    """One for a cloud or its stream leaves viewers alone; some kinds make no sense for them and are refused."""
    site = Site()
    site.world.fault("status", provider="zego")
    site.world.fault("status", stream="zego/s")
    assert asyncio.run(fetched(site, "s/index.m3u8"))[0] == 200
    site.world.fault("status", provider="playback", action="segment")
    assert asyncio.run(fetched(site, "s/index.m3u8"))[0] == 200
    assert asyncio.run(fetched(site, f"s/{site.rows()[0]}"))[0] == 500
    with pytest.raises(ValueError, match="unknown kind of fault throttle of playback"):
        site.world.fault("throttle", provider="playback")
    with pytest.raises(ValueError, match="unknown kind of fault endless"):
        site.world.fault("endless", provider="zego")


def test_a_range_can_be_ignored() -> None:
    """A server may send all that is there, whatever part was asked for."""
    site = Site()
    site.world.fault("whole", provider="playback")
    row = site.rows()[-1]
    status, _, body = asyncio.run(fetched(site, f"s/{row}", {"Range": "bytes=0-4095"}))
    assert (status, body) == (200, site.get(row)[1])


def test_an_empty_segment_is_an_answer() -> None:
    """What is empty by a fault is so for whoever asks for its first bytes, too: 200, and no byte."""
    site = Site()
    site.world.fault("empty", provider="playback", action="segment")
    status, _, body = asyncio.run(fetched(site, f"s/{site.rows()[-1]}", {"Range": "bytes=0-4095"}))
    assert (status, body) == (200, b"")


def test_a_body_can_be_without_end() -> None:
    """Behind what is right comes more, for as long as somebody reads."""

    async def run() -> None:
        site = Site()
        site.world.fault("endless", provider="playback", seconds=0)
        async with opened(site, "s/index.m3u8") as response:
            assert response.content_length is None
            begin = await response.content.readexactly(8 << 20)
        assert begin.startswith(b"#EXTM3U")

    asyncio.run(run())


@pytest.mark.parametrize("kind", ["close", "reset", "cut", "hang"])
@pytest.mark.parametrize("file", ["index.m3u8", "live.flv"])
def test_connections_break(kind: str, file: str) -> None:
    """A connection that ends early, or an answer that never comes, hits playlists and FLV alike."""

    async def run() -> None:
        site = Site()
        site.world.fault(kind, provider="playback", action=file)
        async with asyncio.timeout(0.3 if kind == "hang" else 10):
            await fetched(site, f"s/{file}")

    with pytest.raises(TimeoutError if kind == "hang" else aiohttp.ClientError):
        asyncio.run(run())


def test_one_variant_or_all_segments_can_be_missing() -> None:
    """A switch of the stream, for what a fault cannot do for good: dead parts of a site that lives."""
    site = Site(playback=Playback(missing=("low.m3u8",)))
    assert [site.get(file)[0] for file in ("master.m3u8", "high.m3u8", "low.m3u8")] == [200, 200, 404]
    row = site.rows()[-1]
    site.world.set(site.key, playback=Playback(missing=("segment",)))
    assert [site.get(file)[0] for file in ("index.m3u8", row)] == [200, 404]


def test_playlists_have_the_wanted_rows() -> None:
    """Long lists and long segments for those who test readers."""
    site = Site(Script((State.ACTIVE,), since=NOW - 100_000), playback=Playback(target=4, rows=20_000))
    assert site.playlist().target_duration == 4
    assert site.get("index.m3u8")[1].count(b"#EXTINF:4.000,") == 20_000


def test_signatures_are_those_of_the_vendors() -> None:
    """The vendors' own examples: Tencent's of its page on addresses, and Alibaba's rule by hand."""
    made = tokens.sign({"txSecret": "e12c46f2612d5106e2034781ab261ca3"}, "/live/test.flv", 0x5C271099)
    assert made == "txSecret=f85a2ab363fe4deaffef9754d79da6fe&txTime=5C271099"
    # printf '/video/standard/1K.html-1444435200-0-0-aliyuncdnexp1234' | md5sum, Alibaba CDN's example of type A
    made = tokens.sign({"auth_key": "aliyuncdnexp1234"}, "/video/standard/1K.html", 1444435200)
    assert made == "auth_key=1444435200-0-0-80cd3862d699b7118eed99103f2a3a4f"


@pytest.mark.parametrize("keys", [{"txSecret": "k1"}, {"auth_key": "k2"}, {"txSecret": "k1", "auth_key": "k2"}])
def test_signed_addresses_are_demanded(keys: dict[str, str]) -> None:
    """Without a signature, with another key's, for another path or too late: 403. Playlists sign their addresses."""
    site = Site(playback=Playback(keys=keys))
    path = "/playback/zego/s/index.m3u8"
    good = f"index.m3u8?{tokens.sign(keys, path, site.now)}"
    assert site.get("index.m3u8")[0] == 403
    for wrong in (
        tokens.sign(dict.fromkeys(keys, "other"), path, site.now),
        tokens.sign(keys, "/playback/zego/s/high.m3u8", site.now),
        tokens.sign(keys, path, site.now - tokens.VALID_SECONDS - 1),
        "txSecret=x&txTime=y&auth_key=z",
    ):
        assert site.get(f"index.m3u8?{wrong}")[0] == 403
    status, body = site.get(good)
    assert status == 200
    assert site.get(body.decode().split()[-1])[0] == 200


def test_world_files_have_the_switches() -> None:
    """A stream's `playback` says how it is served; what is wrong is told with its line."""
    text = """
accounts: [{name: main, provider: zego, app_id: 1, server_secret: secret}]
streams:
  - name: s
    account: main
    playback:
      moving: {cycle: [active, inactive], every: 30s}
      missing: [low.m3u8]
      target: 4
      rows: 3
      keys: {txSecret: key}
"""
    found = parse_world(text, clock=lambda: NOW).streams["zego/s"].playback
    script = Script((State.ACTIVE, State.INACTIVE), 30.0, 0.0, NOW)
    assert found == Playback(script, ("low.m3u8",), 4, 3, {"txSecret": "key"})
    with pytest.raises(WorldError, match=r"world:9: streams\[0\].playback.target: "):
        parse_world(text.replace("target: 4", "target: 0"))


def test_the_control_interface_has_the_switches() -> None:
    """Another process freezes a CDN and thaws it; what it does not name stays."""
    site = Site(playback=Playback(keys={"auth_key": "k"}))
    site.now += 10
    assert control(site.world, "POST", "streams", {"stream": "zego/s", "playback": {"moving": False}})[0] == 200
    assert site.world.streams["zego/s"].playback == Playback(False, keys={"auth_key": "k"})
    site.now += 10
    assert control(site.world, "POST", "streams", {"stream": "zego/s", "playback": {"keys": {}, "rows": 2}})[0] == 200
    before = site.get("index.m3u8")
    site.now += 10
    assert site.get("index.m3u8") == before
    assert control(site.world, "POST", "streams", {"stream": "zego/s", "playback": {"moving": True}})[0] == 200
    assert len(site.rows()) == 2
    assert site.get("index.m3u8") != before
    mistakes: tuple[Any, ...] = ({"moving": 1}, {"rows": 0}, {"keys": {"other": "k"}}, {"frozen": True}, [])
    for wrong in mistakes:
        assert control(site.world, "POST", "streams", {"stream": "zego/s", "playback": wrong})[0] == 400
    body = {"kind": "status", "status": 410, "provider": "playback", "stream": "zego/s"}
    assert control(site.world, "POST", "faults", body)[0] == 200
    assert asyncio.run(fetched(site, "s/index.m3u8"))[0] == 410


def test_viewers_only_read() -> None:
    """Other methods are refused; HEAD has no body."""
    site = Site()
    assert asyncio.run(fetched(site, "s/index.m3u8", method="POST"))[0] == 405
    for file in ("index.m3u8", "live.flv"):
        status, _, body = asyncio.run(fetched(site, f"s/{file}", method="HEAD"))
        assert (status, body) == (200, b"")
