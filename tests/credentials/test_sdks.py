"""The vendors' own SDKs against the fake metadata servers: what the fakes say is what the SDKs understand."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.credentials.cloud import CANARY, ROLE, Cloud, Time, served


def keys_by(cloud: Cloud, ask: Any) -> Any:
    """Return what an SDK that blocks has from a cloud."""

    async def main() -> Any:
        async with served(cloud):
            return await asyncio.to_thread(ask)

    return asyncio.run(main())


def test_tencent_instance_role() -> None:
    """Tencent's SDK gets the keys of the instance's role from the fake with the same calls."""
    credential = pytest.importorskip("tencentcloud.common.credential")
    cloud = Cloud(Time())

    def ask() -> Any:
        made = credential.CVMRoleCredential()
        made._role_endpoint = f"{cloud.base}/latest/meta-data/cam/security-credentials/"
        return made.get_credential_info()

    assert keys_by(cloud, ask) == (f"{CANARY}-id-1", f"{CANARY}-key-1", f"{CANARY}-sts-1")
    listing = "GET /latest/meta-data/cam/security-credentials/"
    assert cloud.asked == [listing, listing + ROLE]


def test_alibaba_instance_role() -> None:
    """Alibaba's SDK gets the keys of the instance's role from the fake's metadata server, version 2."""
    module = pytest.importorskip("alibabacloud_credentials.provider.ecs_ram_role")
    cloud = Cloud(Time())

    def ask() -> Any:
        made = module.EcsRamRoleCredentialsProvider(role_name=ROLE, disable_imds_v1=True, async_update_enabled=False)
        made._EcsRamRoleCredentialsProvider__metadata_service_host = cloud.base.removeprefix("http://")
        return made.get_credentials()

    keys = keys_by(cloud, ask)
    found = (keys.get_access_key_id(), keys.get_access_key_secret(), keys.get_security_token())
    assert found == (f"{CANARY}-id-1", f"{CANARY}-key-1", f"{CANARY}-sts-1")
    assert cloud.asked == ["PUT /latest/api/token", f"GET /latest/meta-data/ram/security-credentials/{ROLE}"]
