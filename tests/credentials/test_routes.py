"""The way by which keys are fetched: STS by the account's proxy, the machine's own servers never."""

from __future__ import annotations

from pathlib import Path

from exporter.routes import STRAIGHT, Http, Proxy, Route
from tests.credentials.cloud import EACH_SOURCE, SETTINGS, Bench, Setting, play

ONE, TWO = (Proxy("http", f"{name}.example", 3128) for name in ("one", "two"))


def by(proxy: Proxy) -> Http:
    """Return settings that send everything by a proxy and trust one authority."""
    return Http((("https", proxy), ("http", proxy)), authorities="PEM")


@EACH_SOURCE
def test_sts_goes_by_the_proxy_and_metadata_straight(setting: Setting, tmp_path: Path) -> None:
    """A proxy that fetched metadata would answer for its own machine, and would see keys in clear text."""

    async def scene(made: Bench) -> None:
        account = made.account.model_copy(update={"http": by(ONE)})
        await made.ring(made.provider, account)
        assert made.routes
        for url, route in made.routes:
            assert route == (Route(ONE, "PEM") if "//sts." in url else STRAIGHT), url

    play(setting, tmp_path, scene)


def test_a_changed_proxy_is_used_for_the_next_renewal(tmp_path: Path) -> None:
    """Keys that are still valid stay; what fetches the next ones goes the new way."""

    async def scene(made: Bench) -> None:
        for proxy, seconds in ((ONE, 0.0), (TWO, made.cloud.life)):
            made.cloud.time.pass_(seconds)
            await made.ring(made.provider, made.account.model_copy(update={"http": by(proxy)}))
        assert [route.proxy for _, route in made.routes] == [ONE, TWO]

    play(SETTINGS["tke"], tmp_path, scene)
