"""Checks one address: does what a viewer's player does, and judges what comes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, NamedTuple

from exporter.addresses import PlaybackAddress
from exporter.fields import Secret
from exporter.model import Reason
from exporter.playback import flv, hls
from exporter.playback.body import Body, Held
from exporter.playback.fetch import Fetched, NotFetched, Take, Wanted
from exporter.playback.flv import FlvReader, MalformedFlv
from exporter.playback.hls import MalformedPlaylist, Master, Media
from exporter.playback.motion import Motion
from exporter.playback.recall import ALONE, Which, recall
from exporter.playback.signing import signed
from exporter.playback.steps import Step, ends_of
from exporter.playback.urls import shown_of
from exporter.playback.verdict import FIRST_BYTES, Unclear, Verdict, looks_like_a_page, status_says, worst
from exporter.rounds.shared import Clock
from exporter.routes import Http
from exporter.transport.aside import Aside

MOST_SEGMENT: Final = 64 << 10
MOST_TIMEOUTS: Final = 6
"""Times the timeout of one answer after which no further one is waited for."""

LONGEST_GROUP: Final = 60.0
"""Seconds for which a server may begin with the same picture for each viewer."""

NOT_THERE: Final = (404, 410)


class Checked(NamedTuple):
    """A check that is over: what it came to, its requests, and the bytes that it received."""

    verdict: Verdict
    steps: tuple[Step, ...]
    received: int


class Means:
    """What all checks share.

    Attributes:
        fetch: Fetches; raises `NotFetched`.
        clock: Time and chance.
        held: The playlists that all checks hold and read.
    """

    def __init__(self, fetch: Callable[[Wanted, Take], Awaitable[Fetched]], clock: Clock, aside: Aside) -> None:
        self.fetch = fetch
        self.clock = clock
        self.held = Held(aside, clock.mono)

    def body(self, seconds: float) -> Body:
        """Return what takes a body for so many seconds."""
        return Body(self.held, self.clock.mono, seconds)


@dataclass(slots=True)
class Memory:
    """What is remembered of one media playlist.

    Attributes:
        motion: Whether it moves.
        fetched: The rows whose newest segment was fetched.
        first_byte: Seconds to its first byte.
        burst: The checksum of the FLV that came all at once, and when it came first, in monotonic seconds.
        missing: The rows whose newest segments were not there, as none was since.
    """

    motion: Motion = field(default_factory=Motion)
    fetched: tuple[object, ...] | None = None
    first_byte: float | None = None
    missing: tuple[object, ...] | None = None
    burst: tuple[int, float] = (0, 0.0)


class Checker:
    """Checks one address again and again; a check needs what the ones before it saw."""

    def __init__(self, address: PlaybackAddress, http: Http, means: Means) -> None:
        self.address = address
        self._http = http
        self._means = means
        self._memories: dict[Which, Memory] = {}
        self._is_flv = address.ends_in_flv
        self._down = False
        hls.prepare()  # not within the first check, which would hold the event loop

    async def check(self, timeout: float) -> Checked:  # noqa: ASYNC109
        """Check once; each answer has so many seconds."""
        visit = Visit(self.address, self._http, self._means, timeout, self._memories, self._is_flv)
        verdict = await visit.check(self._down)
        self._is_flv, self._down = visit.is_flv, verdict.up is False
        return Checked(verdict, tuple(visit.steps), visit.received)


@dataclass(slots=True)
class Visit:
    """One check under way; `is_flv` says whether silence is waited for, by the address's path or by what came."""

    address: PlaybackAddress
    http: Http
    means: Means
    timeout: float
    memories: dict[Which, Memory]
    is_flv: bool
    steps: list[Step] = field(default_factory=list)
    asked_for: set[str] = field(default_factory=set)
    received: int = 0
    new: bool = False  # whether only new connections will do
    reused: bool = False  # whether an answer came over a used one
    asked: float = 0.0  # when the last answer was asked for, in monotonic seconds
    seen: PlaybackAddress = field(init=False)  # as asked for, and as it may be shown
    until: float = field(init=False)

    def __post_init__(self) -> None:
        self.seen = self.address
        self.until = self.means.clock.mono() + MOST_TIMEOUTS * self.timeout

    async def check(self, was_down: bool) -> Verdict:
        """Do it; whatever goes wrong is its outcome.

        What is down is asked for again on new connections if that is news, or came over a used one: one answer may
        be a moment's, or belong to another request.
        """
        verdict = await self._once(new=False)
        if verdict.up is False and not verdict.silent and (self.reused or not was_down):
            verdict = await self._once(new=True)
        return verdict

    async def _once(self, *, new: bool) -> Verdict:
        self.new, clock = new, self.means.clock
        url = signed(self.address, clock.unix(), clock.nonce())
        self.seen = self.address if url == self.address.url.reveal() else replace(self.address, url=Secret(url))
        return await self._judged(self._first(url))

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
        step, started = Step(wanted.url, self.seen, self.asked_for), self.means.clock.mono()
        self.steps.append(step)
        self.asked_for.add(wanted.url)
        try:
            found = await self.means.fetch(wanted, take)
        except NotFetched as error:
            step.came, self.received = "no answer", self.received + error.received
            raise
        finally:
            step.seconds = self.means.clock.mono() - started
        self.asked = self.means.clock.mono() - found.seconds
        self.until += step.seconds - found.seconds  # waiting for a turn is not the server's fault
        self.reused |= found.reused
        self.received += found.received
        if found.redirected:  # what it leads on to may have the path of the redirect
            self.seen = replace(self.seen, shown=self.address.origins[0])
            step.url, step.address = found.url, self.seen
            self.asked_for.add(found.url)
        step.came = f"HTTP {found.status}, {found.received:,} bytes"
        if found.status not in (200, 206, *NOT_THERE):
            raise Unclear(*status_says(found.status))
        return found

    def _wanted(self, url: str, most: int, first: int = 0, silence: float | None = None) -> Wanted:
        left = self.until - self.means.clock.mono()
        if left <= 0:
            raise Unclear(Reason.TIMEOUT, "its many playlists take too long altogether")
        seconds = min(self.timeout, left)
        return Wanted(url, self.address, self.http, seconds, most, first, silence, new=self.new)

    async def _first(self, url: str) -> Verdict:
        """Fetch the configured address, which is a playlist or FLV."""
        silence = flv.SILENT_SECONDS if self.is_flv else None
        body = self.means.body(self.timeout)
        most = flv.MOST_BYTES if self.is_flv else hls.LARGEST_PLAYLIST
        try:
            wanted = self._wanted(url, most, silence=silence)._replace(silence_of_flv=flv.SILENT_SECONDS)
            found = await self._get(wanted, body)
            if found.status in NOT_THERE:
                return self._note(Verdict(False, f"it is not there: HTTP {found.status}"))
            if body.flv is None and found.ending != "silent":
                return await self._playlist(found, body)
            return self._note(self._flv(found, body))
        finally:
            self.is_flv |= body.flv is not None  # its next silence is waited for
            body.free()

    # --- HLS ---------------------------------------------------------------------------------------------------------

    async def _playlist(self, found: Fetched, body: Body) -> Verdict:
        read = await self._read(found, body)
        if isinstance(read, Media):
            return await self._media(read, ALONE)
        playlists = hls.select(read, self.address.variant)
        if not playlists:
            missing = f"the master playlist has no variant whose path ends in {self.address.variant}"
            raise Unclear(Reason.MALFORMED, missing)
        left_out = f", {read.left_out} are left out" if read.left_out and not self.address.variant else ""
        self.steps[-1].judged = f"a master playlist; {len(playlists)} of its playlists count{left_out}"
        self.asked_for.update(playlists)
        seen, found_each = self.seen, []
        for which, url in zip(recall(self.memories, playlists, Memory), playlists, strict=True):
            self.seen = seen
            found_each.append((url, await self._judged(self._variant(url, which))))
        return worst(found_each, lambda url: shown_of(url, seen, self.asked_for))

    async def _variant(self, url: str, which: Which) -> Verdict:
        body = self.means.body(self.timeout)
        try:
            found = await self._get(self._wanted(url, hls.LARGEST_PLAYLIST), body)
            if found.status in NOT_THERE:
                return self._note(Verdict(False, f"it is not there: HTTP {found.status}"))
            read = await self._read(found, body)
            if isinstance(read, Master):
                raise MalformedPlaylist("a master playlist stands where a media playlist was expected")
            return await self._media(read, which)
        finally:
            body.free()

    async def _read(self, found: Fetched, body: Body) -> Master | Media:
        if found.ending == "most":
            raise Unclear(Reason.HTTP, f"a playlist is longer than {hls.LARGEST_PLAYLIST >> 20} MiB")
        if body.late:
            raise Unclear(Reason.TIMEOUT, "no complete playlist in time")
        if body.failed is not None:
            raise body.failed
        if body.flv is not None:
            raise MalformedPlaylist("FLV stands where a playlist was expected")
        kept = body.kept
        self.steps[-1].playlist = ends_of(kept)
        read = await self.means.held.read(kept, lambda: hls.read(kept.decode("utf-8", "surrogateescape"), found.url))
        body.free()
        return read

    async def _media(self, media: Media, which: Which) -> Verdict:
        memory = self.memories.setdefault(which, Memory())
        now = self.asked  # what came is no older; it may have waited to be read
        moves, again = memory.motion.look(media, now), memory.motion.again(media, now)
        rows = f"a media playlist, target duration {media.target:g} s"
        age = self._age(media, memory.motion.moved)
        if media.ended:
            return self._note(Verdict(False, "it has ended: the playlist says EXT-X-ENDLIST", age=age))
        if moves is False:
            still = f"it stands still: nothing new for {media.patience:g} s or more in {rows}"
            return self._note(Verdict(False, still, age=age))
        if moves is None and memory.motion.renamed:
            raise Unclear(Reason.MALFORMED, "its rows have no numbers, and other names each time: it may stand still")
        if moves is None and memory.motion.misnumbered:
            odd = "its rows change, but not their numbers (EXT-X-MEDIA-SEQUENCE)"
            return self._note(Verdict(None, odd, Reason.MALFORMED, again=again))
        if moves is None or not media.newest:
            return self._note(Verdict(None, f"{rows}; too early to tell whether it moves", again=again))
        self.steps[-1].judged = f"{rows}, which moves"
        verdict = await self._segment(media, memory)
        return verdict._replace(age=age, again=min(again, verdict.again))

    def _age(self, media: Media, moved: float | None) -> float | None:
        """Return the age of the newest media: since its end, if the playlist says when, or since it last moved."""
        clock = self.means.clock
        if media.until is not None:
            return max(0.0, clock.unix() - media.until)
        return None if moved is None else clock.mono() - moved

    async def _segment(self, media: Media, memory: Memory) -> Verdict:
        """Fetch the first bytes of the newest segment that was not fetched yet, or of the one before it."""
        if media.rows == memory.fetched and memory.first_byte is not None:
            return Verdict(True, "it plays", first_byte=memory.first_byte)
        asked, status = self.asked, 0
        for number, (url, start) in enumerate(media.newest):
            begin = bytearray()
            wanted = self._wanted(url, MOST_SEGMENT, FIRST_BYTES)._replace(start=start)
            found = await self._get(wanted, partial(_begin, begin))
            if found.status in NOT_THERE:
                status = found.status
                self.steps[-1].judged = "the newest media is not there"
                continue
            if not begin or found.first_byte is None:
                raise Unclear(Reason.MALFORMED, "the newest segment is empty")
            if looks_like_a_page(bytes(begin)):
                raise Unclear(Reason.MALFORMED, "a page came where the newest segment was expected")
            memory.fetched, memory.first_byte = (media.rows, found.first_byte) if number == 0 else (None, None)
            memory.missing = None
            late = "" if number == 0 else ", though its newest segment is not there yet"
            return self._note(Verdict(True, f"it plays{late}", first_byte=found.first_byte))
        if self.asked - asked > media.patience:
            raise Unclear(Reason.TIMEOUT, "its newest segments were asked for so late that they may be gone again")
        memory.missing = memory.missing or media.rows
        why = f"the playlist moves, but its newest segments are not there: HTTP {status}"
        if memory.missing == media.rows:  # a list may be ahead of its segments for a moment
            return self._note(Verdict(None, why, again=media.target))
        return self._note(Verdict(False, why))

    # --- FLV ---------------------------------------------------------------------------------------------------------

    def _flv(self, found: Fetched, body: Body) -> Verdict:
        """Judge what came: tags whose timestamps advance, or silence."""
        if body.failed is not None:
            raise body.failed
        reader, silent = body.flv or FlvReader(), body.silent or found.ending == "silent"
        now = self.means.clock.mono()
        age = None if reader.last is None else now - reader.last
        enough = reader.advanced >= flv.ADVANCE_SECONDS or (body.full and reader.advanced > 0)
        if reader.lively or (enough and not silent):
            if not reader.lively:
                self._compare(body.checksum, now)
            return Verdict(True, "it plays", age=age, first_byte=found.first_byte)
        if silent:
            return Verdict(False, f"no tag has come for {flv.SILENT_SECONDS:g} s", age=age, silent=True)
        if found.ending == "whole":
            raise Unclear(Reason.CONNECTION, f"the server ended the stream after {reader.advanced:.1f} s of media")
        if reader.within_media and not reader.stands_still:
            raise Unclear(Reason.TIMEOUT, "a tag is so large or so slow that no whole one has come in time")
        raise Unclear(Reason.MALFORMED, "tags come, but their timestamps stand still")

    def _compare(self, checksum: int, now: float) -> None:
        """Refuse what came all at once, and was the same long ago: a server may keep it of a push that has stopped."""
        memory = self.memories.setdefault(ALONE, Memory())
        if memory.burst[0] != checksum:
            memory.burst = checksum, now
        if now - memory.burst[1] > LONGEST_GROUP:
            raise Unclear(Reason.MALFORMED, "the same media has come at once each time, as of a push that has stopped")


def _begin(begin: bytearray, part: bytes) -> bool:
    begin += part
    return len(begin) < FIRST_BYTES
