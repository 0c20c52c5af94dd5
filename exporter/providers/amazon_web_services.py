"""What AWS's services share: signature, and where keys come from.

Signature version 4: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
Sources of keys, in the order of the vendor's SDKs: pod identity, profile file, container, role of an EC2 instance.
https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.etree.ElementTree import Element  # nosec B405: only the type

from exporter.fields import REGION
from exporter.model import Account, Call, Credentials, Moment, Reply, Request
from exporter.providers import leases, xml
from exporter.providers.derived_key import Scheme
from exporter.providers.encoding import host, sha256_hex, timestamp
from exporter.providers.interface import CredentialsError, Malformed, NoEnvelope
from exporter.providers.reading import check_success, envelope, utc_seconds
from exporter.providers.sources import Lease, Machine, Source, Steps

SCHEME = Scheme(algorithm="AWS4-HMAC-SHA256", prefix="AWS4", ends="aws4_request", dated="x-amz-date")
HIDES = ("Authorization", "Signature", "X-Amz-Security-Token")
CREDENTIALS = ("access_key_id", "secret_access_key", "session_token")
ENVIRONMENT = {
    "access_key_id": ("AWS_ACCESS_KEY_ID",),
    "secret_access_key": ("AWS_SECRET_ACCESS_KEY",),
    "session_token": ("AWS_SESSION_TOKEN",),
}
METADATA = "http://169.254.169.254"
ROLES = f"{METADATA}/latest/meta-data/iam/security-credentials/"
METADATA_TOKEN_SECONDS = 21600
ROLE_SECONDS = 3600
CONTAINER = "http://169.254.170.2"
# The vendor's SDKs send a token to these hosts only, or by TLS.
_CONTAINER_URL = re.compile(
    r"(https://[^/?#@\s\\]+|http://(169\.254\.170\.2|169\.254\.170\.23|\[fd00:ec2::23\]|127\.0\.0\.1|localhost)(:\d+)?)/[!-~]*",
    re.ASCII,
)


def sign(account: Account, credentials: Credentials, call: Call, moment: Moment, scope: tuple[str, str]) -> Request:
    """Sign a POST of JSON to the action's own path; the scope is region and service."""
    body = json.dumps(call.params).encode()  # these very bytes are hashed and sent
    headers = {
        "Content-Type": "application/json",
        "Host": host(account.endpoint),
        "X-Amz-Date": timestamp(moment.now, "%Y%m%dT%H%M%SZ"),
    }
    if credentials.token:
        headers["X-Amz-Security-Token"] = credentials.token.reveal()
    region, service = scope
    headers["Authorization"] = SCHEME.authorization(
        access_key_id=credentials.key_id,
        secret_access_key=credentials.key_secret.reveal(),
        region=region,
        service=service,
        headers=headers,
        payload_sha256=sha256_hex(body),
        method="POST",
        path=f"/{call.action}",
    )
    return Request("POST", f"{account.endpoint}/{call.action}", headers, body)


def _temporary(keys: Mapping[str, Any], token: str) -> Lease:
    expires = utc_seconds(keys.get("Expiration"))
    if expires is None:
        raise Malformed("Expiration is no time")
    return Lease(leases.temporary_credentials(keys, "AccessKeyId", "SecretAccessKey", token), expires)


def _sts(machine: Machine) -> str:
    region = machine.get("AWS_REGION") or machine.get("AWS_DEFAULT_REGION")
    if not region:
        return "https://sts.amazonaws.com"
    if not REGION.fullmatch(region):
        raise CredentialsError("AWS_REGION is not the name of a region")
    return f"https://sts.{region}.amazonaws.com"


