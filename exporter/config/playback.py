"""What a configuration says of playback: the addresses that viewers use, and how all of them are checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

from pydantic import AfterValidator, Field, WithJsonSchema, create_model

from exporter.addresses import PLACEHOLDER, USUAL_PLAYBACK, PlaybackAddress, PlaybackSettings
from exporter.config.findings import Findings
from exporter.config.playback_urls import PlaybackUrl, parse_origin, parse_playback
from exporter.config.problems import Place, path_of
from exporter.config.secret_values import SUFFIXES
from exporter.config.sources import Sources
from exporter.config.store import URL, URL_KEYS
from exporter.config.warnings import PLAYBACK, variable
from exporter.config.wording import Keys, already_taken, wrong_type
from exporter.fields import Secret, SecretField, SecretSource, Shape, Text, duration, format_duration
from exporter.providers import address_signers

MOST_ADDRESSES: Final = 16
MOST_ORIGINS: Final = 32

_HOLDS: Final = {"plain": "", "file": "names a file whose content ", "env": "names a variable whose value "}


SIGNERS: Final = address_signers()
SIGNING: Final = {f"{signer}_key": signer for signer in SIGNERS}
"""Whose signature is made with a key, by the field that has the key."""


class PlaybackShape(Shape):
    """How the addresses of all streams are checked."""

    interval: duration(5, 3600) = Field(  # type: ignore[valid-type]
        USUAL_PLAYBACK.interval, description="between two checks of an address"
    )
    timeout: duration(0.5, 30) = Field(  # type: ignore[valid-type]
        USUAL_PLAYBACK.timeout, description="longest wait for one answer"
    )
    concurrency: int = Field(
        USUAL_PLAYBACK.concurrency, ge=1, le=256, description="most checks at once of one host's addresses"
    )
    rate: float = Field(USUAL_PLAYBACK.rate, gt=0, le=10_000, description="most requests a second to one host")


def _variant(text: str) -> str:
    if re.search(r"[?#\s]", text):
        raise ValueError("is not the end of a path, such as 720p.m3u8 (no query)")
    if PLACEHOLDER in text:
        raise ValueError(f"has {PLACEHOLDER}, which is not filled in here; what follows it will do, such as _720p.m3u8")
    return text


Origin = Annotated[
    str,
    AfterValidator(parse_origin),
    WithJsonSchema({"type": "string", "pattern": r"^[hH][tT][tT][pP][sS]?://[^/?#@\s\\]+/?$"}),
]


class UnsignedShape(Shape):
    """An address that viewers use, without the keys by which it may be signed."""

    url: SecretField
    name: Text | None = Field(None, description="the label `playback`; default: `playback-N`, counted from 1")
    interval: duration(5, 3600) = Field(  # type: ignore[valid-type]
        USUAL_PLAYBACK.interval, description="between two checks of this address, if not the usual"
    )
    variant: Annotated[Text, AfterValidator(_variant)] | None = Field(
        None, description="end of the path of the one variant of a master playlist that counts; default: all count"
    )
    origins: list[Origin] = Field(
        default_factory=list,
        max_length=MOST_ORIGINS,
        description="further `https://HOST` that its redirects and playlists may lead to",
    )
    private: bool = Field(False, description="whether its name may lead to private addresses")


AddressShape: Final = create_model(
    "AddressShape", __base__=UnsignedShape, **dict.fromkeys(SIGNING, (SecretField, None))
)  # type: ignore[call-overload]
"""An address that viewers use."""

SECRETS: Final = (URL, *SIGNING)
SIGNING_KEYS: Final = tuple(f"{field}{suffix}" for field in SIGNING for suffix in SUFFIXES.values())
ADDRESS_KEYS: Final = Keys(
    (*URL_KEYS, *(name for name in AddressShape.model_fields if name not in SECRETS), *SIGNING_KEYS)
)

_BARE: Final = AddressShape.model_validate({})


class _Address(NamedTuple):
    """An address as it stands there, while it is not known what the others of its stream are."""

    place: Place
    found: PlaybackUrl
    shape: UnsignedShape = _BARE
    kind: str = "plain"
    signed: str = ""
    key: Secret | None = None

    @property
    def plain(self) -> bool:
        """Whether the file itself holds a secret of it."""
        keys = (getattr(self.shape, field) for field in SIGNING)
        return (self.kind == "plain" and self.found.holds_secret) or any(key and key.kind == "plain" for key in keys)

    def value(self, name: str, origins: Iterable[str]) -> PlaybackAddress:
        """Return it as a value; the origins are those of all addresses of its stream."""
        found, shape = self.found, self.shape
        return PlaybackAddress(
            name=name,
            url=Secret(found.url),
            shown=found.shown if self.kind == "plain" else found.origin,
            origins=tuple(dict.fromkeys((found.origin, *origins, *shape.origins))),
            signed=self.signed,
            key=self.key,
            variant=shape.variant or "",
            interval=shape.interval if "interval" in shape.model_fields_set else None,
            private=shape.private,
            written=_written(shape) if shape is not _BARE else {},
        )


def _written(shape: UnsignedShape) -> dict[str, Any]:
    """Return the keys of a mapping as they may be shown; a plain URL is left to the address."""
    shown: dict[str, Any] = {}
    for name in AddressShape.model_fields:
        value = getattr(shape, name)
        if name not in shape.model_fields_set:
            continue
        if isinstance(value, SecretSource):
            if (name, value.kind) != (URL, "plain"):
                shown[name + SUFFIXES[value.kind]] = "<secret>" if isinstance(value.value, Secret) else value.value
        elif name != "name":
            shown[name] = format_duration(value) if name == "interval" else value
    return shown


class PlaybackReader:
    """Reads the part `playback` of a configuration, and that of each stream."""

    def __init__(self, findings: Findings, sources: Sources) -> None:
        self._findings = findings
        self._sources = sources
        self._plain: dict[str, tuple[Place, int]] = {}

    def settings(self, raw: Mapping[str, Any]) -> PlaybackSettings:
        """Return how addresses are checked."""
        shape = self._findings.validated(PlaybackShape, raw.get(PLAYBACK, {}), (PLAYBACK,))
        return USUAL_PLAYBACK if shape is None else PlaybackSettings(**shape.model_dump())

    def addresses(self, raw: Any, place: Place) -> tuple[PlaybackAddress, ...]:
        """Return the addresses of a stream that are without errors; `place` is that of their list."""
        entries = self._findings.list_of(raw, place)
        if len(entries) > MOST_ADDRESSES:
            self._findings.wrong(place, f"has more than {MOST_ADDRESSES} entries")
        read = [self._read(entry, (*place, index)) for index, entry in enumerate(entries[:MOST_ADDRESSES])]
        names = self._names(read, place)
        there = [(name, each) for name, each in zip(names, read, strict=True) if each is not None]
        self._notice([each for _, each in there])
        return tuple(each.value(name, (other.found.origin for _, other in there)) for name, each in there)

    def told(self) -> tuple[tuple[Path, str, int], ...]:
        """Return the files that themselves hold secrets of addresses: where the first one is, and how many they are."""
        return tuple((Path(file), path_of(place), count) for file, (place, count) in self._plain.items())

    def notice_shared(self, addresses: Iterable[PlaybackAddress], place: Place) -> None:
        """Warn of addresses that several names share, without the name in them."""
        for index, address in enumerate(addresses):
            if PLACEHOLDER not in address.url.reveal():
                message = f"is one address for all names of this entry: write {PLACEHOLDER} where the name belongs"
                self._findings.warn((*place, index), message)

    def _names(self, read: Sequence[_Address | None], place: Place) -> list[str]:
        """Return the name of each address, and report those that stand there twice."""
        given = [each.shape.name if each is not None else None for each in read]
        names = [name or f"{PLAYBACK}-{number}" for number, name in enumerate(given, 1)]
        first = {name: index for index, name in enumerate(names) if given[index] is None}
        for index, name in enumerate(names):
            if first.setdefault(name, index) != index:
                message, there = already_taken("an address of this stream", name), (*place, first[name])
                self._findings.wrong((*place, index, "name"), message, first=(self._findings.document, there))
        return names

    def _notice(self, addresses: Sequence[_Address]) -> None:
        """Warn of an address that stands there twice, and remember whether the file holds secrets."""
        seen: set[tuple[str, str | None, str, Secret | None]] = set()
        for each in addresses:
            if (which := (each.found.url, each.shape.variant, each.signed, each.key)) in seen:
                self._findings.warn(each.place, "is checked twice: another address of this stream is the same")
            seen.add(which)
            if each.plain:
                place, count = self._plain.get(self._findings.document.file, (each.place, 0))
                self._plain[self._findings.document.file] = place, count + 1

    # --- one address -------------------------------------------------------------------------------------------------

    def _read(self, entry: Any, place: Place) -> _Address | None:
        if isinstance(entry, dict):
            return self._mapping(entry, place)
        if not isinstance(entry, str) or not entry:
            self._findings.wrong(place, "is empty; an address is expected" if entry == "" else _no_address(entry))
            return None
        found = self._found(SecretSource.plain(entry), place)
        return found and _Address(place, found)

    def _mapping(self, entry: dict[str, Any], place: Place) -> _Address | None:
        self._findings.unknown(entry, place, ADDRESS_KEYS)
        known = {key: value for key, value in entry.items() if key in ADDRESS_KEYS.own}
        prepared = self._sources.of(known, SECRETS, place)
        shape = self._findings.validated(AddressShape, prepared, place, ADDRESS_KEYS)
        if known.keys().isdisjoint(URL_KEYS):
            self._findings.wrong((*place, URL), f"is missing: give one of {', '.join(URL_KEYS)}", missing=True)
        field, key = self._key(prepared, place)
        source: SecretSource | None = prepared.get(URL)
        here = (*place, URL + SUFFIXES["plain" if source is None else source.kind])
        found = None if source is None else self._found(source, here)
        if shape is None or source is None or found is None:
            return None
        if field:
            self._check_signed(found, field, here, _HOLDS[source.kind])
        self._notice_useless(found, shape, place)
        return _Address(place, found, shape, source.kind, SIGNING.get(field, ""), key)

    def _notice_useless(self, found: PlaybackUrl, shape: UnsignedShape, place: Place) -> None:
        """Warn of what changes nothing."""
        if shape.variant and found.path.lower().endswith(".flv"):
            self._findings.warn((*place, "variant"), "is of no use: the address ends in .flv, and FLV has no variants")
        for index, origin in enumerate(shape.origins):
            here = (*place, "origins", index)
            if origin == found.origin:
                self._findings.warn(here, "is the origin of the address itself, which is asked anyway")
            elif origin in shape.origins[:index]:
                self._findings.warn(here, "stands there twice")
        if PLACEHOLDER in (shape.name or ""):
            self._findings.warn((*place, "name"), f"has {PLACEHOLDER}, which is not filled in here")

    def _key(self, prepared: Mapping[str, Any], place: Place) -> tuple[str, Secret | None]:
        """Return the field that has the key to sign with, and the key; an empty name where there is none."""
        fields = [field for field in SIGNING if prepared.get(field) is not None]
        keys = [self._sources.fetched(field, prepared[field], place) for field in fields]
        for field in fields[1:]:
            at = (*place, field + SUFFIXES[prepared[field].kind])
            self._findings.wrong(at, f"stands beside {fields[0]}; give one of the two", at_key=True)
        return (fields[0], keys[0]) if fields else ("", None)

    def _check_signed(self, found: PlaybackUrl, field: str, here: Place, holds: str) -> None:
        """Refuse an address that cannot be signed, and warn of one that is signed already."""
        if not found.name:
            self._findings.wrong(here, f"{holds}ends with no stream's name in its path, which {field} signs")
        made = {name.lower() for name in SIGNERS[SIGNING[field]].parameters}
        if signed := ", ".join(sorted(found.parameters & made)):
            self._findings.warn(here, f"{holds}holds a signature already ({signed}), which {field} replaces")

    def _found(self, source: SecretSource, here: Place) -> PlaybackUrl | None:
        """Return what an address is, or None after reporting what is wrong with it."""
        text = self._sources.fetched_at(URL, source, here)
        if text is None:
            return None
        hint = variable(text.reveal(), URL) or variable(text.reveal())
        try:
            found = parse_playback(text.reveal())
        except ValueError as error:
            self._findings.wrong(here, f"{_HOLDS[source.kind]}{error}{hint and f'; it {hint}'}")
            return None
        if doubt := hint or found.unchecked:
            self._findings.warn(here, _HOLDS[source.kind] + doubt)
        return found


def _no_address(entry: Any) -> str:
    return wrong_type(entry, "text" if isinstance(entry, (bool, int, float)) else "an address")
