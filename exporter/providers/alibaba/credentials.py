"""Alibaba Cloud's credential sources: pod identity of ACK (RRSA), profile file and role of an ECS instance."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from exporter.model import Reply, Request
from exporter.providers import leases
from exporter.providers.encoding import timestamp
from exporter.providers.interface import CredentialsError, Malformed
from exporter.providers.reading import check_success, envelope, object_of, utc_seconds
from exporter.providers.sources import Lease, Machine, Source, Steps

METADATA = "http://100.100.100.200"
ROLES = f"{METADATA}/latest/meta-data/ram/security-credentials/"
METADATA_TOKEN_SECONDS = 21600
ROLE_SECONDS = 3600
ROLE_VARIABLE = "ALIBABA_CLOUD_ECS_METADATA"
POD_VARIABLES = ("ALIBABA_CLOUD_ROLE_ARN", "ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "ALIBABA_CLOUD_OIDC_TOKEN_FILE")
EARLY = 900.0
"""How many seconds before the old keys expire Alibaba's servers have new ones."""


def _temporary(keys: Mapping[str, Any]) -> Lease:
    expires = utc_seconds(keys.get("Expiration"))
    if expires is None:
        raise Malformed("Expiration is no time")
    return Lease(leases.temporary_credentials(keys, "AccessKeyId", "AccessKeySecret", "SecurityToken"), expires)


def _disabled(machine: Machine) -> bool:
    return machine.get("ALIBABA_CLOUD_ECS_METADATA_DISABLED").lower() == "true"


def _from_instance(name: str, source: str) -> Steps:
    """Ask the metadata server, version 2: https://help.aliyun.com/zh/ecs/user-guide/view-instance-metadata."""
    name = leases.check_role(name, source)
    ttl = {"X-aliyun-ecs-metadata-token-ttl-seconds": str(METADATA_TOKEN_SECONDS)}
    token = leases.metadata_text((yield Request("PUT", f"{METADATA}/latest/api/token", ttl)))
    headers = {"X-aliyun-ecs-metadata-token": leases.require_key({"the metadata token": token}, "the metadata token")}
    if name == leases.AUTO:
        name = leases.attached_role((yield Request("GET", ROLES, headers)))
    return _temporary(leases.metadata_keys((yield Request("GET", ROLES + name, headers))))


def _sts(machine: Machine) -> str:
    region = machine.get("ALIBABA_CLOUD_STS_REGION")
    if not region:
        return "https://sts.aliyuncs.com"
    if not re.fullmatch(r"[a-z0-9-]{1,32}", region):
        raise CredentialsError("ALIBABA_CLOUD_STS_REGION is not the name of a region")
    inside = machine.get("ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED").lower() == "true"
    return f"https://{'sts-vpc' if inside else 'sts'}.{region}.aliyuncs.com"


def _from_pod(machine: Machine, now: float, settings: Mapping[str, str], names: tuple[str, str, str]) -> Steps:
    """Exchange the pod's token for keys; the names are those of role ARN, OIDC provider ARN and token file.

    The call is not signed: https://help.aliyun.com/zh/ram/developer-reference/api-sts-2015-04-01-assumerolewithoidc.
    """
    arn, provider, file = (leases.require_key(settings, name) for name in names)
    token = leases.identity_token((yield Path(file)))
    query = {
        "Action": "AssumeRoleWithOIDC",
        "Format": "JSON",
        "Version": "2015-04-01",
        "Timestamp": timestamp(now, "%Y-%m-%dT%H:%M:%SZ"),
    }
    # The token is sent in the body, because servers and proxies log URLs.
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
    response = envelope(reply)
    if response.get("Code") is not None:
        raise CredentialsError(f"STS answers {leases.safe_code(response['Code'])}")
    check_success(reply, response)
    return _temporary(object_of(response, "Credentials"))


def _profile(machine: Machine) -> Path | None:
    files = ("~/.alibabacloud/credentials.ini", "~/.alibabacloud/credentials")
    return machine.profile("ALIBABA_CLOUD_CREDENTIALS_FILE", *files)


def _from_profile(machine: Machine, now: float) -> Steps:
    """Read the file: https://help.aliyun.com/zh/sdk/developer-reference/v2-manage-python-access-credentials."""
    data: bytes = yield _profile(machine) or Path()
    profile = leases.ini_section(data, machine.get("ALIBABA_CLOUD_PROFILE") or "default")
    match profile.get("type", "access_key"):
        case "access_key" | "sts":
            return Lease(leases.lasting_credentials(profile, "access_key_id", "access_key_secret", "security_token"))
        case "ecs_ram_role" if _disabled(machine):
            raise CredentialsError("type is ecs_ram_role, but ALIBABA_CLOUD_ECS_METADATA_DISABLED is true")
        case "ecs_ram_role":
            return (yield from _from_instance(profile.get("role_name") or leases.AUTO, "role_name"))
        case "oidc_role_arn":
            names = ("role_arn", "oidc_provider_arn", "oidc_token_file_path")
            return (yield from _from_pod(machine, now, profile, names))
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
