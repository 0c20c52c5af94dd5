"""Alibaba Cloud: the pod identity of ACK (RRSA), the profile file and the RAM role of an ECS instance."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from exporter.model import Moment, Reply, Request
from exporter.providers import leases
from exporter.providers.encoding import timestamp
from exporter.providers.interface import CredentialsError, Malformed
from exporter.providers.reading import definite, envelope, object_of, utc_seconds
from exporter.providers.sources import Lease, Machine, Source, Steps

METADATA = "http://100.100.100.200"
ROLES = f"{METADATA}/latest/meta-data/ram/security-credentials/"
METADATA_TOKEN_SECONDS = 21600
ROLE_SECONDS = 3600
ROLE_VARIABLE = "ALIBABA_CLOUD_ECS_METADATA"
POD_VARIABLES = ("ALIBABA_CLOUD_ROLE_ARN", "ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "ALIBABA_CLOUD_OIDC_TOKEN_FILE")
EARLY = 900.0
"""Seconds before the old keys expire at which Alibaba's servers have new ones."""


def _temporary(found: Mapping[str, Any]) -> Lease:
    expires = utc_seconds(found.get("Expiration"))
    if expires is None:
        raise Malformed("Expiration is no time")
    return Lease(leases.temporary(found, "AccessKeyId", "AccessKeySecret", "SecurityToken"), expires)


def _disabled(machine: Machine) -> bool:
    return machine.get("ALIBABA_CLOUD_ECS_METADATA_DISABLED").lower() == "true"


def _from_instance(name: str, source: str) -> Steps:
    """See https://help.aliyun.com/zh/ecs/user-guide/view-instance-metadata: version 2, with a token of its own."""
    name = leases.role(name, source)
    ttl = {"X-aliyun-ecs-metadata-token-ttl-seconds": str(METADATA_TOKEN_SECONDS)}
    token = leases.plain((yield Request("PUT", f"{METADATA}/latest/api/token", ttl)))
    headers = {"X-aliyun-ecs-metadata-token": leases.key({"the metadata token": token}, "the metadata token")}
    if name == leases.AUTO:
        name = leases.attached_role((yield Request("GET", ROLES, headers)))
    return _temporary(leases.metadata((yield Request("GET", ROLES + name, headers))))


def _sts(machine: Machine) -> str:
    region = machine.get("ALIBABA_CLOUD_STS_REGION")
    if not region:
        return "https://sts.aliyuncs.com"
    if not re.fullmatch(r"[a-z0-9-]{1,32}", region):
        raise CredentialsError("ALIBABA_CLOUD_STS_REGION is not the name of a region")
    inside = machine.get("ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED").lower() == "true"
    return f"https://{'sts-vpc' if inside else 'sts'}.{region}.aliyuncs.com"


def _from_pod(machine: Machine, now: float, found: Mapping[str, str], names: tuple[str, str, str]) -> Steps:
    """See https://help.aliyun.com/zh/ram/developer-reference/api-sts-2015-04-01-assumerolewithoidc: not signed.

    The names are those of the role's ARN, the OIDC provider's ARN, and the file with the pod's token.
    """
    arn, provider, file = (leases.key(found, name) for name in names)
    token = leases.identity_token((yield Path(file)))
    query = {
        "Action": "AssumeRoleWithOIDC",
        "Format": "JSON",
        "Version": "2015-04-01",
        "Timestamp": timestamp(Moment(now, "", 0), "%Y-%m-%dT%H:%M:%SZ"),
    }
    # The token goes into the body, because servers and proxies log URLs.
    form = {
        "RoleArn": arn,
        "OIDCProviderArn": provider,
        "OIDCToken": token,
        "RoleSessionName": machine.get("ALIBABA_CLOUD_ROLE_SESSION_NAME") or "stream-exporter",
        "DurationSeconds": str(ROLE_SECONDS),
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    url = f"{_sts(machine)}/?{urlencode(query, quote_via=quote)}"
    reply: Reply = yield Request("POST", url, headers, urlencode(form).encode())
    found = envelope(reply)
    if found.get("Code") is not None:
        raise CredentialsError(f"STS answers {leases.code(found['Code'])}")
    definite(reply, found)
    return _temporary(object_of(found, "Credentials"))


def _profile(machine: Machine) -> Path | None:
    files = ("~/.alibabacloud/credentials.ini", "~/.alibabacloud/credentials")
    return machine.profile("ALIBABA_CLOUD_CREDENTIALS_FILE", *files)


def _from_profile(machine: Machine, now: float) -> Steps:
    """See https://help.aliyun.com/zh/sdk/developer-reference/v2-manage-python-access-credentials for the types."""
    data: bytes = yield _profile(machine) or Path()
    found = leases.section(data, machine.get("ALIBABA_CLOUD_PROFILE") or "default")
    match found.get("type", "access_key"):
        case "access_key" | "sts":
            return Lease(leases.lasting(found, "access_key_id", "access_key_secret", "security_token"))
        case "ecs_ram_role" if _disabled(machine):
            raise CredentialsError("type is ecs_ram_role, but ALIBABA_CLOUD_ECS_METADATA_DISABLED is true")
        case "ecs_ram_role":
            return (yield from _from_instance(found.get("role_name") or leases.AUTO, "role_name"))
        case "oidc_role_arn":
            names = ("role_arn", "oidc_provider_arn", "oidc_token_file_path")
            return (yield from _from_pod(machine, now, found, names))
    raise CredentialsError("type is none of access_key, sts, ecs_ram_role and oidc_role_arn")


SOURCES = (
    Source(
        title="pod identity of ACK (RRSA)",
        hint="give the pod an identity (RRSA sets ALIBABA_CLOUD_ROLE_ARN)",
        advice="check the role's trust policy, the annotations of the service account, and that the pod reaches "
        "sts.aliyuncs.com",
        evidence=lambda machine: machine.get("ALIBABA_CLOUD_ROLE_ARN") and machine.get("ALIBABA_CLOUD_OIDC_TOKEN_FILE"),
        obtain=lambda machine, now: _from_pod(machine, now, machine.environ, POD_VARIABLES),
        early=EARLY,
    ),
    Source(
        title="profile file of Alibaba Cloud",
        hint="write a profile file ~/.alibabacloud/credentials.ini",
        advice="it has a section [default] with type, and what the type needs",
        evidence=_profile,
        obtain=_from_profile,
        early=EARLY,
    ),
    Source(
        title="RAM role of the ECS instance",
        hint="name the instance's role in ALIBABA_CLOUD_ECS_METADATA",
        advice="attach the role that ALIBABA_CLOUD_ECS_METADATA names to the instance, and let the exporter reach "
        "100.100.100.200",
        evidence=lambda machine: machine.get(ROLE_VARIABLE) and not _disabled(machine),
        obtain=lambda machine, _now: _from_instance(machine.get(ROLE_VARIABLE), ROLE_VARIABLE),
        early=EARLY,
    ),
)
