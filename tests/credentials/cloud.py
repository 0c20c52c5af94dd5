"""Metadata and STS servers of three clouds on loopback, strict as real ones are, and broken as a test wants them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web

from exporter.credentials.keyring import Keyring
from exporter.model import Account, Reply, Request
from exporter.providers import all_providers
from exporter.providers import amazon_web_services as aws
from exporter.providers.alibaba import credentials as alibaba
from exporter.providers.interface import AnyProvider, CredentialsError
from exporter.providers.tencent import credentials as tencent
from exporter.routes import Route
from exporter.transport import Transport, tls_context

CANARY = "canary"
"""Every secret of these tests holds this word; nothing that is shown may."""

ROLE = "exporter-role"
SERVERS = (
    tencent.METADATA, tencent.STS, alibaba.METADATA, "https://sts.aliyuncs.com",
    aws.METADATA, aws.CONTAINER, "https://sts.us-west-2.amazonaws.com",
)  # fmt: skip
AWS_STS = """<{0}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{0}Result><Credentials>
<AccessKeyId>{AccessKeyId}</AccessKeyId><SecretAccessKey>{SecretAccessKey}</SecretAccessKey>
<SessionToken>{Token}</SessionToken><Expiration>{Expiration}</Expiration></Credentials></{0}Result></{0}Response>"""
AWS_ERROR = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>InvalidIdentityToken</Code><Message>bad {}</Message></Error><RequestId>r</RequestId></ErrorResponse>"""
TLS = tls_context()
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Time:
    """Time that tests move."""

    unix: float = 1_800_000_000.0
    mono: float = 500.0

    def pass_(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        self.unix += seconds
        self.mono += seconds


@dataclass(slots=True)
class Cloud:
    """What the servers have and were asked.

    Attributes:
        time: The servers' time too.
        life: Seconds that new keys hold.
        role: The role attached to the instance, if any.
        token: The only identity token that STS takes.
        answer: Answers in place of the servers, where it is set.
        asked: Method and path of each request, the STS action in place of its path.
        issued: How many keys were issued; the last key's id ends in this number.
    """

    time: Time
    life: float = 21600.0
    role: str | None = ROLE
    token: str = f"eyJ-{CANARY}-token"
    answer: Answer | None = None
    asked: list[str] = field(default_factory=list)
    issued: int = 0
    base: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        action = request.headers.get("X-TC-Action") or request.query.get("Action")
        if request.method == "POST" and action is None:
            action = str((await request.post()).get("Action"))
        self.asked.append(f"{request.method} {action or request.path}")
        if self.answer is not None:
            return await self.answer(request)
        if action is not None:
            if "X-TC-Action" in request.headers:
                return await self._tencent_sts(request)
            return await (self._alibaba_sts(request) if request.query else self._aws_sts(request))
        if request.method == "PUT":
            return self._metadata_token(request)
        return self._metadata(request)

    def _metadata_token(self, request: web.Request) -> web.Response:
        names = ("X-aliyun-ecs-metadata-token-ttl-seconds", "X-aws-ec2-metadata-token-ttl-seconds")
        seconds = next((request.headers[name] for name in names if name in request.headers), "")
        right = request.path == "/latest/api/token" and seconds.isdigit() and 1 <= int(seconds) <= 21600
        return web.Response(text=f"{CANARY}-metadata-token") if right else web.Response(status=400)

    def _metadata(self, request: web.Request) -> web.Response:
        if request.path == "/v2/credentials/task":
            return web.json_response(self._aws_keys())
        _, _, rest = request.path.partition("/security-credentials/")
        aliyun = request.path.startswith("/latest/meta-data/ram/")
        amazon = request.path.startswith("/latest/meta-data/iam/")
        if amazon and request.headers.get("X-aws-ec2-metadata-token") != f"{CANARY}-metadata-token":
            return web.Response(status=401)
        if aliyun and request.headers.get("X-aliyun-ecs-metadata-token") != f"{CANARY}-metadata-token":
            return web.Response(status=403)
        if self.role is None or rest not in ("", self.role):
            return web.Response(status=404, text="<html>404</html>")
        if not rest:
            return web.Response(text=self.role)
        keys = self._aws_keys() if amazon else self._alibaba_keys() if aliyun else self._tencent_keys(flat=True)
        return web.json_response({**keys, "Code": "Success"})

    async def _tencent_sts(self, request: web.Request) -> web.Response:
        sent = json.loads(await request.read())
        headers = ("Authorization", "X-TC-Version", "X-TC-Action", "X-TC-Region", "X-TC-Timestamp", "Content-Type")
        assert [request.headers[name] for name in headers] == [
            "SKIP",
            "2018-08-13",
            "AssumeRoleWithWebIdentity",
            "ap-guangzhou",
            str(int(self.time.unix)),
            "application/json",
        ]
        assert set(sent) == {"ProviderId", "WebIdentityToken", "RoleArn", "RoleSessionName", "DurationSeconds"}
        if sent["WebIdentityToken"] != self.token:
            error = {"Code": "InvalidParameter.WebIdentityTokenError", "Message": f"bad {sent['WebIdentityToken']}"}
            return web.json_response({"Response": {"Error": error, "RequestId": "r"}})
        return web.json_response({"Response": {**self._tencent_keys(flat=False), "RequestId": "r"}})

    async def _alibaba_sts(self, request: web.Request) -> web.Response:
        sent = await request.post()
        assert dict(request.query) == {
            "Action": "AssumeRoleWithOIDC",
            "Format": "JSON",
            "Version": "2015-04-01",
            "Timestamp": self._utc(self.time.unix),
        }
        assert set(sent) == {"RoleArn", "OIDCProviderArn", "OIDCToken", "RoleSessionName", "DurationSeconds"}
        if sent["OIDCToken"] != self.token:
            error = {"Code": "AuthenticationFail.OIDCToken.Invalid", "Message": f"bad {sent['OIDCToken']!s}"}
            return web.json_response(error, status=400)
        return web.json_response({"RequestId": "r", "Credentials": self._alibaba_keys()})

    async def _aws_sts(self, request: web.Request) -> web.Response:
        sent = await request.post()
        assert set(sent) == {
            "Action", "Version", "RoleArn", "RoleSessionName", "WebIdentityToken", "DurationSeconds",
        }  # fmt: skip
        assert (sent["Version"], request.headers.get("Authorization")) == ("2011-06-15", None)
        if sent["WebIdentityToken"] != self.token:
            return web.Response(status=400, text=AWS_ERROR.format(sent["WebIdentityToken"]), content_type="text/xml")
        text = AWS_STS.format("AssumeRoleWithWebIdentity", **self._aws_keys())
        return web.Response(text=text, content_type="text/xml")

    def _aws_keys(self) -> dict[str, Any]:
        self.issued += 1
        return {
            "AccessKeyId": f"{CANARY}-id-{self.issued}",
            "SecretAccessKey": f"{CANARY}-key-{self.issued}",
            "Token": f"{CANARY}-sts-{self.issued}",
            "Expiration": self._utc(self.time.unix + self.life),
        }

    def _tencent_keys(self, *, flat: bool) -> dict[str, Any]:
        self.issued += 1
        keys = {
            "TmpSecretId": f"{CANARY}-id-{self.issued}",
            "TmpSecretKey": f"{CANARY}-key-{self.issued}",
            "Token": f"{CANARY}-sts-{self.issued}",
        }
        end = {"ExpiredTime": int(self.time.unix + self.life), "Expiration": self._utc(self.time.unix + self.life)}
        return {**keys, **end} if flat else {"Credentials": keys, **end}

    def _alibaba_keys(self) -> dict[str, Any]:
        self.issued += 1
        return {
            "AccessKeyId": f"{CANARY}-id-{self.issued}",
            "AccessKeySecret": f"{CANARY}-key-{self.issued}",
            "SecurityToken": f"{CANARY}-sts-{self.issued}",
            "Expiration": self._utc(self.time.unix + self.life),
        }

    @staticmethod
    def _utc(seconds: float) -> str:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@asynccontextmanager
async def served(cloud: Cloud) -> AsyncIterator[None]:
    """Serve a cloud on loopback."""
    runner = web.AppRunner(application(cloud), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        cloud.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield
    finally:
        await runner.cleanup()


def application(cloud: Cloud) -> web.Application:
    """Return a cloud as an application that answers every path."""
    made = web.Application()
    made.router.add_route("*", "/{path:.*}", cloud.handle)
    return made


@dataclass(slots=True)
class Bench:
    """A keyring and the cloud that it asks.

    Attributes:
        ring: The keyring.
        cloud: The cloud.
        provider: The provider of `account`, which gives no keys of its own.
        timeouts: The time that each call was allowed.
        routes: URL and route of each call.
    """

    ring: Keyring
    cloud: Cloud
    provider: AnyProvider
    account: Account
    timeouts: list[float]
    routes: list[tuple[str, Route]]

    async def keys(self) -> str:
        """Return the id of the account's keys, without its canary."""
        return (await self.ring(self.provider, self.account)).key_id.removeprefix(f"{CANARY}-")


@asynccontextmanager
async def bench(provider: str, environ: Mapping[str, str], patience: float = 1.0) -> AsyncIterator[Bench]:
    """Return a keyring whose servers are a cloud on loopback.

    Args:
        provider: The account's cloud.
        environ: The environment variables.
        patience: What each call's time limit is multiplied by, so that a test need not wait for it.
    """
    time = Time()
    cloud = Cloud(time)
    timeouts: list[float] = []
    routes: list[tuple[str, Route]] = []
    async with served(cloud), Transport(TLS) as transport:

        async def send(request: Request, timeout: float, largest: int, route: Route) -> Reply:  # noqa: ASYNC109
            timeouts.append(timeout)
            routes.append((request.url, route))
            origin = next(server for server in SERVERS if request.url.startswith(f"{server}/"))
            request = request._replace(url=cloud.base + request.url.removeprefix(origin))
            return await transport.send(request, timeout * patience, largest)

        ring = Keyring(
            environ,
            send=send,
            unix=lambda: time.unix,
            mono=lambda: time.mono,
        )
        kind = all_providers()[provider]
        needed = {"region": "us-west-2"} if provider == "ivs" else {}
        yield Bench(ring, cloud, kind, kind.account(name="main", provider=provider, **needed), timeouts, routes)


@dataclass(frozen=True, slots=True)
class Setting:
    """A machine that vouches for keys: a provider's name, and what makes its environment from a directory."""

    provider: str
    environ: Callable[[Path], dict[str, str]]
    early: float

    def make(self, directory: Path) -> dict[str, str]:
        """Write the files; return the environment variables."""
        (directory / "token").write_text(f"eyJ-{CANARY}-token\n")
        return {"HOME": str(directory), **self.environ(directory)}


def _ecs_profile(directory: Path) -> dict[str, str]:
    (directory / ".alibabacloud").mkdir(exist_ok=True)
    (directory / ".alibabacloud/credentials.ini").write_text("[default]\ntype = ecs_ram_role\n")
    return {}


def _tke(directory: Path) -> dict[str, str]:
    return {
        "TKE_REGION": "ap-guangzhou",
        "TKE_PROVIDER_ID": "cls-1",
        "TKE_WEB_IDENTITY_TOKEN_FILE": str(directory / "token"),
        "TKE_ROLE_ARN": "qcs::cam::uin/1:roleName/exporter",
    }


def _rrsa(directory: Path) -> dict[str, str]:
    return {
        "ALIBABA_CLOUD_ROLE_ARN": "acs:ram::1:role/exporter",
        "ALIBABA_CLOUD_OIDC_PROVIDER_ARN": "acs:ram::1:oidc-provider/ack",
        "ALIBABA_CLOUD_OIDC_TOKEN_FILE": str(directory / "token"),
    }


def _irsa(directory: Path) -> dict[str, str]:
    return {
        "AWS_ROLE_ARN": "arn:aws:iam::1:role/exporter",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(directory / "token"),
        "AWS_REGION": "us-west-2",
    }


SETTINGS = {
    "cvm": Setting("tencent", lambda _: {"TENCENTCLOUD_CAM_ROLE_NAME": ROLE}, 300),
    "cvm-auto": Setting("tencent", lambda _: {"TENCENTCLOUD_CAM_ROLE_NAME": "auto"}, 300),
    "tke": Setting("tencent", _tke, 300),
    "ecs": Setting("alibaba", lambda _: {"ALIBABA_CLOUD_ECS_METADATA": ROLE}, 900),
    "ecs-profile": Setting("alibaba", _ecs_profile, 900),
    "rrsa": Setting("alibaba", _rrsa, 900),
    "irsa": Setting("ivs", _irsa, 300),
    "ecs-task": Setting("ivs", lambda _: {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/task"}, 300),
    "ec2": Setting("ivs", lambda _: {"AWS_EC2_METADATA_DISABLED": "false"}, 300),
}


EACH_SOURCE = pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)


async def hang(_request: web.Request) -> web.StreamResponse:
    """Never answer."""
    await asyncio.Event().wait()
    raise AssertionError


def saying(status: int, body: bytes | str, kind: str = "application/json", **headers: str) -> Answer:
    """Return what always answers the same."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        data = body.encode() if isinstance(body, str) else body
        return web.Response(status=status, body=data, headers={"Content-Type": kind, **headers})

    return answer


async def echo(request: web.Request) -> web.StreamResponse:
    """Send back whatever was sent, in every field that anybody might show."""
    sent = f"{request.path_qs} {dict(request.headers)} {(await request.read()).decode()} {CANARY}"
    fields = dict.fromkeys(("Code", "Message", "RequestId", "Expiration", "ExpiredTime"), sent)
    return web.json_response({**fields, "Response": {"Error": fields, "RequestId": sent}}, reason=CANARY)


def play(
    setting: Setting, directory: Path, scene: Callable[[Bench], Awaitable[None]], patience: float = 1.0
) -> list[Any]:
    """Play a scene on a machine; return what was logged."""

    async def main() -> None:
        async with bench(setting.provider, setting.make(directory), patience) as made:
            await scene(made)

    with structlog.testing.capture_logs() as logged:
        asyncio.run(main())
    return logged


async def settle(made: Bench) -> None:
    """Wait until the renewals are through that nobody waits for."""
    tasks = [task for task in asyncio.all_tasks() if task.get_name().startswith("keys ")]
    await asyncio.gather(*tasks, return_exceptions=True)


async def refused(made: Bench) -> CredentialsError:
    """Return the error with which keys are refused."""
    with pytest.raises(CredentialsError) as caught:
        await made.keys()
    return caught.value


def re_search(pattern: str, text: str) -> bool:
    """Say whether a text holds one of the alternatives."""
    return any(part in text for part in pattern.split("|"))