def _from_pod(machine: Machine, _now: float) -> Steps:
    """Exchange the pod's token for keys; the call is not signed.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
    """
    arn, file = (leases.require_key(machine.environ, name) for name in ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"))
    token = leases.identity_token((yield Path(file)))
    form = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": arn,
        "RoleSessionName": machine.get("AWS_ROLE_SESSION_NAME") or "stream-exporter",
        "WebIdentityToken": token,
        "DurationSeconds": str(ROLE_SECONDS),
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    reply: Reply = yield Request("POST", f"{_sts(machine)}/", headers, urlencode(form).encode())
    root = "ErrorResponse" if reply.status >= 400 else "AssumeRoleWithWebIdentityResponse"
    document = xml.envelope(reply, root)
    if reply.status >= 400:
        raise CredentialsError(f"STS answers {leases.safe_code(document.findtext('Error/Code'))}")
    if reply.status != 200:
        raise NoEnvelope(f"HTTP {reply.status}")
    return _temporary(_texts(document), "SessionToken")


def _texts(document: Element) -> dict[str, str | None]:
    names = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
    return {name: document.findtext(f"AssumeRoleWithWebIdentityResult/Credentials/{name}") for name in names}


def _from_container(machine: Machine, _now: float) -> Steps:
    """Ask the agent beside the container: https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html."""
    path, headers = machine.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"), {}
    url = CONTAINER + path if path else machine.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    if not _CONTAINER_URL.fullmatch(url):
        raise CredentialsError("the address of the container's credentials is neither the agent's nor https://")
    if file := machine.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        headers["Authorization"] = leases.identity_token((yield Path(file)))
    elif machine.get("AWS_CONTAINER_AUTHORIZATION_TOKEN"):
        headers["Authorization"] = leases.require_key(machine.environ, "AWS_CONTAINER_AUTHORIZATION_TOKEN")
    reply: Reply = yield Request("GET", url, headers)
    keys = envelope(reply)
    if reply.status != 200:
        raise CredentialsError(f"the container's agent answers {leases.safe_code(keys.get('code'))}")
    check_success(reply, keys)
    return _temporary(keys, "Token")


def _from_instance(_machine: Machine, _now: float) -> Steps:
    """Ask the metadata server, version 2: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html."""
    ttl = {"X-aws-ec2-metadata-token-ttl-seconds": str(METADATA_TOKEN_SECONDS)}
    token = leases.metadata_text((yield Request("PUT", f"{METADATA}/latest/api/token", ttl)))
    headers = {"X-aws-ec2-metadata-token": leases.require_key({"the metadata token": token}, "the metadata token")}
    name = leases.attached_role((yield Request("GET", ROLES, headers)))
    return _temporary(leases.metadata_keys((yield Request("GET", ROLES + name, headers))), "Token")


SOURCES = (
    Source(
        title="pod identity of EKS (IRSA)",
        hint="give the pod an identity (IRSA sets AWS_ROLE_ARN)",
        advice="check the role's trust policy, the annotations of the service account, and that the pod reaches "
        "sts.amazonaws.com",
        evidence=lambda machine: machine.get("AWS_ROLE_ARN") and machine.get("AWS_WEB_IDENTITY_TOKEN_FILE"),
        obtain=_from_pod,
    ),
    # https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
    leases.profile_source(
        "AWS",
        "AWS_SHARED_CREDENTIALS_FILE",
        "~/.aws/credentials",
        section="default",
        names=("aws_access_key_id", "aws_secret_access_key", "aws_session_token"),
        chosen_by="AWS_PROFILE",
    ),
    Source(
        title="role of the ECS task or EKS pod",
        hint="give the task or pod a role (the agent sets AWS_CONTAINER_CREDENTIALS_…_URI)",
        advice="attach a role to the task or pod, and let the container reach 169.254.170.2 or 169.254.170.23",
        evidence=lambda machine: (
            machine.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") or machine.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
        ),
        obtain=_from_container,
    ),
    Source(
        title="role of the EC2 instance",
        hint="set AWS_EC2_METADATA_DISABLED=false to use the instance's role",
        advice="attach a role to the instance, and let the exporter reach 169.254.169.254; from a container the hop "
        "limit of the metadata server must be 2",
        evidence=lambda machine: machine.get("AWS_EC2_METADATA_DISABLED").lower() == "false",
        obtain=_from_instance,
    ),
)
