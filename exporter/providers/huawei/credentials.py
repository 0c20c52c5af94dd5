"""Huawei Cloud's credential source: the profile file of its SDKs, https://github.com/huaweicloud/huaweicloud-sdk-python-v3."""

from __future__ import annotations

from pathlib import Path

from exporter.providers import leases
from exporter.providers.sources import Lease, Machine, Source, Steps


def _profile(machine: Machine) -> Path | None:
    return machine.profile("HUAWEICLOUD_SDK_CREDENTIALS_FILE", "~/.huaweicloud/credentials")


def _from_profile(machine: Machine, _now: float) -> Steps:
    data: bytes = yield _profile(machine) or Path()
    return Lease(leases.lasting_credentials(leases.ini_section(data, "basic"), "ak", "sk", "security_token"))


SOURCES = (
    Source(
        title="profile file of Huawei Cloud",
        hint="write a profile file ~/.huaweicloud/credentials",
        advice="it has a section [basic] with ak and sk",
        evidence=_profile,
        obtain=_from_profile,
    ),
)
