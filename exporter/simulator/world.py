"""The world of the simulated clouds: accounts, streams, faults, and the logs of calls and callbacks."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from random import Random
from typing import Any

from exporter.model import State
from exporter.simulator.exchange import Names
from exporter.simulator.fake import Fake
from exporter.simulator.faults import KINDS, PLAYBACK, PLAYBACK_KINDS, Fault
from exporter.simulator.providers import fakes, quirks
from exporter.simulator.types import (
    Account,
    Call,
    Delivery,
    FieldValue,
    Manners,
    Memory,
    Script,
    Stream,
    Tricks,
)

DETAILS = frozenset({"media", "inputs", "ingest", "in_room", "figures", "playback"})


class World:
    """Accounts, streams, faults and logs; all may change while a simulator serves the world.

    Callbacks are sent to `callbacks`/ACCOUNT while that is set, and logged in `deliveries`.

    Args:
        clock: Returns Unix seconds, for states, quotas and signatures.
        seed: Seeds request ids and random faults.
        log_size: Most entries in each log.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time, seed: int | str = 1, log_size: int = 500_000) -> None:
        self.clock = clock
        self.random = Random(seed)
        self.accounts: dict[str, Account] = {}
        self.streams: dict[str, Stream] = {}
        self.faults: list[Fault] = []
        self.quirks: Any = quirks()()
        self.listings: dict[str, Tricks] = {}
        self.log: deque[Call] = deque(maxlen=log_size)
        self.memory = Memory()
        self.callbacks = ""
        self.manners: dict[str, Manners] = {}
        self.deliveries: deque[Delivery] = deque(maxlen=log_size)
        self.listeners: list[Callable[[Stream, bool], None]] = []
        # Accounts by provider and key, streams by account and address.
        self.keys: dict[tuple[str, str], Account] = {}
        self.addresses: dict[tuple[str, tuple[str, ...]], Stream] = {}
        self._groups: dict[tuple[str, tuple[str, ...]], list[Stream]] = defaultdict(list)
        self._owned: dict[str, AbstractSet[str]] = {}

    def add_account(
        self,
        name: str,
        provider: str,
        *,
        quota: Mapping[str, float] | None = None,
        denied: Iterable[str] = (),
        domains: Iterable[str] = (),
        token_expires: float | None = None,
        **fields: FieldValue,
    ) -> Account:
        """Add an account; `fields` are its credentials by the configuration's names.

        Raises:
            ValueError: A field is invalid, or the name or key is taken.
        """
        fake = _fake(provider)
        types = fake.account_fields
        problems = _problems(fields, types, list(types)[:2]) or [
            f"{field} is not {types[field].__name__}"
            for field, value in fields.items()
            if field in types and type(value) is not types[field]
        ]
        if name in self.accounts:
            problems.append("the name is taken")
        if (provider, str(fields.get(fake.key))) in self.keys:
            problems.append(f"{fake.key} is taken")
        if problems:
            raise ValueError(f"account {name}: {'; '.join(problems)}")
        account = Account(name, provider, dict(fields), dict(quota or {}), set(denied), set(domains), token_expires)
        self.accounts[name] = self.keys[provider, account.text(fake.key)] = account
        return account

    def add_stream(
        self, name: str, account: str, *, state: State | str | Script = State.ACTIVE, **fields: Any
    ) -> Stream:
        """Add a stream to an account; `fields` are its address, by the configuration's names, and its details.

        Raises:
            ValueError: The account is unknown, an address field is invalid, or the name or address is taken.
        """
        owner = self.accounts.get(account)
        if owner is None:
            raise ValueError(f"stream {name}: account {account} is unknown")
        fake = _fake(owner.provider)
        details = {field: fields.pop(field) for field in DETAILS & fields.keys()}
        known = fake.stream_fields
        problems = _problems(fields, known, [field for field, default in known.items() if default is None])
        if problems:
            raise ValueError(f"stream {name}: {'; '.join(problems)}")
        stream = Stream(name, owner, fake.full_address(owner, name, fields), self._script(state))
        address = (account, fake.address_of(stream))
        if stream.key in self.streams or address in self.addresses:
            raise ValueError(f"stream {name}: the name or the address is taken")
        self._set_details(stream, details)
        self.streams[stream.key] = self.addresses[address] = stream
        for group in ((), fake.group(stream)):
            self._groups[account, group].append(stream)
        self._owned.pop(account, None)
        return stream

    def remove_stream(self, key: str) -> None:
        """Remove a stream, as if it had never been published."""
        stream = self.streams.pop(key)
        account, fake = stream.account.name, _fake(stream.account.provider)
        del self.addresses[account, fake.address_of(stream)]
        for group in ((), fake.group(stream)):
            self._groups[account, group].remove(stream)
        self._owned.pop(account, None)

    def _script(self, state: State | str | Script) -> Script:
        if isinstance(state, Script):
            return state
        if state not in set(State) - {State.UNKNOWN}:
            raise ValueError(f"unknown state {state}; known are active, inactive, forbidden, not_found")
        return Script((State(state),), since=self.clock())

    def set(self, key: str, state: State | str | Script | None = None, **details: Any) -> Stream:
        """Change the state, or details such as media or inputs, of the stream `provider/name`.

        Raises:
            KeyError: The stream is unknown.
            ValueError: The state or a detail is unknown.
        """
        stream = self.streams[key]
        now = self.clock()
        before = stream.is_active(now)
        if before and state is not None:
            stream.pushed = stream.script.started(now), now
        if state is not None:
            stream.script = self._script(state)
        self._set_details(stream, details)
        if stream.is_active(self.clock()) != before:
            self.send_callback(key, not before)
        return stream

    def _set_details(self, stream: Stream, details: Mapping[str, Any]) -> None:
        unknown = details.keys() - DETAILS
        if unknown:
            raise ValueError(f"stream {stream.key}: unknown detail {min(unknown)}")
        for name, value in details.items():
            moved = getattr(getattr(stream, name), "moving", None) is not False
            if moved and getattr(value, "moving", None) is False:
                stream.still[name] = self.clock()
            setattr(stream, name, tuple(value) if name in ("media", "inputs") else value)

    def state(self, key: str) -> State:
        """Return the current state of the stream `provider/name`."""
        return self.streams[key].script.state(self.clock())

    def send_callback(self, key: str, live: bool) -> None:
        """Make the cloud report the start or end of a push, whatever the stream's state."""
        for listener in self.listeners:
            listener(self.streams[key], live)

    def fault(self, kind: str, **fields: Any) -> Fault:
        """Add a fault; see `Fault` for the fields and `KINDS` for the kinds; raises as `add_fault`."""
        return self.add_fault(Fault(kind, **fields))

    def add_fault(self, fault: Fault) -> Fault:
        """Inject a fault into the calls that match it.

        Raises:
            ValueError: Its kind is unknown, or not one of what viewers ask for.
        """
        of, kinds = (f" of {PLAYBACK}", PLAYBACK_KINDS) if fault.provider == PLAYBACK else ("", KINDS)
        if fault.kind not in kinds:
            raise ValueError(f"unknown kind of fault {fault.kind}{of}; known are {', '.join(kinds)}")
        self.faults.append(fault)
        return fault

    def clear(self, fault: Fault | None = None) -> None:
        """Remove one fault, or all."""
        self.faults = [] if fault is None else [each for each in self.faults if each is not fault]

    def set_manners(self, provider: str, manners: Manners) -> Manners:
        """Set how a provider sends its callbacks; raises ValueError for an unknown provider."""
        self.manners[_fake(provider).name] = manners
        return manners

    def set_tricks(self, provider: str, tricks: Tricks) -> Tricks:
        """Set how a provider's lists mislead; raises ValueError for an unknown provider."""
        self.listings[_fake(provider).name] = tricks
        return tricks

    def tricks(self, provider: str) -> Tricks:
        """Return how a provider's lists mislead."""
        return self.listings.get(provider, Tricks())

    def group(self, account: Account, group: tuple[str, ...] = ()) -> list[Stream]:
        """Return an account's streams, all or those in one room or domain, in the order in which they were added."""
        return self._groups.get((account.name, group), [])

    def owned(self, account: Account) -> AbstractSet[str]:
        """Return the domains or applications in the addresses of an account's streams."""
        owned = self._owned.get(account.name)
        if owned is None:
            names = _fake(account.provider).owns
            parts = (stream.address.get(name, "") for stream in self.group(account) for name in names)
            owned = self._owned[account.name] = set(parts) - {""}
        return owned

    def faults_for(self, names: Names) -> list[Fault]:
        """Return the faults to inject into a call, and count them."""
        faults = []
        for fault in self.faults:
            if fault.matches(names) and (fault.probability >= 1 or self.random.random() < fault.probability):
                fault.hits += 1
                faults.append(fault)
        return faults

    def calls(self, **where: str) -> list[Call]:
        """Return the logged calls whose fields (provider, account, action, stream, code) have these values."""
        return [call for call in list(self.log) if all(getattr(call, name) == want for name, want in where.items())]

    def busiest(self, seconds: float = 1.0, **where: str) -> int:
        """Return the largest number of matching calls in any window of that many seconds."""
        window: deque[float] = deque()
        most = 0
        for call in self.calls(**where):
            window.append(call.time)
            while window[0] <= call.time - seconds:
                window.popleft()
            most = max(most, len(window))
        return most


def _fake(provider: str) -> Fake:
    if provider not in fakes():
        raise ValueError(f"unknown provider {provider}; known are {', '.join(fakes())}")
    return fakes()[provider]


def _problems(fields: Mapping[str, Any], known: Iterable[str], required: Iterable[str]) -> list[str]:
    problems = [f"unknown field {name}" for name in fields if name not in set(known)]
    return problems + [f"{name} is missing" for name in required if name not in fields]
