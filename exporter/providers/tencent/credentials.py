"""Tencent Cloud's credential sources: the profile file, the pod identity of TKE and the role of a CVM instance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exporter.model import Reply, Request
from exporter.providers import leases
from exporter.providers.interface import CredentialsError, Malformed
from exporter.providers.reading import check_success, envelope, object_of
from exporter.providers.sources import Lease, Machine, Source, Steps

METADATA = "http://metadata.tencentyun.com"
STS = "https://sts.tencentcloudapi.com"
ROLES = f"{METADATA}/latest/meta-data/cam/security-credentials/"
ROLE_SECONDS = 7200


def _temporary(keys: Mapping[str, Any], expiry: Mapping[str, Any]) -> Lease:
    credentials = leases.temporary_credentials(keys, "TmpSecretId", "TmpSecretKey", "Token")
    expires = expiry.get("ExpiredTime")
    if not isinstance(expires, (int, float)) or isinstance(expires, bool) or not 0 < expires < 1 << 36:
        raise Malformed("ExpiredTime is no time")
    return Lease(credentials, float(expires))


def _from_instance(machine: Machine, _now: float) -> Steps:
    """Ask the metadata server for the instance's role: https://cloud.tencent.com/document/product/213/4934."""
    name = leases.check_role(machine.get("TENCENTCLOUD_CAM_ROLE_NAME"), "TENCENTCLOUD_CAM_ROLE_NAME")
    if name == leases.AUTO:
        name = leases.attached_role((yield Request("GET", ROLES)))
    keys = leases.metadata_keys((yield Request("GET", ROLES + name)))
    return _temporary(keys, keys)


_POD = ("TKE_REGION", "TKE_PROVIDER_ID", "TKE_WEB_IDENTITY_TOKEN_FILE", "TKE_ROLE_ARN")


def _from_pod(machine: Machine, now: float) -> Steps:
    """Exchange the pod's token for keys, without a signature: https://cloud.tencent.com/document/api/1312/73070."""
    region, provider, file, arn = (leases.require_key(machine.environ, name) for name in _POD)
    token = leases.identity_token((yield Path(file)))
    parameters = {
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
    reply: Reply = yield Request("POST", f"{STS}/", headers, json.dumps(parameters).encode())
    document = envelope(reply)
    response = object_of(document, "Response")
    if response.get("Error") is not None:
        raise CredentialsError(f"STS answers {leases.safe_code(object_of(response, 'Error').get('Code'))}")
    check_success(reply, document)
    return _temporary(object_of(response, "Credentials"), response)


SOURCES = (
    # The profile file of the vendor's SDKs: https://github.com/TencentCloud/tencentcloud-sdk-python
    leases.profile_source(
        "Tencent Cloud",
        "TENCENTCLOUD_CREDENTIALS_FILE",
        "~/.tencentcloud/credentials",
        "/etc/tencentcloud/credentials",
        section="default",
        names=("secret_id", "secret_key", "token"),
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
