"""Exporters as processes that share a real Redis, and differ in clocks and configurations."""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path
from typing import Final

import pytest

from testbed.stores import executable, store
from tests.replicas.fleet import RATES, SIZES, Fleet, cloud
from tests.replicas.promises import called, held, steady

pytestmark = pytest.mark.timeout(240)

REDIS: Final = executable("redis")
FAKETIME: Final = shutil.which("faketime")


@pytest.mark.skipif(REDIS is None or FAKETIME is None, reason="needs redis-server and faketime: apt-get install them")
def test_clocks_and_configurations_that_differ(tmp_path: Path) -> None:
    """Replicas whose clocks are five seconds apart, one of them reloaded with fewer streams, stay one exporter."""

    async def main(made: Fleet) -> None:
        await made.scrape(8.0)
        await steady(made, 6.0)
        made.rewrite(1, lambda name: name < "s040")
        await asyncio.sleep(1.0)
        began = time.time()
        await made.scrape(6.0)
        for provider in RATES:
            assert called(made.cloud, provider, began) <= 1.02 * 3.0 + 40 / SIZES[provider]
        assert made.scrapers[0].unknown[-1][1] == made.scrapers[1].unknown[-1][1] == 0

    with cloud(tmp_path) as seen, store(str(REDIS), tmp_path / "store") as server:
        library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        ahead = {"LD_PRELOAD": str(library), "FAKETIME": "+5s", "DONT_FAKE_MONOTONIC": "1"}
        with Fleet(seen, tmp_path, 2, [server.url] * 2, clocks=[{}, ahead]) as made:
            asyncio.run(main(made))
            held(made)
