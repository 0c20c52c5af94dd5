"""Alibaba Cloud: the pod identity of ACK (RRSA), the profile file and the RAM role of an ECS instance."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from exporter.ambient import reading
from exporter.ambient.nouns import AUTO, Around, Grant, Recipe, Way, ask, read
from exporter.model import Moment, Request
from exporter.providers.encoding import timestamp
from exporter.providers.interface import CredentialsError, Malformed
from exporter.providers.reading import definite, envelope, object_of, utc_seconds

METADATA = "http://100.100.100.200"
ROLES = f"{METADATA}/latest/meta-data/ram/security-credentials/"
METADATA_TOKEN_SECONDS = 21600
ROLE_SECONDS = 3600
EARLY = 900.0
"""Alibaba's servers have new keys this many seconds before the old ones expire."""


def _granted(found: Mapping[str, Any]) -> Grant:
    expires = utc_seconds(found.get("Expiration"))
    if expires is None:
        raise Malformed("Expiration is no time")
    return Grant(reading.temporary(found, "AccessKeyId", "AccessKeySecret", "SecurityToken"), expires)


# --- the role of the instance ----------------------------------------------------------------------------------------


def _disabled(around: Around) -> bool:
    return around.get("ALIBABA_CLOUD_ECS_METADATA_DISABLED").lower() == "true"


def _from_instance(around: Around, _now: float) -> Recipe:
    name = reading.role(around.get("ALIBABA_CLOUD_ECS_METADATA"), "ALIBABA_CLOUD_ECS_METADATA")
    return (yield from _instance(name))


def _instance(name: str) -> Recipe:
    """See https://help.aliyun.com/zh/ecs/user-guide/view-instance-metadata: version 2, with a token of its own."""
    ttl = {"X-aliyun-ecs-metadata-token-ttl-seconds": str(METADATA_TOKEN_SECONDS)}
    opened = yield from ask(Request("PUT", f"{METADATA}/latest/api/token", ttl))
    reading.succeeded(opened)
    token = reading.key({"the metadata token": opened.body.decode("ascii", "replace").strip()}, "the metadata token")
    headers = {"X-aliyun-ecs-metadata-token": token}
    if name == AUTO:
        name = reading.attached_role((yield from ask(Request("GET", ROLES, headers))))
    return _granted(reading.metadata((yield from ask(Request("GET", ROLES + name, headers)))))


# --- the identity of the pod -----------------------------------------------------------------------------------------

_POD = ("ALIBABA_CLOUD_ROLE_ARN", "ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "ALIBABA_CLOUD_OIDC_TOKEN_FILE")


def _from_pod(around: Around, now: float) -> Recipe:
    arn, provider, file = (reading.key(around.environ, name) for name in _POD)
    return (yield from _assumed(around, now, arn, provider, file))


def _sts(around: Around) -> str:
    region = around.get("ALIBABA_CLOUD_STS_REGION")
    if not region:
        return "https://sts.aliyuncs.com"
    if not re.fullmatch(r"[a-z0-9-]{1,32}", region):
        raise CredentialsError("ALIBABA_CLOUD_STS_REGION is not the name of a region")
    inside = around.get("ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED").lower() == "true"
    return f"https://{'sts-vpc' if inside else 'sts'}.{region}.aliyuncs.com"


def _assumed(around: Around, now: float, arn: str, provider: str, file: str) -> Recipe:
    """See https://help.aliyun.com/zh/ram/developer-reference/api-sts-2015-04-01-assumerolewithoidc: not signed."""
    token = reading.identity_token((yield from read(Path(file))))
    query = {
        "Action": "AssumeRoleWithOIDC",
        "Format": "JSON",
        "Version": "2015-04-01",
        "Timestamp": timestamp(Moment(now, "", 0), "%Y-%m-%dT%H:%M:%SZ"),
    }
    # The token goes into the body: URLs are what servers and proxies write down.
    form = {
        "RoleArn": arn,
        "OIDCProviderArn": provider,
        "OIDCToken": token,
        "RoleSessionName": around.get("ALIBABA_CLOUD_ROLE_SESSION_NAME") or "stream-exporter",
        "DurationSeconds": str(ROLE_SECONDS),
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    url = f"{_sts(around)}/?{urlencode(query, quote_via=quote)}"
    reply = yield from ask(Request("POST", url, headers, urlencode(form).encode()))
    found = envelope(reply)
    if found.get("Code") is not None:
        raise CredentialsError(f"STS answers {reading.code(found['Code'])}")
    definite(reply, found)
    return _granted(object_of(found, "Credentials"))


# --- the profile file ------------------------------------------------------------------------------------------------


def _profile(around: Around) -> Path | None:
    named = around.get("ALIBABA_CLOUD_CREDENTIALS_FILE")
    if named:
        return Path(named)
    return around.first_file("~/.alibabacloud/credentials.ini", "~/.alibabacloud/credentials")


def _from_profile(around: Around, now: float) -> Recipe:
    """See https://help.aliyun.com/zh/sdk/developer-reference/v2-manage-python-access-credentials for the types."""
    name = around.get("ALIBABA_CLOUD_PROFILE") or "default"
    found = reading.section((yield from read(_profile(around) or Path())), name)
    match found.get("type", "access_key"):
        case "access_key" | "sts":
            return Grant(reading.pair(found, "access_key_id", "access_key_secret", "security_token"))
        case "ecs_ram_role" if _disabled(around):
            raise CredentialsError("type is ecs_ram_role, but ALIBABA_CLOUD_ECS_METADATA_DISABLED is true")
        case "ecs_ram_role":
            return (yield from _instance(reading.role(found.get("role_name") or AUTO, "role_name")))
        case "oidc_role_arn":
            options = ("role_arn", "oidc_provider_arn", "oidc_token_file_path")
            arn, provider, file = (reading.key(found, option) for option in options)
            return (yield from _assumed(around, now, arn, provider, file))
    raise CredentialsError("type is none of access_key, sts, ecs_ram_role and oidc_role_arn")


WAYS = (
    Way(
        title="pod identity of ACK (RRSA)",
        hint="give the pod an identity (RRSA sets ALIBABA_CLOUD_ROLE_ARN)",
        advice="check the role's trust policy, the annotations of the service account, and that the pod reaches "
        "sts.aliyuncs.com",
        applies=lambda around: bool(
            around.get("ALIBABA_CLOUD_ROLE_ARN") and around.get("ALIBABA_CLOUD_OIDC_TOKEN_FILE")
        ),
        obtain=_from_pod,
        early=EARLY,
    ),
    Way(
        title="profile file of Alibaba Cloud",
        hint="write a profile file ~/.alibabacloud/credentials.ini",
        advice="it has a section [default] with type, and what the type needs",
        applies=lambda around: _profile(around) is not None,
        obtain=_from_profile,
        early=EARLY,
    ),
    Way(
        title="RAM role of the ECS instance",
        hint="name the instance's role in ALIBABA_CLOUD_ECS_METADATA",
        advice="attach the role that ALIBABA_CLOUD_ECS_METADATA names to the instance, and let the exporter reach "
        "100.100.100.200",
        applies=lambda around: bool(around.get("ALIBABA_CLOUD_ECS_METADATA")) and not _disabled(around),
        obtain=_from_instance,
        early=EARLY,
    ),
)
