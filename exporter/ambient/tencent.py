"""Tencent Cloud: the profile file, TKE's pod identity and the role of a CVM instance."""

from __future__ import annotations

import json
from pathlib import Path

from exporter.ambient import reading
from exporter.ambient.nouns import AUTO, Around, Grant, Recipe, Way, ask, read
from exporter.model import Request
from exporter.providers.interface import CredentialsError
from exporter.providers.reading import definite, envelope, object_of

METADATA = "http://metadata.tencentyun.com"
STS = "https://sts.tencentcloudapi.com"
ROLES = f"{METADATA}/latest/meta-data/cam/security-credentials/"
ROLE_SECONDS = 7200


def _profile(around: Around) -> Path | None:
    named = around.get("TENCENTCLOUD_CREDENTIALS_FILE")
    if named:
        return Path(named)
    return around.first_file("~/.tencentcloud/credentials", "/etc/tencentcloud/credentials")


def _from_profile(around: Around, _now: float) -> Recipe:
    found = reading.section((yield from read(_profile(around) or Path())), "default")
    return Grant(reading.pair(found, "secret_id", "secret_key", "token"))


def _from_instance(around: Around, _now: float) -> Recipe:
    """See https://cloud.tencent.com/document/product/213/4934: keys of the role that is attached to the instance."""
    name = reading.role(around.get("TENCENTCLOUD_CAM_ROLE_NAME"), "TENCENTCLOUD_CAM_ROLE_NAME")
    if name == AUTO:
        name = reading.attached_role((yield from ask(Request("GET", ROLES))))
    found = reading.metadata((yield from ask(Request("GET", ROLES + name))))
    keys = reading.temporary(found, "TmpSecretId", "TmpSecretKey", "Token")
    return Grant(keys, reading.moment(found.get("ExpiredTime"), "ExpiredTime"))


_POD = ("TKE_REGION", "TKE_PROVIDER_ID", "TKE_WEB_IDENTITY_TOKEN_FILE", "TKE_ROLE_ARN")


def _from_pod(around: Around, now: float) -> Recipe:
    """See AssumeRoleWithWebIdentity, https://cloud.tencent.com/document/api/1312/73070: a call that is not signed."""
    region, provider, file, arn = (reading.key(around.environ, name) for name in _POD)
    token = reading.identity_token((yield from read(Path(file))))
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
    reply = yield from ask(Request("POST", f"{STS}/", headers, json.dumps(wanted).encode()))
    document = envelope(reply)
    found = object_of(document, "Response")
    if found.get("Error") is not None:
        raise CredentialsError(f"STS answers {reading.code(object_of(found, 'Error').get('Code'))}")
    definite(reply, document)
    keys = reading.temporary(object_of(found, "Credentials"), "TmpSecretId", "TmpSecretKey", "Token")
    return Grant(keys, reading.moment(found.get("ExpiredTime"), "ExpiredTime"))


WAYS = (
    Way(
        title="profile file of Tencent Cloud",
        hint="write a profile file ~/.tencentcloud/credentials",
        advice="it has a section [default] with secret_id and secret_key",
        applies=lambda around: _profile(around) is not None,
        obtain=_from_profile,
    ),
    Way(
        title="pod identity of TKE",
        hint="give the pod an identity (TKE sets TKE_ROLE_ARN)",
        advice="check the role's trust policy, the annotations of the service account, and that the pod reaches "
        "sts.tencentcloudapi.com",
        applies=lambda around: bool(around.get("TKE_ROLE_ARN") and around.get("TKE_WEB_IDENTITY_TOKEN_FILE")),
        obtain=_from_pod,
    ),
    Way(
        title="CAM role of the CVM instance",
        hint="name the instance's role in TENCENTCLOUD_CAM_ROLE_NAME",
        advice="attach the role that TENCENTCLOUD_CAM_ROLE_NAME names to the instance, and let the exporter reach "
        "metadata.tencentyun.com",
        applies=lambda around: bool(around.get("TENCENTCLOUD_CAM_ROLE_NAME")),
        obtain=_from_instance,
    ),
)
