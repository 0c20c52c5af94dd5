"""Decides which accounts share a pace: those that a provider counts as one, whatever they are called."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from exporter.rounds.pace import WHOLE, Pace, Part

Owner = tuple[str, str]  # provider, account

Make = Callable[[str, str, str, float], Pace]
"""Makes the pace of a provider, an identity, an action and a limit."""


@dataclass(slots=True)
class Claim:
    """The limits of one account, and the paces that it uses.

    Attributes:
        limits: Calls per second by action, as configured.
        paces: The pace of each action.
        identity: What the provider counts the calls by; None until the account's keys are known.
    """

    limits: Mapping[str, float]
    paces: dict[str, Pace]
    identity: str | None = None


class Limits:
    """All paces, by provider, identity and action; they outlive the accounts that they were made for.

    Accounts of one identity share its paces, at the smallest of their limits. A pace that no account uses any more is
    kept for as long as its last calls or its throttling matter. Nothing that happens to a name refills a quota.

    Attributes:
        part: Which part of every quota is ours.
    """

    def __init__(self, full_until: float = float("-inf")) -> None:
        """Begin without paces; new ones behave as if calls had gone out evenly until a time (monotonic seconds)."""
        self.part = WHOLE
        self._ahead = 0.0
        self._full_until = full_until
        self._make: Make = self._local
        self._paces: dict[tuple[str, str, str], Pace] = {}
        self._claims: dict[Owner, Claim] = {}

    def use(self, make: Make | None, now: float) -> None:
        """Make the paces of known identities otherwise from now on: anew, and those that there are already."""
        self._make = make or self._local
        replaced = {key: self._make(*key, pace.limit) for key, pace in self._paces.items()}
        for key, pace in replaced.items():
            pace.absorb(self._paces[key], now)
        self._paces = replaced
        for owner, claim in self._claims.items():
            if claim.identity is not None:
                for action in claim.paces:
                    claim.paces[action] = replaced[owner[0], claim.identity, action]

    def _local(self, _provider: str, _identity: str, _action: str, limit: float) -> Pace:
        return self._pace(limit)

    def configure(self, owner: Owner, limits: Mapping[str, float]) -> dict[str, Pace]:
        """Return an account's paces by action; our part of the limits, calls per second, holds from now on."""
        limits = self.part.of_all(limits)
        claim = self._claims.get(owner)
        if claim is None:
            paces = {action: self._pace(limit) for action, limit in limits.items()}
            claim = self._claims[owner] = Claim(limits, paces)
        else:
            claim.limits = limits
        if claim.identity is None:
            for action, pace in claim.paces.items():
                pace.change(limits[action])
        else:
            self._agree(owner[0], claim.identity)
        return claim.paces

    def identify(self, owner: Owner, identity: str, now: float) -> dict[str, Pace]:
        """Return an account's paces by action, now that its keys say what the provider counts its calls by.

        When its keys change, its earlier calls and throttling still count. For an account that is no longer configured
        the result is empty: it keeps the paces it has.
        """
        claim = self._claims.get(owner)
        if claim is None:
            return {}
        if claim.identity != identity:
            for action, before in claim.paces.items():
                key = (owner[0], identity, action)
                if key not in self._paces:
                    self._paces[key] = self._make(*key, claim.limits[action])
                self._paces[key].absorb(before, now)
                claim.paces[action] = self._paces[key]
            claim.identity = identity
            self._agree(owner[0], identity)
            self._forget(now)
        return claim.paces

    def keep(self, owners: Collection[Owner], now: float) -> None:
        """Forget all accounts but these, and the paces that nobody uses and that no longer matter."""
        gone = [owner for owner in self._claims if owner not in owners]
        for owner in gone:
            claim = self._claims.pop(owner)
            if claim.identity is not None:
                self._agree(owner[0], claim.identity)
        self._forget(now)

    def share(self, part: Part, ahead: float) -> None:
        """Keep a part of every quota from the next `configure` on; `ahead` as in `align`."""
        self.part = part
        self.align(ahead)

    def align(self, ahead: float) -> None:
        """Take Unix time to be so many seconds ahead of monotonic time: parts of small quotas go by it."""
        self._ahead = ahead
        for claim in self._claims.values():
            for pace in claim.paces.values():
                pace.align(self.part, ahead)

    def _pace(self, limit: float) -> Pace:
        pace = Pace(limit, self._full_until)
        pace.align(self.part, self._ahead)
        return pace

    def _agree(self, provider: str, identity: str) -> None:
        """Set the paces of an identity to the smallest limit of the accounts that use it."""
        users = [one for owner, one in self._claims.items() if owner[0] == provider and one.identity == identity]
        for action in {action for one in users for action in one.limits}:
            limit = min(one.limits[action] for one in users if action in one.limits)
            self._paces[provider, identity, action].change(limit)

    def _forget(self, now: float) -> None:
        used = {id(pace) for claim in self._claims.values() for pace in claim.paces.values()}
        kept = {key: pace for key, pace in self._paces.items() if id(pace) in used or not pace.settled(now)}
        self._paces = kept
