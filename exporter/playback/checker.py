"""Checks one address: does what a viewer's player does, and judges what comes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple
from urllib.parse import urlsplit
from zlib import crc32

from exporter.addresses import PlaybackAddress
from exporter.model import Reason
from exporter.playback import flv, hls
from exporter.playback.fetch import Fetched, NotFetched, Take, Wanted
from exporter.playback.flv import FlvReader, MalformedFlv
from exporter.playback.hls import MalformedPlaylist, Master, Media, Motion
from exporter.playback.signing import signed
from exporter.playback.steps import Step, excerpt
from exporter.playback.urls import shown_of
from exporter.playback.verdict import FIRST_BYTES, Unclear, Verdict, looks_like_a_page, status_says, worst
from exporter.rounds.shared import Clock
from exporter.routes import Http
from exporter.transport.aside import Aside

MOST_SEGMENT: Final = 64 << 10
MOST_TIMEOUTS: Final = 6
"""Times the timeout of one answer after which no further one is waited for."""

LONGEST_FLV: Final = 25.0
"""Seconds after which a stream of FLV is judged by what came until then."""

ASIDE: Final = 32 << 10  # characters; longer playlists are read off the event loop
MOST_HELD: Final = 32 << 20
"""Bytes of playlists that all checks hold at once."""

NOT_THERE: Final = (404, 410)


class Checked(NamedTuple):
    """A check that is over: what it came to, its requests, and the bytes that it received."""

    verdict: Verdict
    steps: tuple[Step, ...]
    received: int


@dataclass(slots=True)
class Means:
    """What all checks share.

    Attributes:
        fetch: Fetches; raises `NotFetched`.
        clock: Time and chance.
        aside: Reads long playlists.
        held: How many bytes of playlists all checks hold.
    """

    fetch: Callable[[Wanted, Take], Awaitable[Fetched]]
    clock: Clock
    aside: Aside
    held: int = 0


@dataclass(slots=True)
class Memory:
    """What is remembered of one media playlist.

    Attributes:
        motion: Whether it moves.
        rows: The playlist's, when its newest segment was fetched; or what tells one burst of FLV from another.
        first_byte: Seconds to its first byte.
    """

    motion: Motion = field(default_factory=Motion)
    rows: tuple[object, ...] = ()
    first_byte: float | None = None


class Checker:
    """Checks one address again and again; a check needs what the ones before it saw."""

    def __init__(self, address: PlaybackAddress, http: Http, means: Means) -> None:
        self.address = address
        self._http = http
        self._means = means
        self._memories: dict[int, Memory] = {}
        self._is_flv = address.ends_in_flv

    async def check(self, timeout: float) -> Checked:  # noqa: ASYNC109
        """Check once; each answer has so many seconds."""
        visit = Visit(self.address, self._http, self._means, timeout, self._memories, self._is_flv)
        checked = await visit.check()
        self._is_flv = visit.is_flv
        return checked


class Body:
    """Takes a body: keeps a playlist whole, and nothing of FLV.

    Attributes:
        flv: Reads what comes, if it is FLV.
        sum: The checksum of that.
        late: Whether it took too long.
    """

    def __init__(self, means: Means, until: float) -> None:
        self.flv: FlvReader | None = None
        self.sum = 0
        self.late = False
        self._began = means.clock.mono()
        self._means = means
        self._until = until
        self._kept = bytearray()

    def __call__(self, part: bytes) -> bool:
        """Take a part; say whether more is wanted."""
        now = self._means.clock.mono()
        self.late = now >= self._until
        if self.flv is None:
            self._keep(part)
            if self._kept[:3] != flv.SIGNATURE:
                return not self.late
            self.flv, part = FlvReader(), bytes(self._kept)
            self.free()
        self.flv.feed(part, now)
        self.sum = crc32(part, self.sum)
        return not (self.flv.lively or self.silent or self.late)

    @property
    def silent(self) -> bool:
        """Whether no sound and no picture has come for too long."""
        last = self.flv.last if self.flv is not None else None
        return self._means.clock.mono() - (self._began if last is None else last) >= flv.SILENT_SECONDS

    def _keep(self, part: bytes) -> None:
        self._means.held += len(part)
        self._kept += part
        if self._means.held > MOST_HELD:
            raise Unclear(Reason.HTTP, "too many large playlists come at once; this one has its turn later")

    def text(self) -> str:
        """Return what was kept as text."""
        return self._kept.decode("utf-8", "replace")

    def free(self) -> None:
        """Keep nothing."""
        self._means.held -= len(self._kept)
        self._kept.clear()


@dataclass(slots=True)
class Visit:
    """One check under way; `is_flv` says whether silence is waited for, by the address's path or by what came."""

    address: PlaybackAddress
    http: Http
    means: Means
    timeout: float
    memories: dict[int, Memory]
    is_flv: bool
    steps: list[Step] = field(default_factory=list)
    received: int = 0
    until: float = field(init=False)

    def __post_init__(self) -> None:
        self.until = self.means.clock.mono() + MOST_TIMEOUTS * self.timeout

    async def check(self) -> Checked:
        """Do it; whatever goes wrong is its outcome."""
        clock = self.means.clock
        verdict = await self._judged(self._first(signed(self.address, clock.unix(), clock.nonce())))
        return Checked(verdict, tuple(self.steps), self.received)

    async def _judged(self, judging: Awaitable[Verdict]) -> Verdict:
        """Return a verdict, or what speaks against one."""
        try:
            return await judging
        except (Unclear, NotFetched) as error:
            return self._note(Verdict(None, str(error), error.reason))
        except (MalformedPlaylist, MalformedFlv) as error:
            return self._note(Verdict(None, str(error), Reason.MALFORMED))

    def _note(self, verdict: Verdict) -> Verdict:
        """Say of the last request how it was judged."""
        if self.steps:
            self.steps[-1].judged = verdict.message
        return verdict

    # --- fetching ----------------------------------------------------------------------------------------------------

    async def _get(self, wanted: Wanted, take: Take) -> Fetched:
        """Fetch, and write down how it went; raises `NotFetched`, and `Unclear` for a status that tells nothing."""
        step, started = Step(shown_of(wanted.url, self.address)), self.means.clock.mono()
        self.steps.append(step)
        try:
            found = await self.means.fetch(wanted, take)
        except NotFetched as error:
            step.came, self.received = "no answer", self.received + error.received
            raise
        finally:
            step.seconds = self.means.clock.mono() - started
        self.received += found.received
        step.asked, step.came = found.shown, f"HTTP {found.status}, {found.received:,} bytes"
        if found.status not in (200, 206, *NOT_THERE):
            raise Unclear(*status_says(found.status))
        return found

    def _wanted(self, url: str, most: int, first: int = 0, silence: float | None = None) -> Wanted:
        left = self.until - self.means.clock.mono()
        if left <= 0:
            raise Unclear(Reason.TIMEOUT, "its many playlists take too long altogether")
        return Wanted(url, self.address, self.http, min(self.timeout, left), most, first, silence)

    async def _first(self, url: str) -> Verdict:
        """Fetch the configured address, which is a playlist or FLV."""
        now, silence = self.means.clock.mono(), flv.SILENT_SECONDS if self.is_flv else None
        body = Body(self.means, now + (LONGEST_FLV if self.is_flv else self.timeout))
        try:
            most = flv.MOST_BYTES if self.is_flv else hls.LARGEST_PLAYLIST
            found = await self._get(self._wanted(url, most, silence=silence), body)
            if found.status in NOT_THERE:
                return self._note(Verdict(False, f"it is not there: HTTP {found.status}"))
            if body.flv is None and not (self.is_flv and body.silent):
                return await self._playlist(found, body)
            return self._note(self._flv(found, body))
        finally:
            self.is_flv = self.is_flv or body.flv is not None
            body.free()

    # --- HLS ---------------------------------------------------------------------------------------------------------

    async def _playlist(self, found: Fetched, body: Body) -> Verdict:
        read = await self._read(found, body)
        if isinstance(read, Media):
            return await self._media(read, 0)
        playlists = hls.select(read, self.address.variant)
        if not playlists:
            missing = f"no variant whose path ends in {self.address.variant}" if self.address.variant else "no variant"
            raise Unclear(Reason.MALFORMED, f"the master playlist has {missing}")
        left_out = f", {read.left_out} are left out" if read.left_out and not self.address.variant else ""
        self.steps[-1].judged = f"a master playlist; {len(playlists)} of its playlists count{left_out}"
        found_each = [(url, await self._judged(self._variant(url, index))) for index, url in enumerate(playlists)]
        return worst(found_each, self.address)

    async def _variant(self, url: str, index: int) -> Verdict:
        body = Body(self.means, self.means.clock.mono() + self.timeout)
        try:
            found = await self._get(self._wanted(url, hls.LARGEST_PLAYLIST), body)
            if found.status in NOT_THERE:
                return self._note(Verdict(False, f"it is not there: HTTP {found.status}"))
            read = await self._read(found, body)
            if isinstance(read, Master):
                raise MalformedPlaylist("a master playlist stands where a media playlist was expected")
            return await self._media(read, index)
        finally:
            body.free()

    async def _read(self, found: Fetched, body: Body) -> Master | Media:
        if found.ending == "most":
            raise Unclear(Reason.HTTP, f"a playlist is longer than {hls.LARGEST_PLAYLIST >> 20} MiB")
        if body.late:
            raise Unclear(Reason.TIMEOUT, "no complete playlist in time")
        if body.flv is not None:
            raise MalformedPlaylist("FLV stands where a playlist was expected")
        text = body.text()
        body.free()
        shows_paths = urlsplit(self.address.shown).path != ""
        self.steps[-1].body = excerpt(text, addresses=shows_paths)
        work = partial(hls.read, text, found.url)
        return work() if len(text) <= ASIDE else await self.means.aside(work)

    async def _media(self, media: Media, index: int) -> Verdict:
        # Known by its place: some servers name a playlist anew for each viewer.
        memory = self.memories.setdefault(index, Memory())
        now = self.means.clock.mono()
        moves, again = memory.motion.look(media, now), memory.motion.again(media, now)
        rows = f"a media playlist, target duration {media.target:g} s"
        age = self._age(media, memory.motion.moved)
        if media.ended:
            return self._note(Verdict(False, "it has ended: the playlist says EXT-X-ENDLIST", age=age))
        if moves is False:
            still = f"it stands still: nothing new for {media.patience:g} s or more in {rows}"
            return self._note(Verdict(False, still, age=age))
        if moves is None or not media.newest:
            return self._note(Verdict(None, f"{rows}; too early to tell whether it moves", again=again))
        self.steps[-1].judged = f"{rows}, which moves"
        verdict = await self._segment(media, memory)
        return verdict._replace(age=age, again=again)

    def _age(self, media: Media, moved: float | None) -> float | None:
        """Return the age of the newest media: since its end, if the playlist says when, or since it last moved."""
        clock = self.means.clock
        if media.until is not None:
            return max(0.0, clock.unix() - media.until)
        return None if moved is None else clock.mono() - moved

    async def _segment(self, media: Media, memory: Memory) -> Verdict:
        """Fetch the first bytes of the newest segment that was not fetched yet, or of the one before it."""
        if media.rows == memory.rows and memory.first_byte is not None:
            return Verdict(True, "it plays", first_byte=memory.first_byte)
        status = 0
        for number, (url, start) in enumerate(media.newest):
            begin = bytearray()
            wanted = self._wanted(url, MOST_SEGMENT, FIRST_BYTES)._replace(start=start)
            found = await self._get(wanted, partial(_begin, begin))
            if found.status in NOT_THERE:
                status = found.status
                self.steps[-1].judged = "the newest media is not there" if number == 0 else "nor is the one before it"
                continue
            if not begin or found.first_byte is None:
                raise Unclear(Reason.MALFORMED, "the newest segment is empty")
            if looks_like_a_page(bytes(begin)):
                raise Unclear(Reason.MALFORMED, "a page came where the newest segment was expected")
            memory.rows, memory.first_byte = (media.rows, found.first_byte) if number == 0 else ((), None)
            late = "" if number == 0 else ", though its newest segment is not there yet"
            return self._note(Verdict(True, f"it plays{late}", first_byte=found.first_byte))
        return self._note(Verdict(False, f"the playlist moves, but its newest segments are not there: HTTP {status}"))

    # --- FLV ---------------------------------------------------------------------------------------------------------

    def _flv(self, found: Fetched, body: Body) -> Verdict:
        """Judge what came: tags whose timestamps advance, or silence."""
        reader = body.flv or FlvReader()
        age = None if reader.last is None else self.means.clock.mono() - reader.last
        enough = reader.advanced >= flv.ADVANCE_SECONDS or (found.ending == "most" and reader.advanced > 0)
        if reader.lively or (enough and not body.silent):
            if not reader.lively:
                self._refuse_repeated(("burst", body.sum))
            return Verdict(True, "it plays", age=age, first_byte=found.first_byte)
        if body.silent:
            return Verdict(False, f"no tag has come for {flv.SILENT_SECONDS:g} s", age=age)
        if found.ending == "whole":
            raise Unclear(Reason.CONNECTION, f"the server ended the stream after {reader.advanced:.1f} s of media")
        raise Unclear(Reason.MALFORMED, "tags come, but their timestamps stand still")

    def _refuse_repeated(self, burst: tuple[object, ...]) -> None:
        """Refuse what came at once and is the very same as at the check before: a server may keep a push that ended."""
        memory = self.memories.setdefault(0, Memory())
        before, memory.rows = memory.rows, burst
        if burst == before:
            raise Unclear(Reason.MALFORMED, "it sends the very same media as before, at once: that of an old push")


def _begin(begin: bytearray, part: bytes) -> bool:
    begin += part
    return len(begin) < FIRST_BYTES
