"""Tencent Cloud: the profile file, TKE's pod identity and the role of a CVM instance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exporter.model import Reply, Request
from exporter.providers import leases
from exporter.providers.interface import CredentialsError, Malformed
from exporter.providers.reading import definite, envelope, object_of
from exporter.providers.sources import Lease, Machine, Source, Steps

METADATA = "http://metadata.tencentyun.com"
STS = "https://sts.tencentcloudapi.com"
ROLES = f"{METADATA}/latest/meta-data/cam/security-credentials/"
ROLE_SECONDS = 7200


def _temporary(keys: Mapping[str, Any], found: Mapping[str, Any]) -> Lease:
    credentials = leases.temporary(keys, "TmpSecretId", "TmpSecretKey", "Token")
    expires = found.get("ExpiredTime")
    if not isinstance(expires, (int, float)) or isinstance(expires, bool) or not 0 < expires < 1 << 36:
        raise Malformed("ExpiredTime is no time")
    return Lease(credentials, float(expires))


def _profile(machine: Machine) -> Path | None:
    names = ("~/.tencentcloud/credentials", "/etc/tencentcloud/credentials")
    return machine.profile("TENCENTCLOUD_CREDENTIALS_FILE", *names)


def _from_profile(machine: Machine, _now: float) -> Steps:
    found = leases.section((yield _profile(machine) or Path()), "default")
    return Lease(leases.lasting(found, "secret_id", "secret_key", "token"))


def _from_instance(machine: Machine, _now: float) -> Steps:
    """See https://cloud.tencent.com/document/product/213/4934: keys of the role that is attached to the instance."""
    name = leases.role(machine.get("TENCENTCLOUD_CAM_ROLE_NAME"), "TENCENTCLOUD_CAM_ROLE_NAME")
    if name == leases.AUTO:
        name = leases.attached_role((yield Request("GET", ROLES)))
    found = leases.metadata((yield Request("GET", ROLES + name)))
    return _temporary(found, found)


_POD = ("TKE_REGION", "TKE_PROVIDER_ID", "TKE_WEB_IDENTITY_TOKEN_FILE", "TKE_ROLE_ARN")


def _from_pod(machine: Machine, now: float) -> Steps:
    """See AssumeRoleWithWebIdentity, https://cloud.tencent.com/document/api/1312/73070: a call that is not signed."""
    region, provider, file, arn = (leases.key(machine.environ, name) for name in _POD)
    token = leases.identity_token((yield Path(file)))
    wanted = {
        "ProviderId": provider,
        "WebIdentityToken": token,
        "RoleArn": arn,
        "RoleSessionName": "stream-exporter",
        "DurationSeconds": ROLE_SECONDS,
    }
    headers = {
        "Content-Type": "application/json",
        "Authorization": "SKIP",
        "X-TC-Action": "AssumeRoleWithWebIdentity",
        "X-TC-Version": "2018-08-13",
        "X-TC-Timestamp": str(int(now)),
        "X-TC-Region": region,
    }
    reply: Reply = yield Request("POST", f"{STS}/", headers, json.dumps(wanted).encode())
    document = envelope(reply)
    found = object_of(document, "Response")
    if found.get("Error") is not None:
        raise CredentialsError(f"STS answers {leases.code(object_of(found, 'Error').get('Code'))}")
    definite(reply, document)
    return _temporary(object_of(found, "Credentials"), found)


SOURCES = (
    Source(
        title="profile file of Tencent Cloud",
        hint="write a profile file ~/.tencentcloud/credentials",
        advice="it has a section [default] with secret_id and secret_key",
        evidence=_profile,
        obtain=_from_profile,
    ),
    Source(
        title="pod identity of TKE",
        hint="give the pod an identity (TKE sets TKE_ROLE_ARN)",
        advice="check the role's trust policy, the annotations of the service account, and that the pod reaches "
        "sts.tencentcloudapi.com",
        evidence=lambda machine: machine.get("TKE_ROLE_ARN") and machine.get("TKE_WEB_IDENTITY_TOKEN_FILE"),
        obtain=_from_pod,
    ),
    Source(
        title="CAM role of the CVM instance",
        hint="name the instance's role in TENCENTCLOUD_CAM_ROLE_NAME",
        advice="attach the role that TENCENTCLOUD_CAM_ROLE_NAME names to the instance, and let the exporter reach "
        "metadata.tencentyun.com",
        evidence=lambda machine: machine.get("TENCENTCLOUD_CAM_ROLE_NAME"),
        obtain=_from_instance,
    ),
)
