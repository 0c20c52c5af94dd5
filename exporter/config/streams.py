"""The part `streams` of a configuration, and the files of `stream_files`: each entry to its provider's stream type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from exporter.addresses import PLACEHOLDER
from exporter.config.accounts import Accounts
from exporter.config.document import ELSEWHERE, Document
from exporter.config.findings import Findings
from exporter.config.playback import PlaybackReader
from exporter.config.problems import Place
from exporter.config.schedules import Schedules
from exporter.config.shards import WHOLE
from exporter.config.warnings import PLAYBACK
from exporter.config.wording import (
    Keys,
    already_taken,
    foreign_fields,
    listed,
    wrong_type,
)
from exporter.fields import Text, carries_credential
from exporter.model import Account, Stream
from exporter.providers.interface import AnyProvider
from exporter.spelling import did_you_mean

TAKEN_LABELS = frozenset({"provider", "stream", "account", "le", "quantile"})
SCRAPE_LABELS = frozenset({"job", "instance"})
MOST_MEANT = 20

_NAMES = TypeAdapter(list[Text], config=ConfigDict(strict=True, hide_input_in_errors=True))


class Streams:
    """Reads streams, from as many lists as there are.

    Attributes:
        shard: Whose streams are read; the others are passed over.
        valid: Those without errors.
        used: The names of the accounts that any stream has, of whatever shard.
    """

    def __init__(
        self,
        findings: Findings,
        providers: Mapping[str, AnyProvider],
        accounts: Accounts,
        schedules: Schedules,
        playback: PlaybackReader,
    ) -> None:
        self.findings = findings
        self.playback = playback
        self.schedules = schedules
        self.accounts = accounts
        self.shard = WHOLE
        self.used: set[str] = set()
        self.valid: list[Stream] = []
        self.names: dict[str, dict[str, tuple[Document, Place, str | int]]] = {name: {} for name in providers}
        self.shown: dict[tuple[str, Any], tuple[Any, Document, Place]] = {}
        self.label_sets: set[tuple[str, ...]] = set()
        self.nobody: dict[str, str] = {}
        self.keys = {name: _stream_keys(name, providers) for name in providers}

    def label_names(self) -> tuple[str, ...]:
        """Return every label that any stream has, sorted."""
        return tuple(sorted(set(chain.from_iterable(self.label_sets))))

    def read(self, entries: list[Any], prefix: Place) -> None:
        """Read one list that stands at `prefix` of the present document."""
        for index, raw in enumerate(entries):
            if self.findings.full:
                return
            if raw is ELSEWHERE:
                continue
            place = (*prefix, index)
            provider = self._provider(raw, place)
            if provider is None:
                self._check_common(raw, place)
            elif "names" in raw:
                self._many(raw, provider, place)
            elif not self.elsewhere(raw["account"], raw.get("name")):
                self._one(raw, provider, place)

    def elsewhere(self, account: str, name: Any) -> bool:
        """Say whether another shard watches a stream; one whose account or name is wrong belongs to every shard."""
        owner = self.accounts.owners.get(account, (None,))[0]
        if owner is None:
            return False
        self.used.add(account)
        return isinstance(name, str) and not self.shard.holds(owner.name, name)

    def _check_common(self, raw: Any, place: Place) -> None:
        """Check what all streams have in common, where the account is unknown."""
        if not isinstance(raw, dict):
            return
        common = {key: value for key, value in self._with_playback(raw, place).items() if key in Stream.model_fields}
        stand_in = {"name": "any"} if "names" in raw else {}
        self.findings.validated(Stream, {**stand_in, **common, "account": "any"}, place)
        known = {key for keys in self.keys.values() for key in keys.own}
        self.findings.unknown(raw, place, Keys(tuple(known)))

    def _provider(self, raw: Any, place: Place) -> AnyProvider | None:
        """Return the provider of a stream's account, or None after reporting why there is none."""
        try:
            return self.accounts.owners[raw["account"]][0]
        except (KeyError, TypeError):
            pass
        if not isinstance(raw, dict):
            self.findings.wrong(place, wrong_type(raw, "a mapping"))
        elif "account" not in raw:
            self.findings.wrong((*place, "account"), f"is missing{self._accounts()}", missing=True)
        elif not isinstance(raw["account"], str):
            self.findings.wrong((*place, "account"), wrong_type(raw["account"], "text"))
        else:
            self.findings.wrong((*place, "account"), f"no account has this name{self._meant(raw['account'])}")
        return None

    def _meant(self, account: str) -> str:
        """Suggest the account that was likely meant, for the first few unknown names: comparing many takes long."""
        if account not in self.nobody and len(self.nobody) < MOST_MEANT:
            self.nobody[account] = did_you_mean(account, self.accounts.owners)
        return self._accounts() + self.nobody.get(account, "")

    def _accounts(self) -> str:
        """Name the accounts there are, the first of many; a name that holds a credential is not repeated."""
        names = [name for name in self.accounts.owners if not carries_credential(name)]
        if len(names) > 1:
            return f"; the accounts are {listed(names)}"
        return f"; the only account is {listed(names)}" if names else ""

    def _one(self, raw: dict[str, Any], provider: AnyProvider, place: Place) -> None:
        raw = self._with_playback(raw, place)
        try:
            stream: Stream = provider.stream.model_validate(raw)
        except ValidationError as error:
            self.findings.invalid(error, raw, place, self.keys[provider.name])
            # Its name and labels can be checked all the same.
            if isinstance(raw.get("name"), str):
                self._name(raw["name"], provider.name, place, "name")
            if isinstance(raw.get("labels"), dict):
                self._check_labels(raw["labels"], place)
            return
        self._name(stream.name, provider.name, place, "name")
        self._check(stream, provider, place)
        self.valid.append(_copies(stream, [stream.name])[0] if waiting(stream) else stream)

    def _with_playback(self, raw: dict[str, Any], place: Place) -> dict[str, Any]:
        """Return an entry with its addresses of viewers as values."""
        if PLAYBACK not in raw:
            return raw
        return {**raw, PLAYBACK: self.playback.addresses(raw[PLAYBACK], (*place, PLAYBACK))}

    def _many(self, raw: dict[str, Any], provider: AnyProvider, place: Place) -> None:
        """Read the short form: what is shared is checked once, and each stream is a copy with its own name."""
        shared = {key: value for key, value in raw.items() if key != "names"} | {"name": "any"}
        shared = self._with_playback(shared, place)
        if "name" in raw:
            self.findings.wrong((*place, "name"), "stands beside names; one of them is enough", at_key=True)
        model = self.findings.validated(provider.stream, shared, place, self.keys[provider.name])
        names = self.findings.list_of(raw["names"], (*place, "names"))
        if raw["names"] == []:
            self.findings.wrong((*place, "names"), "is empty; name at least one stream")
        own = [(index, name) for index, name in enumerate(names) if not self.elsewhere(raw["account"], name)]
        self._names(own, provider.name, (*place, "names"))
        try:
            _NAMES.validate_python(names)
        except ValidationError as error:
            self.findings.invalid(error, names, (*place, "names"), Keys())
            return
        if model is not None:
            self._check(model, provider, place, names=True)
            if len(names) > 1:
                self.playback.notice_shared(model.playback, (*place, PLAYBACK))
            copies = _copies(model, [name for _, name in own])
            self._check_names(copies, [index for index, _ in own], provider, place)
            self.valid += copies

    def _check_names(self, copies: list[Stream], indices: list[int], provider: AnyProvider, place: Place) -> None:
        """Check the names of a short form as the addresses that they are by default."""
        account = self.accounts.valid.get(copies[0].account) if copies else None
        if account is None:
            return
        for index, stream in zip(indices, copies, strict=True):
            for field, message in provider.problems(account, stream):
                if field == "name":
                    self.findings.wrong((*place, "names", index), message)
            self._tell_apart(stream, account, provider, (*place, "names", index))

    def _names(self, names: list[tuple[int, Any]], provider: str, place: Place) -> None:
        """Note the names of a short form: all at once if they are new, as is usual."""
        document, known = self.findings.document, self.names[provider]
        fresh = {name: (document, place, index) for index, name in names if isinstance(name, str)}
        if len(fresh) == len(names) and known.keys().isdisjoint(fresh):
            known |= fresh
            return
        for index, name in names:
            if isinstance(name, str) and not self.findings.full:
                self._name(name, provider, place, index)

    def _name(self, name: str, provider: str, place: Place, step: str | int) -> None:
        """Note a stream's name, which has to be the only one at its provider."""
        here = (self.findings.document, place, step)
        document, around, first = before = self.names[provider].setdefault(name, here)
        if before is not here:
            message = already_taken(f"a {provider} stream", name)
            self.findings.wrong((*place, step), message, first=(document, (*around, first)))

    def _check(self, stream: Stream, provider: AnyProvider, place: Place, *, names: bool = False) -> None:
        self.schedules.check(stream.expected, (*place, "expected"))
        if stream.labels:
            labels = tuple(stream.labels)
            self.label_sets.add(labels)
            self._check_labels(labels, place)
        account = self.accounts.valid.get(stream.account)
        if account is not None:
            for field, message in provider.problems(account, stream):
                self.findings.wrong((*place, field), message, missing=True)
            if not names:
                self._tell_apart(stream, account, provider, (*place, "name"))

    def _tell_apart(self, stream: Stream, account: Account, provider: AnyProvider, place: Place) -> None:
        """Refuse a stream whose address answers show like that of another one."""
        if provider.alike is None:
            return
        address, shown = provider.alike(account, stream)
        here = (address, self.findings.document, place)
        other, document, first = self.shown.setdefault((account.name, shown), here)
        if other != address:
            message = f"{provider.title} shows this stream and another by the same name, so that one is taken for both"
            self.findings.wrong(place, message, first=(document, first))

    def _check_labels(self, labels: Iterable[str], place: Place) -> None:
        for label in labels:
            if problem := taken(label):
                self.findings.wrong((*place, "labels", label), problem, at_key=True)
            elif label in SCRAPE_LABELS:
                message = f"Prometheus sets {label} itself, and shows this one as exported_{label}"
                self.findings.warn((*place, "labels", label), message, at_key=True)


