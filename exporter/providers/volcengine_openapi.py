"""What Volcengine's services share: signature, envelope, and where keys come from.

Signature, HMAC-SHA256 in the header: https://www.volcengine.com/docs/6369/67270
Envelope and the gateway's errors: https://www.volcengine.com/docs/6369/68677
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from exporter.model import Account, Call, Credentials, Moment, Reply, Request
from exporter.providers import leases, reading
from exporter.providers.derived_key import Scheme
from exporter.providers.document import MOST_VALUES
from exporter.providers.encoding import EMPTY_SHA256, canonical_query, host, timestamp
from exporter.providers.interface import CredentialsError
from exporter.providers.sources import Lease, Machine, Source, Steps

SCHEME = Scheme(algorithm="HMAC-SHA256", prefix="", ends="request", dated="x-date")
HIDES = ("Authorization", "Signature", "X-Security-Token")
CREDENTIALS = ("access_key_id", "secret_access_key", "session_token")
ENVIRONMENT = {
    "access_key_id": ("VOLC_ACCESSKEY", "VOLCENGINE_ACCESS_KEY"),
    "secret_access_key": ("VOLC_SECRETKEY", "VOLCENGINE_SECRET_KEY"),
    "session_token": ("VOLC_SESSIONTOKEN", "VOLCENGINE_SESSION_TOKEN"),
}


def sign(account: Account, credentials: Credentials, call: Call, moment: Moment, scope: tuple[str, str]) -> Request:
    """Sign a GET with the parameters in the query; the scope is region and service."""
    query = [("Action", call.action), ("Version", call.version)]
    query += [(name, str(value)) for name, value in call.params.items()]
    headers = {
        "Host": host(account.endpoint),
        "X-Content-Sha256": EMPTY_SHA256,
        "X-Date": timestamp(moment.now, "%Y%m%dT%H%M%SZ"),
    }
    if credentials.token:
        headers["X-Security-Token"] = credentials.token.reveal()
    region, service = scope
    headers["Authorization"] = SCHEME.authorization(
        access_key_id=credentials.key_id,
        secret_access_key=credentials.key_secret.reveal(),
        region=region,
        service=service,
        query=query,
        headers=headers,
    )
    headers["Accept"] = "application/json"
    return Request("GET", f"{account.endpoint}/?{canonical_query(query)}", headers)


def result(reply: Reply, call: Call, service: str, values: int = MOST_VALUES) -> tuple[dict[str, Any], str]:
    """Return Result and RequestId, or raise the error of ResponseMetadata, which may come with any status."""
    document = reading.envelope(reply, values)
    metadata = reading.envelope_field(reply, document, "ResponseMetadata", dict, beside="RequestId")
    reading.check_no_error(metadata)
    reading.check_success(reply, document)
    reading.check_echo(metadata, {"Action": call.action, "Version": call.version, "Service": service})
    found = reading.object_of(document, "Result")
    reading.check_echo(found, call.params)
    return found, reading.id_of(metadata, "RequestId")


def _profile(machine: Machine) -> Path | None:
    return machine.profile("", "~/.volc/credentials", "~/.volc/config")


def _from_profile(machine: Machine, _now: float) -> Steps:
    """Read the profile files of the vendor's SDKs: https://github.com/volcengine/volc-sdk-python."""
    path = _profile(machine) or Path()
    data: bytes = yield path
    if path.name == "config":
        return Lease(leases.lasting_credentials(_json(data), "ak", "sk"))
    return Lease(leases.lasting_credentials(leases.ini_section(data, "default"), *CREDENTIALS))


def _json(data: bytes) -> dict[str, object]:
    with suppress(ValueError):
        return reading.object_in(data)
    # Raised outside `suppress`, because the decoder's error holds the file.
    raise CredentialsError('the file is not a JSON object like {"ak": "…", "sk": "…"}')


SOURCES = (
    Source(
        title="profile file of Volcengine",
        hint="write a profile file ~/.volc/credentials",
        advice="it has a section [default] with access_key_id and secret_access_key",
        evidence=_profile,
        obtain=_from_profile,
    ),
)
