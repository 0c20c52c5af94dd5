"""The part `accounts` of a configuration: each entry to its provider's account type, its secrets fetched once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from exporter import providers as clouds
from exporter.config import secret_values
from exporter.config.findings import Findings
from exporter.config.http import PROXY_KEYS, HttpSettings
from exporter.config.playback import SIGNING_KEYS
from exporter.config.problems import Place
from exporter.config.secret_values import SUFFIXES, Choose, secret_fields
from exporter.config.sources import Sources
from exporter.config.store import URL_KEYS
from exporter.config.warnings import blemishes
from exporter.config.wording import Keys, already_taken, foreign_fields, wrong_type
from exporter.model import Account
from exporter.providers.interface import AnyProvider
from exporter.spelling import did_you_mean


class Accounts:
    """Reads the accounts.

    Attributes:
        valid: The accounts without errors, by name.
        owners: For each name that an entry has, right or wrong, its provider (None if unknown) and its place.
    """

    def __init__(
        self,
        findings: Findings,
        providers: Mapping[str, AnyProvider],
        environ: Mapping[str, str],
        sources: Sources,
        http: HttpSettings,
        choose: Choose,
    ) -> None:
        self.findings = findings
        self.providers = providers
        self.environ = environ
        self.sources = sources
        self.http = http
        self.choose = choose
        self.max_age = 0.0
        self.parts = 1
        self.keys = {name: keys_of(provider) for name, provider in providers.items()}
        self.valid: dict[str, Account] = {}
        self.owners: dict[str, tuple[AnyProvider | None, Place]] = {}

    def read(self, raw: dict[str, Any], max_age: float, parts: int = 1) -> None:
        """Read the list of the configuration's top.

        Each of `parts` equal parts of a quota must suffice for a call within `max_age` seconds.
        """
        self.max_age, self.parts = max_age, parts
        if "accounts" not in raw:
            self.findings.wrong(("accounts",), "is missing: at least one account is needed", missing=True)
            return
        entries = self.findings.list_of(raw["accounts"], ("accounts",))
        if raw["accounts"] == []:
            self.findings.wrong(("accounts",), "is empty; at least one account is needed")
        for index, entry in enumerate(entries):
            if self.findings.full:
                return
            self._account(entry, ("accounts", index))

    def _account(self, raw: Any, place: Place) -> None:
        if not isinstance(raw, dict):
            self.findings.wrong(place, wrong_type(raw, "a mapping"))
            return
        provider = self._provider(raw, place)
        self._own(raw.get("name"), provider, place)
        if provider is None:
            self._check_common(raw, place)
            return
        prepared = self.sources.of(raw, secret_fields(provider.account), place)
        prepared["http"] = self.http.own(raw, place)
        self._check_secrets(prepared, provider, place)
        self._check_actions(raw.get("quota"), provider, place)
        foreign = foreign_fields(provider.name, self.keys)
        keys = Keys(self.keys[provider.name], {field: f"accounts of {whose}" for field, whose in foreign.items()})
        account: Account | None = self.findings.validated(provider.account, prepared, place, keys)
        if account is not None:
            self._check_quota(account, provider, place)
            self.valid.setdefault(account.name, account)

    def _check_common(self, raw: dict[str, Any], place: Place) -> None:
        """Check what all accounts have in common, where the provider is unknown."""
        common = {key: value for key, value in raw.items() if key in Account.model_fields}
        common |= {"provider": "any", "http": self.http.own(raw, place)}
        self.findings.validated(Account, {"endpoint": "https://host", **common}, place)
        known = {key for keys in self.keys.values() for key in keys}
        self.findings.unknown(raw, place, Keys(tuple(known)))

    def _provider(self, raw: dict[str, Any], place: Place) -> AnyProvider | None:
        """Return the account's provider, or None after reporting why there is none."""
        place = (*place, "provider")
        options = ", ".join(self.providers)
        word = raw.get("provider")
        if "provider" not in raw:
            self.findings.wrong(place, f"is missing; it is one of {options}", missing=True)
        elif not isinstance(word, str):
            self.findings.wrong(place, wrong_type(word, "text"))
        elif word in self.providers:
            return self.providers[word]
        else:
            suggestion = clouds.suggest_provider(word, self.providers)
            self.findings.wrong(place, f"unknown provider; it is one of {options}{suggestion}")
        return None

    def _own(self, name: Any, provider: AnyProvider | None, place: Place) -> None:
        """Note which provider a name belongs to; if a name stands twice, the first counts."""
        if not isinstance(name, str):
            return
        _, first = self.owners.setdefault(name, (provider, place))
        if first != place:
            repeated = (self.findings.document, (*first, "name"))
            self.findings.wrong((*place, "name"), already_taken("an account", name), first=repeated)

    def _check_secrets(self, prepared: dict[str, Any], provider: AnyProvider, place: Place) -> None:
        """Fetch every secret once, so that what cannot be fetched is reported now, not at the first call."""
        fields = [field for field in secret_fields(provider.account) if field in prepared]
        for field in fields:
            if prepared[field] is not None:
                self.sources.fetched(field, prepared[field], place)
        self._check_environment(fields, provider, place)
        source = self.choose(provider, fields)
        if source is not None:
            self.findings.warn((*place, "provider"), f"gives no key: its keys come from the {source.title}")
            return
        for field, advice in secret_values.missing(provider, self.environ, fields):
            self.findings.wrong((*place, field), advice, missing=True)

    def _check_environment(self, given: Collection[str], provider: AnyProvider, place: Place) -> None:
        """Warn about the vendor's environment variables, which are used where no field is given."""
        keys = [field for field in provider.credentials if field]
        if any(field in given for field in keys):
            return
        for field in keys:
            name = secret_values.variable_of(provider, field, self.environ)
            for blemish in blemishes(self.environ.get(name, ""), field):
                self.findings.warn((*place, "provider"), f"the environment variable {name} {blemish}")

    def secret_keys(self) -> frozenset[str]:
        """Return every key that may hold a secret, or say where it is."""
        fields = {field for provider in self.providers.values() for field in secret_fields(provider.account)}
        own = (field + suffix for field in fields for suffix in SUFFIXES.values())
        return frozenset((*PROXY_KEYS, *URL_KEYS, *SIGNING_KEYS, *own))

    def _check_actions(self, quota: Any, provider: AnyProvider, place: Place) -> None:
        actions = provider.apis()
        for action in quota if isinstance(quota, dict) else ():
            if self.findings.full:
                return
            if action not in actions:
                hint = did_you_mean(action, actions)
                message = f"unknown action of {provider.name}; it is one of {', '.join(actions)}{hint}"
                self.findings.wrong((*place, "quota", action), message, at_key=True)

    def _check_quota(self, account: Account, provider: AnyProvider, place: Place) -> None:
        """Refuse a rate at which not even one stream can be known all the time."""
        whose = f" for each of {self.parts} shards" if self.parts > 1 else ""
        small, most = f"is too small: less than one call within scrape.max_age{whose}", self.max_age / self.parts
        for action, rate in account.quota.items():
            if rate * most < 1:
                self.findings.wrong((*place, "quota", action), small)
        share = account.quota_share * provider.main.limit(account)
        if provider.main.action not in account.quota and share * most < 1:
            self.findings.wrong((*place, "quota_share"), small)


def keys_of(provider: AnyProvider) -> tuple[str, ...]:
    """Return the keys that an account of a provider may have."""
    secrets = secret_fields(provider.account)
    return (*provider.account.model_fields, *(f"{field}{suffix}" for field in secrets for suffix in ("_file", "_env")))