def taken(label: str) -> str:
    """Say that a label's name cannot be a stream's, or return an empty text."""
    return "this label name is taken; use another" if label in TAKEN_LABELS or label.startswith("__") else ""


def waiting(stream: Stream) -> bool:
    """Whether an address of a stream waits for its name."""
    return any(PLACEHOLDER in address.url.reveal() for address in stream.playback)


def _copies(model: Stream, names: list[str]) -> list[Stream]:
    """Return a copy of a stream for each name, by the pickle protocol: model_copy takes three times as long."""
    shape, settle = type(model), object.__setattr__
    addresses = model.playback if waiting(model) else ()
    state = model.__getstate__()
    fields = state.pop("__dict__")
    rest = tuple(state.items())
    copies = []
    for name in names:
        copy = shape.__new__(shape)
        own = {PLAYBACK: tuple(address.filled(name) for address in addresses)} if addresses else {}
        settle(copy, "__dict__", {**fields, "name": name, **own})
        for slot, value in rest:
            settle(copy, slot, value)
        copies.append(copy)
    return copies


def _stream_keys(name: str, providers: Mapping[str, AnyProvider]) -> Keys:
    fields = {each: tuple(provider.stream.model_fields) for each, provider in providers.items()}
    foreign = foreign_fields(name, fields)
    return Keys(
        own=(*fields[name], "names"),
        others={field: f"streams of {whose}; this account's are {name}" for field, whose in foreign.items()},
        absent={"name": "is missing; give name, or names for several streams"},
        retired=providers[name].retired,
    )
