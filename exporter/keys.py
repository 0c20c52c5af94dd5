"""What calls are signed with: the configuration's secrets, read again when their files change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from exporter import config
from exporter.model import Account, Credentials
from exporter.provider import AnyProvider, CredentialsError


class Keyring:
    """Finds an account's credentials anew for each round, so that a rotated key costs at most one bad round."""

    def __init__(self, environ: Mapping[str, str], read: Callable[[Path], bytes] = Path.read_bytes) -> None:
        self._environ = environ
        self._read = read

    async def __call__(self, provider: AnyProvider, account: Account) -> Credentials:
        """Return what to sign an account's calls with.

        Raises:
            CredentialsError: There is nothing; it says what to do.
        """
        try:
            return config.credentials(account, provider, self._environ, self._read)
        except config.CredentialsMissing as error:
            raise CredentialsError(str(error)) from None
